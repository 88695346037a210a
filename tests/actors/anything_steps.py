"""What may happen, one small step each: to the hub, in the clusters, to the network, to the store and to time.

A step does what somebody else would do, and says in a word whom it met. ``anything`` is what they change.
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace

from anyio import current_time

from imps_multi.actors.service import Service
from imps_multi.model.observed import NamespaceRecord
from imps_multi.ports import Transient
from tests.actors.anything import DELETIONS, NAMES, POLICIES, SAFETIES, SOURCES, SPACES, Anything, Spec
from tests.actors.fake_cluster import Where, throttled, unauthorized
from tests.actors.fake_objects import Json, docker_config
from tests.actors.fakes import minted, secret, static
from tests.actors.judged_cluster import JudgedCluster
from tests.actors.letting_go import OPEN

Step = Callable[[Anything, Service], object]
MARKS = ("app.kubernetes.io/managed-by", "imps-multi.io/hub")
FORMER = {"app.kubernetes.io/managed-by": "imps-multi", "imps-multi.io/hub": "former"}
THEIRS = b64encode(b'{"auths":{"theirs.example.com":{"auth":"dTpw"}}}').decode()


def _cluster(world: Anything) -> JudgedCluster:
    return world.draw.choice(list(world.clusters.values()))


def _target(world: Anything) -> tuple[JudgedCluster, Where] | None:
    cluster = _cluster(world)
    return (cluster, world.draw.choice(sorted(cluster.secrets))) if cluster.secrets else None


# the hub


def write_policy(world: Anything, _: Service) -> str:
    draw = world.draw
    spec = Spec(
        draw.choice(POLICIES),
        secret=draw.choice(NAMES),
        namespaces=draw.choice([("team-*",), ("team-0",), ("team-[01]",), ()]),
        tier=draw.choice(["", "", "x"]),
        app=draw.choice(["", "", "web"]),
        clusters=draw.choice([("*",), ("*",), ("a",), ("[bc]",)]),
        sources=tuple(draw.sample(SOURCES, draw.randrange(1, 3))),
        conflict=draw.choice(["Fail", "Adopt", "Adopt"]),
        deletion=draw.choice(DELETIONS),
        label=draw.choice(["", "", "gold"]),
    )
    world.write(spec)
    return str(spec)


def edit_policy(world: Anything, _: Service) -> str:
    if not world.hub:
        return ""
    spec = world.hub[world.draw.choice(sorted(world.hub))]
    edits = (
        replace(spec, conflict="Adopt" if spec.conflict == "Fail" else "Fail"),
        replace(spec, deletion=world.draw.choice(DELETIONS)),
        replace(spec, suspend=not spec.suspend),
        replace(spec, valid=not spec.valid),
        replace(spec, secret=world.draw.choice(NAMES)),
        replace(spec, namespaces=("team-*",) if spec.namespaces != ("team-*",) else ("team-1",)),
    )
    chosen = world.draw.choice(edits)
    world.write(chosen)
    return str(chosen)


def erase_policy(world: Anything, _: Service) -> str:
    if not world.hub:
        return ""
    name = world.draw.choice(sorted(world.hub))
    world.erase(name)
    return name


def approve(world: Anything, service: Service) -> str:
    held = [one.id for one in service.braker.held.value]
    if not (held and world.hub):
        return ""
    spec = world.hub[world.draw.choice(sorted(world.hub))]
    world.write(replace(spec, approve=held[0]))
    return held[0]


def change_password(world: Anything, _: Service) -> None:
    world.last_word = f"p{world.draw.randrange(1000)}"
    world.stage.hub.put(static(quay_io=world.last_word))


def spoil_source(world: Anything, _: Service) -> None:
    world.stage.hub.put(secret("two", {".dockerconfigjson": "{"}, "kubernetes.io/dockerconfigjson"))


def remove_source(world: Anything, _: Service) -> str:
    name = world.draw.choice(SOURCES)
    if f"Secret {name}" in world.stage.hub.objects:
        world.stage.hub.remove(name, kind="Secret")
    return name


def mend_sources(world: Anything, _: Service) -> None:
    world.stage.hub.put(static(quay_io=world.last_word), static("two", ghcr_io="g"), minted())


def break_hub(world: Anything, _: Service) -> str:
    name = world.draw.choice([*POLICIES, *SOURCES])
    world.stage.hub.spoil(name)
    world.unsettle()
    return name


def lose_hub(world: Anything, _: Service) -> None:
    """Nothing of it can be read."""
    world.stage.hub.spoil(*POLICIES, *SOURCES)
    world.unsettle()


def mend_hub(world: Anything, service: Service) -> None:
    world.stage.hub.mend(*(one.manifest() for one in world.hub.values()))
    mend_sources(world, service)
    world.unsettle()


# namespaces, pods, Secrets


def change_namespace(world: Anything, _: Service) -> str:
    cluster, name = _cluster(world), world.draw.choice(SPACES)
    there: NamespaceRecord | None = cluster.namespaces.get(name)
    if there is None or (not there.terminating and world.draw.random() < 0.7):
        cluster.add_namespace(name, {"tier": world.draw.choice("xy")})
    elif there.terminating:
        cluster.remove_namespace(name)
    else:
        cluster.terminate(name)
    return f"{cluster.name}/{name}"


def change_pods(world: Anything, _: Service) -> str:
    cluster, name = _cluster(world), world.draw.choice(SPACES)
    if (name, "pod-1") in cluster.pods.there:
        cluster.end_pod(name)
    elif name in cluster.namespaces:
        cluster.run_pod(name, labels={"app": world.draw.choice(["web", "db"])})
    return f"{cluster.name}/{name}"


def change_references(world: Anything, _: Service) -> str:
    cluster, where = _cluster(world), (world.draw.choice(SPACES), world.draw.choice(NAMES))
    if cluster.named_by.pop(where, None) is None:
        cluster.named_by[where] = "Pod web-1"
    return f"{cluster.name}/{where}"


def plant(world: Anything, _: Service) -> str:
    """Somebody else makes a Secret, in the place of what lay there."""
    cluster, (namespace, name) = _cluster(world), (world.draw.choice(SPACES), world.draw.choice(NAMES))
    if namespace not in cluster.namespaces:
        return ""
    if (namespace, name) in cluster.secrets:
        cluster.remove(namespace, name)
    owner = {"apiVersion": "v1", "kind": world.draw.choice(["Other", "ImagePullSecret"]), "name": "o", "uid": "o"}
    forms: tuple[tuple[dict[str, str], dict[str, str], list[Json]], ...] = (
        ({"team": "x"}, {}, []),
        ({"app.kubernetes.io/managed-by": "Helm"}, {}, []),
        ({"app.kubernetes.io/managed-by": "imps-multi"}, {}, []),
        (FORMER, {"imps-multi.io/policy": "alpha"}, []),
        ({"images.banzaicloud.io/owner-uid": "u"}, {"banzaicloud.com/last-applied": "c"}, [owner]),
        ({"team": "x"}, {"imps-multi.io/unwanted-since": "2020-01-01T00:00:00Z"}, [{**owner, "controller": True}]),
    )
    labels, annotations, owners = world.draw.choice(forms)
    metadata: Json = {"labels": dict(labels), "annotations": dict(annotations)}
    if owners:
        metadata["ownerReferences"] = owners
    kind = world.draw.choice(["kubernetes.io/dockerconfigjson", "kubernetes.io/dockerconfigjson", "Opaque"])
    cluster.put(namespace, name, metadata=metadata, type=kind, data={".dockerconfigjson": THEIRS})
    return f"{cluster.name}/{namespace}/{name} {kind} {labels} {owners}"


def edit_secret(world: Anything, _: Service) -> str:
    """Change what lies there, whoever's it is."""

    def change(found: Json) -> None:
        found["data"][".dockerconfigjson"] = docker_config(quay_io="spoilt", evil_example="x")
        found["metadata"]["labels"]["else"] = str(world.draw.randrange(100))

    if (target := _target(world)) is None:
        return ""
    cluster, where = target
    cluster.edit(*where, change)
    return f"{cluster.name}/{where}"


