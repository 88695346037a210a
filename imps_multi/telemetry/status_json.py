"""The status as JSON, and the path that it is served under: one form for the status API and for ``status -o json``.

Pure, and light to import. Every field is always there, null where there is nothing to say; in the status of a policy
nulls are left out, as an API server shows it.
"""

from typing import Any, Final

import msgspec

from imps_multi.model.status import ServiceStatus

PATH: Final = "/api/v1/status"


def encode_status(status: ServiceStatus) -> bytes:
    """Write a status as JSON, camelCase."""
    return msgspec.json.encode(plain_status(status))


def plain_status(status: ServiceStatus) -> dict[str, Any]:
    """Return a status as plain values, as JSON and YAML show it."""
    plain: dict[str, Any] = msgspec.to_builtins(status)
    plain["policies"] = _without_nulls(plain["policies"])
    return plain


def _without_nulls(value: object) -> object:
    """Drop what is null from every mapping in a plain value."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
