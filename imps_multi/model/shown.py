"""What a hub in a cluster shows of its policies: the status that lies there, whoever wrote it.

Pure. Read from the objects of a reading; the reporter takes up from it after a start, and the publisher compares with
it. A status that cannot be read (another program's, an edit by hand) counts as none.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from imps_multi.model.hub import HubObject
from imps_multi.model.names import POLICY_KIND, PolicyName, Uid
from imps_multi.model.status import PolicyStatus


class Shown(Struct, frozen=True):
    """One policy as the hub shows it. ``raw`` is the status as read, ``version`` changes with every change of it."""

    uid: Uid
    version: str
    raw: Mapping[str, Any]
    status: PolicyStatus | None = None


def shown_policies(objects: Iterable[HubObject], before: Mapping[PolicyName, Shown]) -> Mapping[PolicyName, Shown]:
    """Return what is shown of every policy; what did not change is taken from ``before``, not read again."""
    return {
        PolicyName(one.name): _shown(one.content, before.get(PolicyName(one.name)))
        for one in objects
        if one.kind == POLICY_KIND
    }


def _shown(content: Mapping[str, Any], before: Shown | None) -> Shown:
    metadata, status = _mapping(content.get("metadata")), _mapping(content.get("status"))
    uid, version = str(metadata.get("uid", "")), str(metadata.get("resourceVersion", ""))
    if before is not None and before.raw == status:
        return before if (before.uid, before.version) == (uid, version) else _with(before, uid, version)
    return Shown(Uid(uid), version, status, _decoded(status))


def _with(before: Shown, uid: str, version: str) -> Shown:
    return Shown(Uid(uid), version, before.raw, before.status)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _decoded(raw: Mapping[str, Any]) -> PolicyStatus | None:
    """Read a status; nulls are as if absent, as an API server drops them."""
    given = {key: value for key, value in raw.items() if value is not None}
    if not given:
        return None
    try:
        return msgspec.convert(given, PolicyStatus)
    except msgspec.ValidationError:
        return None