def strip_marks(world: Anything, _: Service) -> str:
    """Take some or all of our marks off; who was adopted may then not be known any more."""

    def change(found: Json) -> None:
        for label in MARKS:
            if world.draw.random() < 0.6:
                found["metadata"]["labels"].pop(label, None)
        for key in [one for one in found["metadata"]["annotations"] if one.startswith("imps-multi.io/")]:
            if world.draw.random() < 0.5:
                del found["metadata"]["annotations"][key]

    if (target := _target(world)) is None:
        return ""
    cluster, where = target
    cluster.witness.doubt(cluster.secrets[where])
    cluster.edit(*where, change)
    return f"{cluster.name}/{where}"


def take_over(world: Anything, _: Service) -> str:
    """Another hub, or another tool, takes a Secret for its own."""
    if (target := _target(world)) is None:
        return ""
    cluster, where = target
    labels = world.draw.choice([FORMER, {"app.kubernetes.io/managed-by": "Helm"}])
    cluster.edit(*where, lambda found: found["metadata"]["labels"].update(labels))
    return f"{cluster.name}/{where} {labels}"


def delete_secret(world: Anything, _: Service) -> str:
    if (target := _target(world)) is None:
        return ""
    cluster, where = target
    cluster.remove(*where)
    return f"{cluster.name}/{where}"


