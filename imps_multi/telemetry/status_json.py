"""The status as JSON, and the path that it is served under: one form for the status API and for ``status -o json``.

Pure, and light to import. Nulls are left out; every other field is always there.
"""

from typing import Final

import msgspec

from imps_multi.model.status import ServiceStatus

PATH: Final = "/api/v1/status"


def encode_status(status: ServiceStatus) -> bytes:
    """Write a status as JSON, camelCase, without nulls."""
    return msgspec.json.encode(without_nulls(msgspec.to_builtins(status)))


def without_nulls(value: object) -> object:
    """Drop what is null from every mapping in a plain value."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
