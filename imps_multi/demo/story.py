"""The story: nine scenes, each announced, carried out, and checked in the clusters' own stores.

A scene that fails is told in red and the story goes on, as far as it can: whoever watches should see what works. The
order counts, since later scenes build on what earlier ones left.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from imps_multi.demo.scene import CHECK_SECONDS, DidNotHappenError, Scene, duration
from imps_multi.demo.scenery import CLUSTERS, LEGACY, MORTAL, NEWCOMER, SECRET, foreign_secret
from imps_multi.demo.stage import Stage
from imps_multi.demo.table import times

__all__ = ["STORY", "Act", "Told", "perform", "summary"]

LIVING = tuple(name for name in CLUSTERS if name != MORTAL)
HALF_WITH_JITTER = 0.56
"""Of a token's life: when it is renewed at the latest."""


@dataclass(frozen=True, slots=True)
class Act:
    """One scene. Nothing comes after an ``essential`` one that failed."""

    title: str
    play: Callable[[Scene], Awaitable[None]]
    essential: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """How the story went: titles of scenes."""

    happened: tuple[str, ...]
    failed: tuple[str, ...]


async def perform(scene: Scene, acts: tuple[Act, ...]) -> Told:
    """Play the scenes in order."""
    happened: list[str] = []
    failed: list[str] = []
    for number, act in enumerate(acts, start=1):
        scene.begin(f"{number}. {act.title}")
        try:
            await act.play(scene)
        except DidNotHappenError as why:
            scene.failed(str(why))
            failed.append(act.title)
            if act.essential:
                break
        else:
            happened.append(act.title)
        await scene.pause()
    return Told(tuple(happened), tuple(failed))


async def fan_out(scene: Scene) -> None:
    """Every selected namespace gets the Secret, no other does, and ECR is asked once."""
    stage = scene.stage
    scene.say(f"The service starts with nothing: {stage.total} namespaces of three clusters are selected.")
    took = await scene.until(stage.complete, _missing(scene), seconds=2 * stage.pace.patience)
    scene.done(f"{stage.total} Secrets are right, {duration(took)} after the start; no other namespace has one.")
    _check_mints(scene, 1)
    scene.done("ECR was asked once for all of them.")


async def rotation(scene: Scene) -> None:
    """The token is renewed by itself, and every Secret is replaced in place."""
    stage = scene.stage
    uids, mints, writes = stage.uids(), stage.ecr.mints, stage.writes()
    scene.say(f"Nobody does anything. At half of its {stage.pace.lifetime:.0f} s the token is due for renewal ...")
    await _next_mint(scene, mints)
    took = await scene.until(stage.complete, "some Secrets still hold the old token")
    scene.done(f"All {stage.total} Secrets hold token #{stage.ecr.mints}, {duration(took)} after it was minted.")
    scene.check(stage.uids() == uids, "Secrets were replaced by new objects, not updated")
    sent = stage.writes() - writes
    scene.check(sent == stage.total, f"{sent} writes were sent for {stage.total} Secrets")
    _check_mints(scene, mints + 1)
    scene.done(f"Updated in place: every UID is what it was; {sent} writes, ECR was asked once more.")


async def death(scene: Scene) -> None:
    """A cluster dies: it is degraded alone, and the others get the next token in time."""
    stage, mints = scene.stage, scene.stage.ecr.mints
    scene.say(f"{MORTAL} dies: connections are refused.")
    await stage.clusters[MORTAL].faults.refuse()
    await scene.until(lambda: scene.witness.state(MORTAL)[0] == "Degraded", f"{MORTAL} was not reported as degraded")
    alone = all(scene.witness.state(name)[0] == "Up" for name in LIVING)
    scene.check(alone, f"other clusters than {MORTAL} were degraded too")
    scene.done(f"The service reports {MORTAL} as Degraded ({scene.witness.state(MORTAL)[1]}), and only that one.")
    scene.say("The next renewal comes, with one cluster missing ...")
    await _next_mint(scene, mints)
    took = await scene.until(lambda: stage.complete(*LIVING), "the living clusters did not get the new token")
    scene.done(f"{' and '.join(LIVING)} hold token #{stage.ecr.mints}, {duration(took)} after it was minted.")
    there = stage.picture(MORTAL)
    scene.check(there.older == there.wanted, f"{MORTAL} lost Secrets while it was away")
    left = stage.life_left(there.token)
    scene.done(f"{MORTAL} keeps token #{there.token} meanwhile, still valid for {left:.0f} s.")


