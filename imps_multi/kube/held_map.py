"""The ConfigMap that shows what the brake holds, one held set to a key, and by which one can be let go.

For people and for ``approve``: it is what is left to see of policies that are gone, and of the limit over the fleet. It
decides nothing; ``app.held`` feeds it and takes approvals from it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.hub_objects import POLICIES
from imps_multi.kube.secret_calls import MANAGED, MERGE_PATCH
from imps_multi.kube.transport import Call
from imps_multi.model.names import (
    APPROVE_ANNOTATION,
    HUB_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    HubId,
    NamespaceName,
)
from imps_multi.model.status import HeldStatus
from imps_multi.ports import NotFound, Transient

NAME: Final = "imps-multi-held"


class _Meta(Struct):
    annotations: dict[str, str] | None = None


class _ConfigMap(Struct):
    metadata: _Meta = field(default_factory=_Meta)
    data: dict[str, str] | None = None


class HeldPage(Struct, frozen=True):
    """What the ConfigMap says: held sets by id, and the ids that somebody lets go; ``asked`` as it was written."""

    sets: Mapping[str, str]
    asked: str = ""

    @property
    def approvals(self) -> tuple[str, ...]:
        """Return the ids that were asked for."""
        return tuple(one.strip() for one in self.asked.split(",") if one.strip())


_DECODER: Final = msgspec.json.Decoder(_ConfigMap)


def told(held: HeldStatus) -> str:
    """Return a held set as text."""
    lines = [
        f"policy: {held.policy or '(the limit over the fleet)'}",
        f"clusters: {', '.join(held.clusters)}",
        f"deletions: {held.deletions}",
        f"why: {held.why}",
        f"to let it go: imps-multi approve {held.id}",
    ]
    return "\n".join(lines) + "\n"


def policy_of(text: str) -> str:
    """Return the policy that such a text names; empty for none."""
    head = text.partition("\n")[0]
    name = head.removeprefix("policy: ")
    return "" if name == head or name.startswith("(") else name


class HeldMap:
    """The ConfigMap of one hub."""

    def __init__(self, link: HubLink, namespace: NamespaceName, hub: HubId) -> None:
        self._link = link
        self._namespace = namespace
        self._hub = hub
        self._collection = f"/api/v1/namespaces/{quote(namespace, safe='')}/configmaps"

    async def read(self) -> HeldPage | None:
        """Return what it says; None where there is none."""
        call = Call(f"read ConfigMap {self._namespace}/{NAME}", "GET", f"{self._collection}/{NAME}")
        try:
            found = _DECODER.decode(await self._link.call(call))
        except NotFound:
            return None
        except msgspec.DecodeError:
            raise Transient(f"{call.what} on {self._link.server}: not a ConfigMap", answered=True) from None
        return HeldPage(found.data or {}, (found.metadata.annotations or {}).get(APPROVE_ANNOTATION, ""))

    async def show(self, sets: Iterable[HeldStatus]) -> None:
        """Let it say exactly this; where there is none, and nothing is held, there need be none."""
        wanted = {one.id: told(one) for one in sets}
        page = await self.read()
        if page is None:
            if wanted:
                await self._create(wanted)
            return
        change: dict[str, str | None] = dict.fromkeys(page.sets.keys() - wanted.keys())
        change |= {key: text for key, text in wanted.items() if page.sets.get(key) != text}
        if change:
            await self._patch({"data": change})

    async def ask(self, held_id: str) -> None:
        """Ask for a held set to be let go. Raises NotFound where there is no ConfigMap."""
        page = await self.read()
        before = page.approvals if page is not None else ()
        asked = ",".join(dict.fromkeys((*before, held_id)))
        await self._patch({"metadata": {"annotations": {APPROVE_ANNOTATION: asked}}})

    async def taken(self) -> None:
        """Take the approvals away once they were handed on."""
        await self._patch({"metadata": {"annotations": {APPROVE_ANNOTATION: None}}})

    async def _create(self, data: Mapping[str, str]) -> None:
        labels = {MANAGED_BY_LABEL: MANAGED_BY, HUB_LABEL: self._hub}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "labels": labels}, "data": data}
        what = f"make ConfigMap {self._namespace}/{NAME}"
        await self._link.call(Call(what, "POST", self._collection + MANAGED, body=msgspec.json.encode(body)))

    async def _patch(self, patch: Mapping[str, Any]) -> None:
        what = f"write ConfigMap {self._namespace}/{NAME}"
        path = f"{self._collection}/{NAME}{MANAGED}"
        body = msgspec.json.encode(patch)
        await self._link.call(Call(what, "PATCH", path, body=body, content_type=MERGE_PATCH))


async def ask_policy(link: HubLink, policy: str, annotation: str, value: str) -> None:
    """Annotate a policy, which is how a hub in a cluster is asked for something. Raises port errors."""
    body = msgspec.json.encode({"metadata": {"annotations": {annotation: value}}})
    path = f"{POLICIES}/{quote(policy, safe='')}{MANAGED}"
    await link.call(Call(f"annotate ImagePullSecret {policy}", "PATCH", path, body=body, content_type=MERGE_PATCH))
