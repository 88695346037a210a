"""What may be written into a configuration file one day, and is refused by this version.

Pure. Looks at the file as parsed, before it is validated, so that these problems are told together with all others.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

RESERVED: Final = ("discovery", "network", "verification")
"""Names at the top that a later version will take."""
LATER: Final = "is not supported by this version"
Step = str | int


def unsupported(value: Mapping[str, Any]) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Yield the path of each, and what to do."""
    for name in RESERVED:
        if name in value:
            yield (name,), f"{LATER}; take it away"
    if _part(value, "coordination").get("mode") in {"leader", "sharded"}:
        yield ("coordination", "mode"), f"{LATER}; only single is"


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    return part if isinstance(part, Mapping) else {}