async def comeback(scene: Scene) -> None:
    """The cluster comes back and is right again, without a restart."""
    stage, uids = scene.stage, scene.stage.uids(MORTAL)
    scene.say(f"{MORTAL} comes back.")
    await stage.clusters[MORTAL].faults.heal()
    took = await scene.until(lambda: stage.complete(MORTAL), f"{MORTAL} is not right again")
    scene.check(stage.uids(MORTAL) == uids, f"Secrets of {MORTAL} are not the objects they were")
    scene.done(f"Found, and all its {len(uids)} Secrets right, within {duration(took)}; nothing was restarted.")


async def arrival(scene: Scene) -> None:
    """A new namespace is served at once."""
    where = CLUSTERS[0]
    scene.say(f"Somebody creates the namespace {NEWCOMER} in {where}.")
    scene.stage.label(where, NEWCOMER)
    took = await scene.until(lambda: _right(scene, where, NEWCOMER), f"{where}/{NEWCOMER} got no Secret")
    scene.done(f"Its Secret is there after {duration(took)}.")


async def tampering(scene: Scene) -> None:
    """An edited Secret and a deleted one are repaired."""
    stage, (first, second, _) = scene.stage, CLUSTERS
    uid = _uid(scene, first, "app-03")
    scene.say(f"Somebody empties the Secret in {first}/app-03.")
    stage.spoil(first, "app-03")
    took = await scene.until(lambda: _right(scene, first, "app-03"), "the edited Secret was not repaired")
    scene.check(_uid(scene, first, "app-03") == uid, "the edited Secret was replaced by another object")
    scene.done(f"Repaired after {duration(took)}.")
    _uid(scene, second, "app-05")
    scene.say(f"Somebody deletes the Secret in {second}/app-05.")
    stage.remove(second, "app-05")
    took = await scene.until(lambda: _right(scene, second, "app-05"), "the deleted Secret did not come back")
    scene.done(f"Back after {duration(took)}.")


async def conflict(scene: Scene) -> None:
    """A Secret of the same name that is somebody else's is left alone."""
    stage, where = scene.stage, CLUSTERS[1]
    store = stage.clusters[where].store
    store.put(foreign_secret(LEGACY))
    before = store.get("Secret", SECRET, LEGACY)
    scene.say(f"{where}/{LEGACY} is selected now, but has a {SECRET} of its own, made by another tool.")
    stage.label(where, LEGACY)
    await scene.until(lambda: scene.witness.conflicts() == 1, "the conflict was not reported")
    scene.check(store.get("Secret", SECRET, LEGACY) == before, "somebody else's Secret was touched")
    scene.done("It is reported as a conflict, and not a byte of it is touched.")
    scene.say("Its owner deletes it.")
    stage.remove(where, LEGACY)
    took = await scene.until(lambda: _right(scene, where, LEGACY), f"{where}/{LEGACY} got no Secret")
    scene.done(f"Ours is there after {duration(took)}.")


