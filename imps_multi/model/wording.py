"""Numbers in messages, with their nouns and verbs in the right number. Pure; feeds whatever says how many."""


def counted(number: int, one: str, many: str) -> str:
    """Say how many of something there are, and what of them: ``counted(2, "target is", "targets are")``."""
    return f"{number} {one if number == 1 else many}"
