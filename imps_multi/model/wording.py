"""What many messages say in the same words: numbers with their nouns, commands to run. Pure."""


def counted(number: int, one: str, many: str) -> str:
    """Say how many of something there are, and what of them: ``counted(2, "target is", "targets are")``."""
    return f"{number} {one if number == 1 else many}"


def print_role(role: str, secret_name: str = "") -> str:
    """Return the command that prints a role: ``target``, with a name that is not in use yet, or ``hub``."""
    name = f" --secret-name {secret_name}" if secret_name else ""
    return f"imps-multi rbac --role {role}{name} --config FILE"
