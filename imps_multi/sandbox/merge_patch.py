"""RFC 7396. Pure; used by writes."""

__all__ = ["merge"]


def merge(target: object, patch: object) -> object:
    """Return the target with the patch laid over it; null takes a member away."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result
