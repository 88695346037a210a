"""The stage: three sandbox clusters, a sandbox ECR, and the files that make a service of them.

It sets up and takes down, changes what the story asks it to change, and shows what lies in the stores. The service
knows none of this; it reads the files and asks the addresses in them.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio.to_thread

from imps_multi.demo import scenery
from imps_multi.demo.inspection import Lying, Picture, lying, picture
from imps_multi.demo.scenery import CLUSTERS, OTHERS, SECRET, SELECTED
from imps_multi.demo.surroundings import LOG, free_addresses
from imps_multi.sandbox.cluster import SandboxCluster
from imps_multi.sandbox.ecr import SandboxEcr

__all__ = ["Pace", "Stage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast it goes, in seconds."""

    lifetime: float = 20.0
    """How long an ECR token lives; the service renews it at half of that."""
    patience: float = 10.0
    """How long anything may take that should happen at once."""
    pause: float = 2.0
    """For the reader, between two scenes."""


class Stage:
    """Use as ``async with Stage(root, pace) as stage``.

    Attributes:
        wanted: The namespaces that should have the Secret now, by cluster.
        config: The configuration file.
        status_url: Where the service tells its status.
    """

    def __init__(self, root: Path, pace: Pace) -> None:
        self.root = root
        self.pace = pace
        self.config = root / "imps-multi.yaml"
        self.policy = root / "hub" / "policy.yaml"
        self.kubeconfig = root / "fleet.kubeconfig"
        self.log = root / LOG
        self.ecr = SandboxEcr(account=scenery.ACCOUNT, lifetime=pace.lifetime)
        self.clusters: Mapping[str, SandboxCluster] = {name: _cluster(name) for name in CLUSTERS}
        self.wanted = {name: set(SELECTED) for name in CLUSTERS}
        self.status_url = ""
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.ecr)
            for cluster in self.clusters.values():
                await stack.enter_async_context(cluster)
            await anyio.to_thread.run_sync(self._write_files)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    # -- what there is ---------------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """How many Secrets there should be."""
        return sum(map(len, self.wanted.values()))

    def lying(self, cluster: str) -> list[Lying]:
        """Look at every Secret of the demonstration's name in one cluster."""
        return lying(self.clusters[cluster].store.all("Secret"))

    def picture(self, cluster: str) -> Picture:
        """Compare one cluster with what should be there."""
        tokens = [issued.password for issued in self.ecr.issued]
        return picture(self.lying(cluster), self.wanted[cluster], tokens)

    def complete(self, *clusters: str) -> bool:
        """Whether these clusters, or all, are as they should be."""
        return bool(self.ecr.issued) and all(self.picture(name).complete for name in clusters or CLUSTERS)

    def uids(self, *clusters: str) -> dict[tuple[str, str], str]:
        """Return the UID of every Secret where one should be, by cluster and namespace."""
        names = clusters or CLUSTERS
        return {(name, space): uid for name in names for space, uid in self.picture(name).uids.items()}

    def writes(self, verb: str = "") -> int:
        """How many write requests the clusters have seen."""
        logs = [cluster.requests for cluster in self.clusters.values()]
        return sum(log.count(verb) if verb else log.write_count for log in logs)

    def life_left(self, token: int) -> float:
        """How many seconds a token, by its number from 1, is still valid."""
        return (self.ecr.issued[token - 1].expires_at - datetime.now(UTC)).total_seconds()

    # -- what happens to it ----------------------------------------------------------------------------------------

    def label(self, cluster: str, namespace: str) -> None:
        """Have a namespace selected, new or not."""
        labels = scenery.LABEL if namespace == scenery.LEGACY else {}
        self.clusters[cluster].store.add_namespace(namespace, labels)
        self.wanted[cluster].add(namespace)

    def spoil(self, cluster: str, namespace: str) -> None:
        """Edit the Secret as somebody with too many rights would."""
        store = self.clusters[cluster].store
        document = store.get("Secret", SECRET, namespace)
        assert document is not None
        store.put({**document, "data": {".dockerconfigjson": "eyJhdXRocyI6e319"}})

    def remove(self, cluster: str, namespace: str) -> None:
        """Delete the Secret."""
        self.clusters[cluster].store.delete("Secret", SECRET, namespace)

    async def edit_policy(self, *, apps: bool) -> None:
        """Save another version of the policy's manifest, as an editor would."""
        await anyio.to_thread.run_sync(_save, self.policy, scenery.policy(apps=apps))

    def _write_files(self) -> None:
        metrics, health, status = free_addresses(3)
        self.status_url = f"http://{status}/api/v1/status"
        key, url = self.ecr.credential, self.ecr.url
        self.policy.parent.mkdir()
        _save(self.policy, scenery.policy())
        content = scenery.sources(access_key=key.access_key, secret_key=key.secret_key, ecr_url=url)
        _save(self.policy.parent / "sources.yaml", content)
        _save(self.kubeconfig, scenery.kubeconfig(cluster.kubeconfig() for cluster in self.clusters.values()))
        host = url.removeprefix("http://")
        _save(self.config, scenery.configuration(ecr_host=host, metrics=metrics, health=health, status=status))


def _cluster(name: str) -> SandboxCluster:
    cluster = SandboxCluster(name=name)
    for namespace in sorted(SELECTED | OTHERS):
        cluster.store.add_namespace(namespace, scenery.labels_of(namespace))
    return cluster


def _save(path: Path, content: str) -> None:
    """Replace a file in one move; its reader skips names with a dot."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(content, encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(path)
