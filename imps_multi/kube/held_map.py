"""The ConfigMap of a hub in a cluster that shows what is held: one key for each id, for people and their tools to read.

Fed by the brake whenever what is held changes; nothing reads it back. Made when there is first something to show.
"""

import json
from typing import Any, Final
from urllib.parse import quote

import msgspec

from imps_multi.kube.decode import PARTIAL
from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.secret_calls import MANAGED
from imps_multi.kube.transport import Call
from imps_multi.model.names import HUB_LABEL, MANAGED_BY, MANAGED_BY_LABEL, HubId, NamespaceName
from imps_multi.ports import NotFound

NAME: Final = "imps-multi-held"


class HeldMap:
    """The ConfigMap of one hub."""

    def __init__(self, link: HubLink, namespace: NamespaceName, hub: HubId) -> None:
        self._link = link
        self._collection = f"/api/v1/namespaces/{quote(namespace, safe='')}/configmaps"
        self._metadata = {
            "name": NAME,
            "namespace": namespace,
            "labels": {MANAGED_BY_LABEL: MANAGED_BY, HUB_LABEL: hub},
        }

    async def show(self, content: bytes) -> None:
        """Show the sets of a document ``{"held": [{"id": …}, …]}``, and no others. Raises port errors."""
        body = self._body(content)
        try:
            path = f"{self._collection}/{NAME}{MANAGED}"
            await self._link.call(Call(f"replace ConfigMap {NAME}", "PUT", path, PARTIAL, body))
        except NotFound:
            await self._link.call(Call(f"create ConfigMap {NAME}", "POST", self._collection + MANAGED, PARTIAL, body))

    def _body(self, content: bytes) -> bytes:
        held: list[dict[str, Any]] = msgspec.json.decode(content)["held"]
        data = {one["id"]: json.dumps(one, indent=2, ensure_ascii=False) for one in held}
        return msgspec.json.encode({"apiVersion": "v1", "kind": "ConfigMap", "metadata": self._metadata, "data": data})
