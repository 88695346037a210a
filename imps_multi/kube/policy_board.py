"""Where a hub in a cluster shows how its policies stand: their status, and Events on them.

Implements the ``PolicyBoard`` port. Tried once per call; a status is only written over the version that was read last.
A like Event within the hour is counted up instead of made anew, as client-go's recorder does it.
"""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from imps_multi.kube.decode import PARTIAL
from imps_multi.kube.hub_cache import HubCache
from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.hub_objects import POLICIES
from imps_multi.kube.secret_calls import MERGE_PATCH, written
from imps_multi.kube.transport import Call
from imps_multi.model.names import FIELD_MANAGER, MANAGED_BY, POLICY_API_VERSION, POLICY_KIND, PolicyName, Uid
from imps_multi.model.status import PolicyStatus
from imps_multi.ports import Clock, Conflict, NotFound, PolicyEvent, Transient

EVENTS: Final = "/api/v1/namespaces/default/events"
"""Events on what has no namespace are kept in this one, as client-go does it."""
SAME_EVENT_SECONDS: Final = 3600.0
REMEMBERED: Final = 1000
LONGEST_MESSAGE: Final = 1024
"""Characters; an API server refuses more."""


class Posted(Struct, frozen=True):
    """An Event of ours."""

    name: str
    count: int
    at: float


class HubBoard:
    """The board of one hub, on what its cache has read."""

    def __init__(self, link: HubLink, cache: HubCache, *, clock: Clock, instance: str = "") -> None:
        self._link = link
        self._cache = cache
        self._clock = clock
        self._instance = instance
        self._posted: OrderedDict[PolicyEvent, Posted] = OrderedDict()

    async def put_status(self, policy: PolicyName, uid: Uid, status: PolicyStatus) -> None:
        """PUT the status; see ``ports.PolicyBoard``."""
        item = self._cache.policy(policy)
        if item is None:
            raise NotFound(f"there is no policy {policy} in the hub")
        if item.uid != uid:
            raise Conflict(f"policy {policy} was made anew")
        metadata = {"name": policy, "uid": item.uid, "resourceVersion": str(item.version)}
        body = msgspec.json.encode(
            {
                "apiVersion": POLICY_API_VERSION,
                "kind": POLICY_KIND,
                "metadata": metadata,
                "status": _plain(msgspec.to_builtins(status)),
            }
        )
        path = f"{POLICIES}/{quote(policy, safe='')}/status?fieldManager={FIELD_MANAGER}"
        call = Call(f"write the status of ImagePullSecret {policy}", "PUT", path, PARTIAL, body)
        self._cache.note(policy, self._version(call, await self._link.call(call)))

    async def post_event(self, event: PolicyEvent) -> None:
        """POST an Event, or PATCH the count of a like one."""
        now = self._clock()
        known = self._posted.pop(event, None)
        if known is not None and now - known.at < SAME_EVENT_SECONDS:
            counted = Posted(known.name, known.count + 1, now)
            try:
                await self._link.call(_count_up(counted))
            except NotFound:  # an API server forgets them after an hour
                await self._link.call(_post(event, counted := self._first(event, now), self._instance))
        else:
            counted = self._first(event, now)
            await self._link.call(_post(event, counted, self._instance))
        self._posted[event] = counted
        if len(self._posted) > REMEMBERED:
            self._posted.popitem(last=False)

    def _first(self, event: PolicyEvent, now: float) -> Posted:
        told = f"{event.reason}\0{event.message}\0{now}".encode()
        return Posted(f"{event.policy[:200]}.{blake2b(told, digest_size=8).hexdigest()}", 1, now)

    def _version(self, call: Call, answer: bytes) -> int:
        try:
            return written(answer).resource_version
        except msgspec.DecodeError:
            raise Transient(f"{call.what} on {self._link.server}: not an answer of Kubernetes", answered=True) from None


def _post(event: PolicyEvent, posted: Posted, instance: str) -> Call:
    at = _time(posted.at)
    body: Mapping[str, Any] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": posted.name, "namespace": "default"},
        "involvedObject": {
            "apiVersion": POLICY_API_VERSION,
            "kind": POLICY_KIND,
            "name": event.policy,
            "uid": event.uid,
        },
        "type": "Warning" if event.warning else "Normal",
        "reason": event.reason,
        "message": event.message[:LONGEST_MESSAGE],
        "count": posted.count,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": MANAGED_BY},
        "reportingComponent": MANAGED_BY,
        "reportingInstance": instance,
    }
    return Call(f"post an Event on {event.policy}", "POST", EVENTS, PARTIAL, msgspec.json.encode(body))


def _count_up(posted: Posted) -> Call:
    body = msgspec.json.encode({"count": posted.count, "lastTimestamp": _time(posted.at)})
    return Call("count an Event up", "PATCH", f"{EVENTS}/{posted.name}", PARTIAL, body, MERGE_PATCH)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(value: Any) -> Any:
    """Leave out what is None: the resource has no field that may be null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    return [_plain(item) for item in value] if isinstance(value, list) else value
