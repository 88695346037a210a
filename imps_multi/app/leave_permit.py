"""What speaks against leaving now, and what must be known with it: an instance that would write all of it again.

Looks at a service that observes, and at the lock on the state directory. Read by ``leaving``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from imps_multi.actors.service import Service
from imps_multi.config.load import Loaded
from imps_multi.config.state import state_root
from imps_multi.hubs.state_directory import StateLock, StateLocked
from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.hub import HubSnapshot
from imps_multi.model.leave_result import LeaveProblem
from imps_multi.model.leaving import Errand, Manner
from imps_multi.model.matching import nearest_name
from imps_multi.model.names import PolicyName
from imps_multi.model.readiness import ANSWERED
from imps_multi.model.report import ClusterReport
from imps_multi.model.view import reaches
from imps_multi.model.world import Standing


class Instance(Struct, frozen=True):
    """Whether an instance may run on the same state: ``what`` says so, and ``stop`` how to let us know that none does.

    Both are empty where none runs.
    """

    what: str = ""
    stop: str = ""


NONE = Instance()


@contextmanager
def no_other(loaded: Loaded, *, stopped: bool) -> Iterator[Instance]:
    """Keep instances from starting meanwhile, or say that one runs.

    ``stopped``: somebody says that none does, which a hub in a cluster does not show.

    Raises:
        StateRefused: the state directory cannot be used.
        InvalidConfiguration: nothing says where it is.
    """
    if loaded.configuration.hub.in_a_cluster:
        yield NONE if stopped else Instance("an instance may be running", "stop it and say --stopped")
        return
    lock = StateLock(state_root(loaded))
    try:
        lock.acquire()
    except StateLocked as error:
        who = "an instance" if error.pid is None else f"the instance {error.pid}"
        yield Instance(f"{who} is running", "stop it")
        return
    try:
        yield NONE
    finally:
        lock.release()


def refusal(service: Service, errand: Errand, instance: Instance) -> str:
    """Say why an errand makes no sense now; empty where nothing speaks against it."""
    if not instance.what:
        return ""
    if errand.policy is not None:
        return _policy_refusal(service, errand.policy, errand.manner, instance)
    busy = [one.name for one in _settings(service) if not _lets(one, errand.manner)]
    if not busy:
        return ""
    return (
        f"{instance.what} and would write again in {', '.join(busy)}: {instance.stop}, or set paused: true there in "
        "the configuration first"
    )


def notes(service: Service, errand: Errand) -> Iterator[str]:
    """Say what the next run would undo."""
    world = service.world.value
    active = [one for one in world.policies.values() if one.standing is not Standing.DELETED and not one.policy.suspend]
    if errand.policy is not None:
        if any(one.policy.name == errand.policy for one in active):
            what = "writes again" if errand.manner is Manner.PURGE else "is in conflict with what was handed over"
            yield f"policy {errand.policy} is still in the hub: the next run {what}, unless it is suspended"
        return
    again = [
        one.name
        for one in _settings(service)
        if not (one.paused or one.observe) and any(reaches(policy.policy, one) for policy in active)
    ]
    if again:
        yield (
            f"policies still select {', '.join(again)}: take it out of the configuration, or set paused: true, else "
            "the next run writes there again"
        )


def problems(service: Service, errand: Errand, *, found: bool) -> Iterator[LeaveProblem]:
    """Say what keeps us from seeing everything of ours. ``found``: something of ours was."""
    world, hub = service.world.value, service.hub.get(HubSnapshot())
    for one in hub.problems if not hub.whole else ():
        yield LeaveProblem("hub", "NotWhole", f"{one.place}: {one.message}; Secret names may be missing")
    if not world.names:
        message = "neither hub nor state knows a Secret name; write those of the past into hub.formerSecretNames"
        yield LeaveProblem("hub", "NoNames", message)
    for report in service.reporter.facts().reports.values():
        yield from _of_cluster(report)
    known = world.policies.keys() | world.invalid.keys()
    if errand.policy is not None and not found and errand.policy not in known:
        near = nearest_name(errand.policy, known)
        hint = f" (did you mean {near}?)" if near else ""
        yield LeaveProblem(
            f"policy {errand.policy}", "Unknown", f"no such policy is known, and nothing carries its name{hint}"
        )


def unknown_cluster(service: Service, errand: Errand) -> str:
    """Say that the named cluster is not in the fleet; empty where it is, or none is named."""
    names = [one.name for one in _settings(service)]
    if errand.cluster is None or errand.cluster in names:
        return ""
    near = nearest_name(errand.cluster, names)
    return f"there is no cluster {errand.cluster}" + (f" (did you mean {near}?)" if near else "")


def _policy_refusal(service: Service, policy: PolicyName, manner: Manner, instance: Instance) -> str:
    world, hub = service.world.value, service.hub.get(HubSnapshot())
    resolved = world.policies.get(policy)
    gone = (resolved is None or resolved.standing is Standing.DELETED) and policy not in world.invalid
    if gone and hub.whole and manner is Manner.KEEP:
        return (
            f"{instance.what} and removes what policy {policy} left: {instance.stop}; or have the policy back with "
            "suspend: true, or with deletionPolicy: Retain before it is deleted"
        )
    if (gone and hub.whole) or (resolved is not None and not gone and resolved.policy.suspend):
        return ""
    return (
        f"{instance.what} and would write the Secrets of policy {policy} again: {instance.stop}, or delete the policy "
        "or set suspend: true in the hub first"
    )


def _lets(settings: ClusterSettings, manner: Manner) -> bool:
    """Say whether a running instance would leave a cluster as it is then."""
    return settings.paused or settings.observe or (settings.decommission and manner is Manner.PURGE)


def _of_cluster(report: ClusterReport) -> Iterator[LeaveProblem]:
    subject = f"cluster {report.settings.name}"
    for name, message in sorted(report.forbidden.items()):
        yield LeaveProblem(subject, "Forbidden", f"Secrets named {name} may not be read there: {message}")
    if not report.listed:
        contact = report.contact
        words = f"{contact.message or 'it did not answer in time'}; whatever of ours is there stays"
        yield LeaveProblem(subject, contact.reason or "Timeout", words, away=contact.reason not in ANSWERED)


def _settings(service: Service) -> list[ClusterSettings]:
    return [one.settings for one in service.ports.members.value]
