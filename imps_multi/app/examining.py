"""Looks at everything that ``doctor`` judges: each cluster for itself, and the hub with its sources.

Writes and mints nothing. Clusters are looked at side by side, each within a bound, so that one that hangs delays none.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import anyio
from msgspec import Struct

from imps_multi.actors.contact import advised
from imps_multi.actors.service import Service
from imps_multi.app.commands import load_whole, run_on_loop
from imps_multi.app.hub_parts import HubUnreachable
from imps_multi.app.looking import look
from imps_multi.app.members import Members, members
from imps_multi.config.load import Loaded
from imps_multi.config.model import Configuration, HubConfig
from imps_multi.kube import kubeconfig
from imps_multi.kube.connection import Connection
from imps_multi.kube.examination import examine
from imps_multi.kube.hub_definition import INSTALL, READ, RENEW, Definition, read_definition
from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.kubeconfig import KubeconfigError
from imps_multi.kube.shared import Shared
from imps_multi.kube.state_secrets import StateSecrets, StateUnusable
from imps_multi.model import diagnosis
from imps_multi.model.diagnosis import OK, UNREACHABLE, WARNING, WRONG, Away, Check, Examined, Permission
from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.matching import glob_match
from imps_multi.model.names import HubId, NamespaceName
from imps_multi.model.status import ServiceStatus
from imps_multi.model.view import reaches
from imps_multi.model.world import World
from imps_multi.ports import NotFound, PortError, Transient, Unauthorized
from imps_multi.telemetry.logs import configure_logging

AT_ONCE = 32
PATIENCE = 15.0
"""Seconds for everything about one cluster."""

Names = frozenset[str]
"""Names of target Secrets."""
Permissions = Callable[[Names], Iterable[Permission]]
"""What we must be allowed to do in a cluster with targets of these names."""
HubPermissions = Callable[[Configuration], Iterable[Permission]]
"""What we must be allowed to do in the hub's cluster."""


class Patient(Struct, frozen=True):
    """A cluster to look at."""

    name: str
    connection: Connection
    request_timeout: float = 10.0


def patients(path: Path, contexts: Collection[str]) -> list[Patient]:
    """Return the clusters of a kubeconfig whose contexts match.

    Raises:
        ValueError: it cannot be read, or nothing in it matches.
    """
    try:
        read = kubeconfig.load(path)
        found = [name for name in read.contexts if any(glob_match(pattern, name) for pattern in contexts)]
        if not found:
            raise ValueError(f"no context of {path} matches {', '.join(contexts)}")
        return [Patient(name, read.connection(name)) for name in found]
    except (KubeconfigError, OSError) as error:
        raise ValueError(str(error)) from error


def examine_kubeconfig(found: list[Patient], permissions: Permissions, *, names: Names, renew: str) -> list[Check]:
    """Look at clusters that no configuration names."""
    configure_logging("console", "error")
    asked = {patient.name: names for patient in found}
    return run_on_loop(lambda: _clusters(found, permissions, asked, renew=renew))


def examine_fleet(
    config: Path, permissions: Permissions, of_hub: HubPermissions, *, names: Names, renew: str
) -> list[Check]:
    """Look at the hub and at every cluster of a configuration; ``names`` are asked for beside those in use.

    Raises:
        InvalidConfiguration: it cannot be used.
    """
    loaded = load_whole(config)
    fleet = members(loaded, Shared(hub=HubId(loaded.configuration.hub.id)))
    found = [
        Patient(one.settings.name, connection, min(one.settings.request_timeout, PATIENCE))
        for one, connection in zip(fleet.members, fleet.connections, strict=True)
    ]
    configure_logging("console", "error")

    async def all_of_it() -> list[Check]:
        hub, world = await _hub(loaded, fleet, of_hub)
        asked = {str(one.settings.name): names | names_there(world, one.settings) for one in fleet.members}
        return [*hub, *await _clusters(found, permissions, asked, renew=renew)]

    return run_on_loop(all_of_it)


def names_there(world: World, settings: ClusterSettings) -> Names:
    """Return the Secret names that matter in a cluster: of the policies that reach it, and those of the past."""
    now = {one.policy.secret.name for one in world.policies.values()}
    here = {one.policy.secret.name for one in world.policies.values() if reaches(one.policy, settings)}
    return frozenset(map(str, here | (world.names - now)))