# the network, the registry, the store, the configuration


def trouble(world: Anything, _: Service) -> str:
    cluster = _cluster(world)
    kinds: tuple[tuple[str, Callable[[], object]], ...] = (
        ("down", cluster.go_down),
        ("frozen", cluster.freeze),
        ("401", lambda: cluster.fail(unauthorized)),
        ("429", lambda: cluster.fail(throttled(2.0))),
        ("cut", cluster.cut),
        ("expired", cluster.expire),
        ("silent", cluster.fall_silent),
    )
    kind, happen = world.draw.choice(kinds)
    happen()
    return f"{cluster.name} {kind}"


def fail_writes(world: Anything, _: Service) -> str:
    cluster = _cluster(world)
    match world.draw.randrange(4):
        case 0:
            cluster.losing_answers = 3
        case 1:
            cluster.write_error = lambda *_: Transient("500", answered=True)
        case 2:
            cluster.latency = world.draw.choice([0.1, 1.5])
        case _:
            cluster.forbidden.add(world.draw.choice([*NAMES, "pods"]))
            cluster.cut()
    return cluster.name


def recover(world: Anything, _: Service) -> str:
    cluster = _cluster(world)
    cluster.mend()
    return cluster.name


def all_is_well(world: Anything, service: Service) -> None:
    """Have everything work for a moment; what policies say stays."""
    mend_hub(world, service)
    world.stage.safety.set(OPEN)
    world.stage.store.failing, world.stage.provider.error = False, None
    world.away.clear()
    world.settings.update({name: {} for name in world.clusters})
    world.configure()
    for cluster in world.clusters.values():
        cluster.mend()


def change_registry(world: Anything, _: Service) -> None:
    world.stage.provider.error = world.draw.choice([None, None, Transient("503")])


def change_store(world: Anything, _: Service) -> None:
    world.stage.store.failing = world.draw.random() < 0.3
    world.unsettle()


def change_fleet(world: Anything, _: Service) -> str:
    cluster, kind = _cluster(world), world.draw.choice(["paused", "decommission", "away", "plain", "plain"])
    world.away.discard(cluster.name)
    world.settings[cluster.name] = {kind: True} if kind in ("paused", "decommission") else {}
    if kind == "away":
        world.away.add(cluster.name)
    world.configure()
    return f"{cluster.name} {kind}"


def change_brake(world: Anything, _: Service) -> None:
    world.stage.safety.set(world.draw.choice(SAFETIES))


def time_passes(world: Anything, _: Service) -> str:
    seconds = world.draw.choice([120.0, 1200.0, 3600.0, 4000.0, 86400.0, 8 * 86400.0])
    world.stage.clock.step(seconds)
    return f"{seconds} at {current_time():.0f}"


STEPS: tuple[Step, ...] = (
    *(write_policy, edit_policy, edit_policy, erase_policy, approve, change_password, spoil_source, remove_source),
    *(mend_sources, mend_sources, break_hub, lose_hub, mend_hub, mend_hub, mend_hub, mend_hub),
    *(change_namespace, change_namespace, change_pods, change_pods, change_references, change_references),
    *(plant, plant, plant, edit_secret, strip_marks, take_over, delete_secret, delete_secret),
    *(trouble, fail_writes, recover, recover, recover, change_registry, change_store, change_store),
    *(change_fleet, change_brake, time_passes, time_passes, all_is_well, all_is_well, all_is_well, all_is_well),
)
