"""A hub as it would be with some manifests changed: what ``plan -f`` looks at.

Implements the ``Hub`` port over another hub. An object that is laid over it takes the place of the one of its kind,
namespace and name; what a server gives (uid, creation time) is kept from that, as after ``kubectl apply``.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import structs

from imps_multi.model.hub import HubObject, HubReading
from imps_multi.model.policy import SourceRef
from imps_multi.ports import Hub

GIVEN: Final = ("uid", "creationTimestamp")
Key = tuple[str, str, str]


class OverlaidHub:
    """Reads the hub below, and the changed objects over it."""

    def __init__(self, below: Hub, changed: Iterable[HubObject]) -> None:
        self._below = below
        self._changed = {_key(one): one for one in changed}

    async def run(self) -> None:
        """Keep up with the hub below."""
        await self._below.run()

    def need(self, sources: frozenset[SourceRef]) -> None:
        """Have the hub below read these."""
        self._below.need(sources)

    async def read(self) -> HubReading:
        """Read the hub below, and lay the changed objects over it."""
        reading = await self._below.read()
        there = {_key(one): one for one in reading.objects}
        laid = [_laid(one, there.get(key)) for key, one in self._changed.items()]
        kept = [one for key, one in there.items() if key not in self._changed]
        gone = tuple(one for one in reading.deleted if _key(one) not in self._changed)
        return structs.replace(reading, objects=(*kept, *laid), deleted=gone)

    async def changed(self) -> None:
        """Return when the hub below has something new."""
        await self._below.changed()


def _key(obj: HubObject) -> Key:
    return obj.kind, obj.namespace, obj.name


def _laid(changed: HubObject, below: HubObject | None) -> HubObject:
    if below is None:
        return changed
    metadata, before = _metadata(changed), _metadata(below)
    given = {key: before[key] for key in GIVEN if key in before and key not in metadata}
    return structs.replace(changed, content={**changed.content, "metadata": {**metadata, **given}})


def _metadata(obj: HubObject) -> Mapping[str, Any]:
    found = obj.content.get("metadata")
    return found if isinstance(found, Mapping) else {}