async def _clusters(
    found: Iterable[Patient], permissions: Permissions, names: Mapping[str, Names], *, renew: str
) -> list[Check]:
    seen: dict[str, Examined | Away] = {}
    limiter = anyio.CapacityLimiter(AT_ONCE)
    shared = Shared(hub=HubId("doctor"))

    async def one(patient: Patient) -> None:
        async with limiter:
            seen[patient.name] = await _examined(patient, permissions(names[patient.name]), shared)

    async with anyio.create_task_group() as group:
        for patient in found:
            group.start_soon(one, patient)
    ordered = {patient.name: seen[patient.name] for patient in found}
    return list(diagnosis.of_clusters(ordered, now=time.time(), renew=renew))


async def _examined(patient: Patient, permissions: Iterable[Permission], shared: Shared) -> Examined | Away:
    try:
        with anyio.fail_after(PATIENCE):
            return await examine(
                patient.connection, permissions, request_timeout=patient.request_timeout, shared=shared
            )
    except TimeoutError:
        return Away("Timeout", f"no answer within {PATIENCE:.0f} seconds")
    except Transient as failure:
        return Away(failure.reason.value, str(failure), answered=failure.answered)
    except PortError as failure:
        told = advised(failure) if isinstance(failure, Unauthorized) else str(failure)
        return Away(failure.reason.value, told, answered=True)


async def _hub(loaded: Loaded, fleet: Members, permissions: HubPermissions) -> tuple[list[Check], World]:
    """Look at the hub as the service would, and at no cluster; return what it wants too."""
    hub = loaded.configuration.hub
    subject = f"hub {hub.id}"
    definition = []
    if fleet.hub is not None:
        definition = await _server(fleet.hub, loaded, permissions(loaded.configuration))
    if any(check.check in {"reachable", "CRD"} and check.state in {WRONG, UNREACHABLE} for check in definition):
        return definition, World()
    try:
        status, world = await look(loaded, _taken, fleet=False)
    except HubUnreachable as error:
        return [*definition, Check(subject, "reachable", UNREACHABLE, str(error))], World()
    untried = {str(ref) for ref, source in world.sources.items() if source.supposed}
    kind = "in a cluster" if hub.in_a_cluster else f"directory {hub.directory}"
    return [*definition, *diagnosis.of_hub(status, kind=kind, untried=untried)], world


async def _taken(service: Service) -> tuple[ServiceStatus, World]:
    return service.reporter.compute(), service.world.value


async def _server(connection: Connection, loaded: Loaded, permissions: Iterable[Permission]) -> list[Check]:
    """Look at the hub's API server, at the definition of policies there, and at the namespace of the state."""
    subject, renew = f"hub {loaded.configuration.hub.id}", f"imps-multi rbac --role hub -c {loaded.path}"
    found = await _examined(Patient(subject, connection), permissions, Shared(hub=HubId("doctor")))
    checks = list(diagnosis.of_one(subject, found, now=time.time(), renew=renew))
    if isinstance(found, Away):
        return checks
    link = HubLink(connection, request_timeout=PATIENCE, shared=Shared(hub=HubId("doctor")))
    try:
        state = [] if found.refused else await _state(link, loaded.configuration.hub, subject)
        return [*checks, *await _definition(link, subject), *state]
    finally:
        await link.aclose()


async def _state(link: HubLink, hub: HubConfig, subject: str) -> list[Check]:
    """See whether state can be stored, which the server says without storing any."""
    namespace = NamespaceName(hub.namespace)
    store = StateSecrets(link, namespace, HubId(hub.id), on_unreadable=lambda *_: None, rand=random.random)
    try:
        await store.check()
    except (StateUnusable, PortError) as problem:
        return [Check(subject, "state", WRONG, str(problem))]
    return [Check(subject, "state", OK, f"in {namespace}")]


async def _definition(link: HubLink, subject: str) -> list[Check]:
    """Look at the CustomResourceDefinition in the hub."""
    try:
        return _of_definition(read_definition(await link.call(READ)), subject)
    except NotFound:
        return [Check(subject, "CRD", WRONG, f"ImagePullSecret is not installed; install it: {INSTALL}")]
    except Transient as failure:
        return [Check(subject, "reachable", WRONG if failure.answered else UNREACHABLE, str(failure))]
    except PortError as failure:
        return [Check(subject, "CRD", WRONG, str(failure))]


def _of_definition(definition: Definition, subject: str) -> list[Check]:
    if definition.terminating:
        return [Check(subject, "CRD", WRONG, "it is being deleted, and every policy with it")]
    if definition.missing:
        lacks = ", ".join(definition.missing)
        return [Check(subject, "CRD", WARNING, f"it is an old one, without {lacks}; renew it: {RENEW}")]
    return [Check(subject, "CRD", OK, "complete")]
