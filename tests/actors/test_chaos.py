"""Anything at any time: after edits, restarts and failures in any order everything is right, and nothing was harmed."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from imps_multi.actors.service import Service
from imps_multi.model.fleet import BrakeLimits, Safety
from imps_multi.ports import Transient
from imps_multi.runtime.shutdown import StopSignal
from tests.actors.fake_cluster import FakeCluster, throttled, unauthorized
from tests.actors.fake_objects import Json, docker_config
from tests.actors.fakes import minted, policy, static
from tests.actors.stage import HOUR, Stage, ready, settled, until

pytestmark = pytest.mark.anyio

SPACES = [f"team-{number}" for number in range(6)]
APPS = ["web", "db", "job"]
OPEN = Safety(per_cluster=BrakeLimits(100.0, 1000), fleet=BrakeLimits(100.0, 1000))
Action = Callable[["Chaos"], None]


@dataclass
class Chaos:
    """Three clusters and somebody who does what nobody should."""

    seed: int
    stage: Stage = field(default_factory=Stage)
    foreign: dict[tuple[str, str], Json] = field(default_factory=dict)
    password: str = "p"
    wide: bool = True
    labels: list[str] = field(default_factory=lambda: ["web"])
    notes: list[str] = field(default_factory=list)
    """Pods with such a label, or such an annotation, select their namespace too."""

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)  # noqa: S311  # repeatable
        self.stage.safety.set(OPEN)
        self.stage.provider.life = 300.0
        for name in "abc":
            self.stage.cluster(name, *SPACES, "other")
        self.write_hub()

    @property
    def cluster(self) -> FakeCluster:
        return self.draw.choice(list(self.stage.clusters.values()))

    @property
    def target(self) -> tuple[FakeCluster, str] | None:
        cluster = self.cluster
        there = [
            space for space, name in cluster.secrets if name == "pull" and (cluster.name, space) not in self.foreign
        ]
        return (cluster, self.draw.choice(there)) if there else None

    def write_hub(self) -> None:
        names = ["team-*"] if self.wide else ["team-[0-3]"]
        pods = {
            "labels": [{"matchLabels": {"app": one}} for one in self.labels],
            "annotations": [{"matchAnnotations": {"app": one}} for one in self.notes],
        }
        immediate = {"deletionPolicy": "Immediate"}
        chosen = policy(sources=("static", "ecr"), namespaces={"names": names}, pods=pods, spec=immediate)
        self.stage.hub.mend(chosen, static(quay_io=self.password), minted())

    def heal(self) -> None:
        """Let everything work from now on."""
        self.stage.provider.error, self.stage.provider.hanging = None, False
        self.stage.store.failing = False
        for cluster in self.stage.clusters.values():
            cluster.latency, cluster.losing_answers = 0.0, 0
            cluster.write_error = lambda *_: None
            cluster.forbidden.clear()
            cluster.thaw()
            for space in SPACES:
                if space not in cluster.namespaces or cluster.namespaces[space].terminating:
                    if space in cluster.namespaces:
                        cluster.remove_namespace(space)
                    cluster.add_namespace(space)
        self.write_hub()

    def wanted(self, cluster: FakeCluster) -> set[str]:
        """Work out which namespaces are selected."""
        named = {space for space in SPACES if self.wide or space in SPACES[:4]}
        by_pods = {
            space
            for (space, _), (labels, notes) in cluster.pods.there.items()
            if labels.get("app") in self.labels or notes.get("app") in self.notes
        }
        return named | by_pods

    def check(self) -> None:
        """See that all is as it should be."""
        token = f"token-{len(self.stage.provider.mints)}"
        for cluster in self.stage.clusters.values():
            wanted = self.wanted(cluster)
            for space in wanted:
                if (cluster.name, space) not in self.foreign:
                    assert _passwords(cluster, space) == {"quay.io": self.password, "ecr.example": token}, cluster.name
            for (space, name), secret in cluster.secrets.items():
                mine = self.foreign.get((cluster.name, space))
                assert secret == mine if mine is not None else (space in wanted and name == "pull")


def _passwords(cluster: FakeCluster, space: str) -> dict[str, Any]:
    return {registry: entry["password"] for registry, entry in cluster.config(space, "pull").items()}


def go_down(chaos: Chaos) -> None:
    chaos.cluster.go_down()


def freeze(chaos: Chaos) -> None:
    chaos.cluster.freeze()


def refuse_login(chaos: Chaos) -> None:
    chaos.cluster.fail(unauthorized)


def throttle(chaos: Chaos) -> None:
    chaos.cluster.fail(throttled(2.0))


def thaw(chaos: Chaos) -> None:
    chaos.cluster.thaw()


def cut(chaos: Chaos) -> None:
    chaos.cluster.cut()


def expire(chaos: Chaos) -> None:
    chaos.cluster.expire()


def fall_silent(chaos: Chaos) -> None:
    chaos.cluster.fall_silent()


def lose_answers(chaos: Chaos) -> None:
    chaos.cluster.losing_answers = 3


def slow_down(chaos: Chaos) -> None:
    chaos.cluster.latency = chaos.draw.choice([0.0, 0.1, 1.5])


def fail_writes(chaos: Chaos) -> None:
    chaos.cluster.write_error = lambda *_: Transient("500", answered=True)


def forbid(chaos: Chaos) -> None:
    cluster = chaos.cluster
    cluster.forbidden.add("pull")
    cluster.cut()


def edit(chaos: Chaos) -> None:
    def spoil(secret: Json) -> None:
        secret["data"][".dockerconfigjson"] = docker_config(quay_io="spoilt", evil_example="x")

    if (target := chaos.target) is not None:
        target[0].edit(target[1], "pull", spoil)


def strip(chaos: Chaos) -> None:
    """Take one of our labels; with both gone, another process could not know it for ours."""

    def spoil(secret: Json) -> None:
        labels = secret["metadata"]["labels"]
        if len(labels) > 1:
            del labels[chaos.draw.choice(sorted(labels))]

    if (target := chaos.target) is not None:
        target[0].edit(target[1], "pull", spoil)


def delete(chaos: Chaos) -> None:
    if (target := chaos.target) is not None:
        target[0].remove(target[1], "pull")


def plant(chaos: Chaos) -> None:
    cluster, space = chaos.cluster, chaos.draw.choice(SPACES)
    if space in cluster.namespaces and (space, "pull") not in cluster.secrets:
        chaos.foreign[cluster.name, space] = cluster.put(space, "pull", data={"k": "dGhlaXJz"}, type="Opaque")


def unplant(chaos: Chaos) -> None:
    if chaos.foreign:
        name, space = chaos.draw.choice(sorted(chaos.foreign))
        del chaos.foreign[name, space]
        chaos.stage.clusters[name].remove(space, "pull")


def end_namespace(chaos: Chaos) -> None:
    cluster, space = chaos.cluster, chaos.draw.choice(SPACES)
    if (cluster.name, space) in chaos.foreign or space not in cluster.namespaces:
        return
    if cluster.namespaces[space].terminating:
        cluster.remove_namespace(space)
    else:
        cluster.terminate(space)


def add_namespace(chaos: Chaos) -> None:
    cluster, space = chaos.cluster, chaos.draw.choice(SPACES)
    if space not in cluster.namespaces:
        cluster.add_namespace(space)


def change_source(chaos: Chaos) -> None:
    chaos.password = f"p{chaos.draw.randrange(1000)}"
    chaos.write_hub()


def change_selection(chaos: Chaos) -> None:
    chaos.wide = not chaos.wide
    chaos.write_hub()


def change_pod_rules(chaos: Chaos) -> None:
    chaos.labels = chaos.draw.sample(APPS, chaos.draw.randrange(3))
    chaos.notes = chaos.draw.sample(APPS, chaos.draw.choice([0, 0, 1]))
    chaos.write_hub()


def run_pod(chaos: Chaos) -> None:
    cluster, space = chaos.cluster, chaos.draw.choice([*SPACES, "other"])
    if space in cluster.namespaces:
        labels, notes = ({"app": chaos.draw.choice(APPS)} for _ in range(2))
        cluster.run_pod(space, chaos.draw.choice(["pod-1", "pod-2"]), labels, notes)


def end_pod(chaos: Chaos) -> None:
    cluster = chaos.cluster
    if cluster.pods.there:
        cluster.end_pod(*chaos.draw.choice(sorted(cluster.pods.there)))


def forbid_pods(chaos: Chaos) -> None:
    cluster = chaos.cluster
    cluster.forbidden.add("pods")
    cluster.cut()


def spoil_hub(chaos: Chaos) -> None:
    chaos.stage.hub.spoil(chaos.draw.choice(["team", "static", "ecr"]))


def mend_hub(chaos: Chaos) -> None:
    chaos.write_hub()


def fail_registry(chaos: Chaos) -> None:
    chaos.stage.provider.error = chaos.draw.choice([None, Transient("503")])


def hang_registry(chaos: Chaos) -> None:
    chaos.stage.provider.hanging = chaos.draw.choice([True, False])


def fail_store(chaos: Chaos) -> None:
    chaos.stage.store.failing = chaos.draw.choice([True, False])


ACTIONS: list[Action] = [
    go_down,
    freeze,
    refuse_login,
    throttle,
    thaw,
    thaw,
    thaw,
    cut,
    expire,
    fall_silent,
    lose_answers,
    slow_down,
    fail_writes,
    forbid,
    edit,
    strip,
    delete,
    plant,
    unplant,
    end_namespace,
    add_namespace,
    change_source,
    change_selection,
    change_pod_rules,
    run_pod,
    run_pod,
    end_pod,
    forbid_pods,
    spoil_hub,
    mend_hub,
    fail_registry,
    hang_registry,
    fail_store,
]


async def live(chaos: Chaos, steps: int) -> None:
    """Run a service for a while and do things to its world; end it in order, or not."""
    service, stop = Service(chaos.stage.ports()), StopSignal()
    async with anyio.create_task_group() as group:
        group.start_soon(service.run, stop)
        for _ in range(steps):
            chaos.draw.choice(ACTIONS)(chaos)
            await anyio.sleep(chaos.draw.choice([0.0, 0.01, 0.2, 2.0, 15.0, 100.0]))
        if chaos.draw.random() < 0.5:
            group.cancel_scope.cancel()
        stop.set("enough")
    for cluster in chaos.stage.clusters.values():
        assert (cluster.in_flight, cluster.open_clients, cluster.streams) == (0, 0, [])


@pytest.mark.parametrize("seed", range(6))
async def test_after_anything_everything_is_right_and_rests(seed: int) -> None:
    chaos = Chaos(seed)
    for _ in range(chaos.draw.randrange(1, 5)):
        await live(chaos, chaos.draw.randrange(5, 20))
    async with chaos.stage.running() as service:
        for _ in range(10):
            chaos.draw.choice(ACTIONS)(chaos)
            await anyio.sleep(chaos.draw.choice([0.1, 5.0]))
        chaos.heal()
        await anyio.sleep(400.0)
        chaos.stage.provider.life = 1000 * HOUR
        await anyio.sleep(400.0)
        await settled(service)
        chaos.check()
        state = ("False", "Conflict") if _in_the_way(chaos) else ("True", "AllSynced")
        await until(lambda: ready(service) == state)
        writes = chaos.stage.writes
        await anyio.sleep(HOUR / 2)
        assert chaos.stage.writes == writes
    assert chaos.stage.signals.crashes == []
    async with chaos.stage.running() as service:
        await settled(service)
        await anyio.sleep(60.0)
        assert chaos.stage.writes == writes


def _in_the_way(chaos: Chaos) -> bool:
    return any(space in chaos.wanted(chaos.stage.clusters[name]) for name, space in chaos.foreign)