async def brake(scene: Scene) -> None:
    """An edit that would remove too much is held, and what is held stays fresh."""
    stage, mints = scene.stage, scene.stage.ecr.mints
    uids = stage.uids()
    scene.say('Somebody edits the policy, and "app-*" is gone from it: most Secrets would be removed.')
    await stage.edit_policy(apps=False)
    await scene.until(lambda: scene.witness.held() is not None, "the edit was not held")
    held = scene.witness.held()
    assert held is not None
    scene.done(f"The brake holds {held[1]} removals under the id {held[0]}, until somebody approves.")
    scene.say("Until then they are kept, and kept fresh: the next renewal comes ...")
    await _next_mint(scene, mints)
    took = await scene.until(stage.complete, "held Secrets did not get the new token")
    scene.check(stage.uids() == uids, "Secrets were removed though they were held")
    marked = sum(one.unwanted for name in CLUSTERS for one in stage.lying(name))
    scene.check(not marked, f"{marked} Secrets were marked for removal though they were held")
    scene.done(f"All {stage.total} are there and hold token #{stage.ecr.mints}, {duration(took)} after it was minted.")
    scene.say("The edit is taken back.")
    await stage.edit_policy(apps=True)
    await scene.until(lambda: scene.witness.held() is None, "the hold did not end")
    scene.done("The hold is gone; nothing was lost.")


async def rest(scene: Scene) -> None:
    """At rest nothing is written."""
    stage = scene.stage
    await scene.until(stage.complete, _missing(scene), every=CHECK_SECONDS)
    mints, writes = stage.ecr.mints, stage.writes()
    scene.say("Everything is right. What does the service write now?")
    seconds = min(2.0, stage.pace.lifetime / 10)
    await _quiet(scene, seconds)
    if stage.ecr.mints == mints:
        scene.check(stage.writes() == writes, f"{stage.writes() - writes} writes were sent for nothing")
        scene.done(f"Nothing: not one write in {duration(seconds)}.")
    else:
        await scene.until(stage.complete, "the renewal did not reach everyone")
        scene.check(stage.writes() == writes + stage.total, "more was written than one Secret each")
        scene.done(f"Only what a renewal needs, which came just now: {stage.total} writes for as many Secrets.")


STORY = (
    Act("Credentials fan out", fan_out, essential=True),
    Act("The token rotates", rotation),
    Act("A cluster dies", death),
    Act("It comes back", comeback),
    Act("A namespace appears", arrival),
    Act("Secrets are tampered with", tampering),
    Act("A foreign Secret is in the way", conflict),
    Act("A careless edit", brake),
    Act("At rest", rest),
)


def summary(stage: Stage) -> str:
    """Sum up what was there and what it took."""
    creates, deletes = stage.writes("create"), stage.writes("delete")
    updates = stage.writes() - creates - deletes
    return (
        f"{stage.total} Secrets in {len(CLUSTERS)} clusters; ECR was asked {times(stage.ecr.mints)}; "
        f"{stage.writes()} writes: {creates} creates, {updates} updates, {deletes} deletes."
    )


async def _next_mint(scene: Scene, mints: int) -> None:
    pace = scene.stage.pace
    bound = pace.lifetime * HALF_WITH_JITTER + pace.patience
    await scene.until(lambda: scene.stage.ecr.mints > mints, "no new token was minted", seconds=bound)


async def _quiet(scene: Scene, seconds: float) -> None:
    mints, writes = scene.stage.ecr.mints, scene.stage.writes()
    try:
        await scene.until(lambda: (scene.stage.ecr.mints, scene.stage.writes()) != (mints, writes), "", seconds=seconds)
    except DidNotHappenError:
        return


def _check_mints(scene: Scene, expected: int) -> None:
    asked = scene.stage.ecr.mints
    scene.check(asked == expected, f"ECR was asked {times(asked)} instead of {times(expected)}")


def _right(scene: Scene, cluster: str, namespace: str) -> bool:
    """Whether one namespace holds the newest token."""
    newest = scene.stage.ecr.issued[-1].password
    return any(one.password == newest for one in scene.stage.lying(cluster) if one.namespace == namespace)


def _uid(scene: Scene, cluster: str, namespace: str) -> str:
    uid = scene.stage.uids(cluster).get((cluster, namespace))
    if uid is None:
        raise DidNotHappenError(f"{cluster}/{namespace} has no Secret")
    return uid


def _missing(scene: Scene) -> str:
    total = scene.stage.total
    return f"not all of the {total} Secrets came to be right, or some are where none should be"
