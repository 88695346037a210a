"""Collects why one namespace gets what it gets, from a service that observes: what ``plan --explain`` shows.

The model explains; this asks the cluster's book for what it knows, and the cluster who names the Secrets there.
"""

from collections.abc import Iterable

import anyio
from msgspec import structs

from imps_multi.actors.service import Service
from imps_multi.actors.station import Station
from imps_multi.app.members import cluster_names
from imps_multi.config.load import Loaded
from imps_multi.model.explain import Explanation, Scene, TargetAnswer, explain
from imps_multi.model.hub import HubSnapshot
from imps_multi.model.matching import nearest_name
from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.ports import PortError


class Unknown(Exception):
    """There is no cluster or namespace of that name; the message says what there is."""


def known_cluster(loaded: Loaded, name: str) -> None:
    """Check that the fleet has a cluster, before anything is asked.

    Raises:
        Unknown: it has not.
    """
    names = cluster_names(loaded)
    if name not in names:
        raise Unknown(f'there is no cluster "{name}"{_near(name, names)}')


async def explained(service: Service, cluster: str, namespace: str) -> Explanation | Unknown:
    """Explain a namespace of a cluster, from what a settled service knows."""
    station = next((one for one in service.setting.stations.values() if one.name == cluster), None)
    if station is None or not station.book.listing.whole:
        return Explanation(cluster, namespace, unreachable=_why_away(service, cluster))
    records = station.book.observed.namespaces
    record = records.get(NamespaceName(namespace))
    if record is None:
        return Unknown(f'cluster {cluster} has no namespace "{namespace}"{_near(namespace, records)}')
    made = explain(_scene(service, station, record.name))
    return structs.replace(made, targets=await _with_references(station, record.name, made.targets))


def _near(name: str, known: Iterable[str]) -> str:
    near = nearest_name(name, known)
    return f' (did you mean "{near}"?)' if near is not None else ""


def _why_away(service: Service, cluster: str) -> str:
    view = next((one for one in service.reporter.compute().clusters if one.name == cluster), None)
    return f"{view.reason}: {view.message}" if view is not None and view.reason else "it did not answer in time"


def _scene(service: Service, station: Station, namespace: NamespaceName) -> Scene:
    book, hub = station.book, service.hub.get(HubSnapshot())
    seen = {name: book.observed.secret(name, namespace) for name in book.listing.names}
    return Scene(
        view=book.view,
        labels=dict(station.member.settings.labels),
        record=book.observed.namespaces[namespace],
        seen={name: secret for name, secret in seen.items() if secret is not None},
        plans=book.plans(namespace, station.setting.clock()),
        remembered=book.past.remembered,
        forbidden=book.listing.forbidden,
        invalid=service.world.value.invalid,
        by_default={
            name for name, one in hub.policies.items() if one.in_force is not None and one.in_force.clusters is None
        },
        held=_held(service, station, namespace),
        pods=book.pods,
    )


def _held(service: Service, station: Station, namespace: NamespaceName) -> dict[SecretName, str]:
    return {
        wish.secret: one.id
        for one in service.braker.held.value
        for wish in one.members
        if (wish.cluster, wish.namespace) == (station.name, namespace)
    }


async def _with_references(
    station: Station, namespace: NamespaceName, targets: list[TargetAnswer]
) -> list[TargetAnswer]:
    """Ask, of all names at once, who there names the Secret."""
    named: dict[str, str | None] = {}

    async def ask(name: str) -> None:
        try:
            named[name] = await station.client.references(namespace, SecretName(name)) or ""
        except PortError:
            named[name] = None

    async with anyio.create_task_group() as group:
        for target in targets:
            group.start_soon(ask, target.secret)
    return [structs.replace(target, named_by=named[target.secret]) for target in targets]
