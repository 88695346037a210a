"""botocore's data files, read lean: of the endpoints only those of the services in use, and no documentation.

botocore keeps what it reads for as long as a session lives, as ordered dicts with every service's endpoints and every
operation's manual: two thirds of it would never be looked at. Feeds the ECR provider's session alone; imported with
aiobotocore, at the first mint.
"""

from collections.abc import Callable
from typing import IO, Any, Final

import msgspec
from botocore.loaders import JSONFileLoader

KEPT_ENDPOINTS: Final = frozenset({"api.ecr", "api.ecr-public", "ecr", "sts", "sso", "portal.sso", "oidc"})
"""ECR and STS, and what single sign-on asks. What is not listed botocore makes up by the partition's rule."""
_MANUALS: Final = ("documentation", "documentationUrl")


class LeanFiles(JSONFileLoader):  # type: ignore[misc]  # botocore is not typed
    """Reads what botocore's own reader does, and keeps less of it."""

    def _load_file(self, full_path: str, open_method: Callable[..., IO[bytes]]) -> Any:
        try:
            with open_method(full_path, "rb") as file:
                data = msgspec.json.decode(file.read())
        except FileNotFoundError:
            return None  # as botocore asks: another suffix or directory is tried next
        return _lean(data)


def _lean(data: Any) -> Any:
    """Drop what is not needed, in place."""
    if isinstance(data, dict):
        for partition in data.get("partitions", ()):
            if "services" in partition:
                kept = {name: value for name, value in partition["services"].items() if name in KEPT_ENDPOINTS}
                partition["services"] = kept
        _drop_manuals(data)
    return data


def _drop_manuals(data: Any) -> None:
    if isinstance(data, dict):
        for key in _MANUALS:
            if isinstance(data.get(key), str):
                del data[key]
        for value in data.values():
            _drop_manuals(value)
    elif isinstance(data, list):
        for value in data:
            _drop_manuals(value)
