"""A fake cluster with a judge at its edge: every write of ours is looked at as it is made, and what is wrong is kept.

The judge knows nothing of plans. It asks ``Wants`` what policies may have said of late, and the witness whose a Secret
is. A verdict is kept and not raised: a service would take the error for a crash of its own. Feeds the driver that lets
anything happen.
"""

import traceback
from base64 import b64decode
from collections.abc import Callable
from typing import Any, Protocol

import anyio

from imps_multi.model.instant import parse_instant
from tests import kubelet
from tests.actors.fake_cluster import FakeCluster, Where
from tests.actors.fake_objects import Json
from tests.model.witness import POLICY, Witness

HOUR, WEEK = 3600.0, 7 * 86400.0
SINCE, DELETION = "imps-multi.io/unwanted-since", "imps-multi.io/deletion-policy"
GRACE = 60.0
"""So long a write may come after what forbids it: it was under way."""


class Wants(Protocol):
    """What the hub may have said of late."""

    def adopts(self, cluster: str, namespace: str, name: str) -> bool:
        """Say whether some policy may want a target, and adopt what lies there."""

    def immediate(self, policies: set[str], annotated: str) -> bool:
        """Say whether a target of these policies may go at once; ``annotated``: what the target says itself."""


class JudgedCluster(FakeCluster):
    """One cluster, its witness, and what the witness did not like."""

    def __init__(self, name: str, wants: Wants, clock: Callable[[], float], namespaces: tuple[str, ...]) -> None:
        self.witness = Witness(("mgmt",), ("tier",))
        self.violations: list[str] = []
        self.judged = 0
        self.deleted = 0
        self.off_since: float | None = None
        """Since when it is paused, or not configured."""
        self.decommissioned_until = 0.0
        self._wants = wants
        self._clock = clock
        self._looks: dict[Where, str | None] = {}
        self._policies: dict[str, set[str]] = {}
        super().__init__(name, namespaces=namespaces)
        self.after_look = self._looked

    def create(self, namespace: str, body: Json) -> Json:
        """POST."""
        after = super().create(namespace, body)
        self._judge(None, after)
        return after

    def replace(self, namespace: str, name: str, body: Json) -> Json:
        """PUT."""
        before = self.secrets.get((namespace, name))
        after = super().replace(namespace, name, body)
        self._judge(before, after)
        return after

    def patch(self, namespace: str, name: str, body: Json) -> Json:
        """PATCH."""
        before = self.secrets.get((namespace, name))
        after = super().patch(namespace, name, body)
        self._judge(before, after)
        return after

    def delete(self, namespace: str, name: str, uid: str, version: int) -> None:
        """DELETE: whatever was looked at before counts for this one alone."""
        where = namespace, name
        before, look = self.secrets.get(where), self._looks.pop(where, "nobody has looked")
        super().delete(namespace, name, uid, version)
        if before is not None:
            self.deleted += 1
            self._judge(before, None)
            self._keep(lambda: self._may_go(before, look))

    def put(self, namespace: str, name: str, **content: Any) -> Json:
        """Write a Secret as somebody else would."""
        stored = super().put(namespace, name, **content)
        self.witness.look([stored])
        return stored

    def edit(self, namespace: str, name: str, change: Callable[[Json], None]) -> None:
        """Change a Secret by hand."""
        self.witness.look([self.secrets[namespace, name]])
        super().edit(namespace, name, change)
        self.witness.look([self.secrets[namespace, name]])

    def restarted(self) -> None:
        """Take in that the process is a new one."""
        self.witness.forget(self.secrets.values())
        self.witness.look(self.secrets.values())
        self._looks.clear()

    def mend(self) -> None:
        """Let everything work again."""
        self.latency, self.losing_answers = 0.0, 0
        self.write_error = lambda *_: None
        self.forbidden.clear()
        self.thaw()

    def is_ours(self, secret: Json) -> bool:
        """Say whether a Secret is ours by its marks."""
        return self.witness.is_ours(secret)

    def _looked(self, namespace: str, name: str) -> None:
        self._looks[namespace, name] = self.named_by.get((namespace, name))

    def _judge(self, before: Json | None, after: Json | None) -> None:
        self.judged += 1
        found: Json = after or before or {}
        place = found["metadata"]["namespace"], found["metadata"]["name"]
        adopts = self._wants.adopts(self.name, *place)
        self._keep(lambda: self.witness.judge(before, after, adopts=adopts))
        self._keep(lambda: self._nothing_hangs_on(before, after))
        self._keep(lambda: self._a_kubelet_reads(before, after))
        self._keep(self._may_write)

    def _may_write(self) -> None:
        since = self.off_since
        assert since is None or anyio.current_time() - since <= GRACE, "a cluster is written to that is not to be"

    def _may_go(self, before: Json, look: str | None) -> None:
        if self.decommissioned_until > anyio.current_time():
            return
        annotations = before["metadata"]["annotations"]
        if self._wants.immediate(self._policies[before["metadata"]["uid"]], annotations.get(DELETION, "")):
            return
        since = parse_instant(annotations.get(SINCE, ""))
        assert since is not None, "a target is deleted that was not marked"
        if self._clock() - since < WEEK:
            assert self._clock() - since >= HOUR, "a target is deleted that has not lingered"
            assert look is None, f"a target is deleted that is named by {look}"

    def _nothing_hangs_on(self, before: Json | None, after: Json | None) -> None:
        if after is not None:
            there: Json = {"metadata": {}} if before is None else before
            for kind in ("finalizers", "ownerReferences"):
                had = there["metadata"].get(kind) or []
                assert all(one in had for one in after["metadata"].get(kind) or []), f"{kind} are set"

    def _a_kubelet_reads(self, before: Json | None, after: Json | None) -> None:
        if after is not None and (before is None or before["data"] != after["data"]):
            kubelet.keyring(after["type"], {key: b64decode(value) for key, value in after["data"].items()})

    def _keep(self, check: Callable[[], None]) -> None:
        try:
            check()
        except (AssertionError, KeyError):
            self.violations.append(f"{self.name}: {traceback.format_exc()}")

    def _store(self, body: Json, old: Json | None) -> Json:
        stored = super()._store(body, old)
        self._note_policy(stored["metadata"])
        return stored

    def _note_policy(self, metadata: dict[str, Any]) -> None:
        whose = self._policies.setdefault(metadata["uid"], set())
        if POLICY in metadata.get("annotations", {}):
            whose.add(metadata["annotations"][POLICY])
