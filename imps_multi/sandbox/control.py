"""The remote control of a sandbox in a process of its own: counters, faults, objects, over HTTP on a port of its own.

For benchmarks and demonstrations, which must not share an interpreter with the servers. The port is not that of any
cluster, so that it answers while a cluster is frozen or refuses. Every answer is JSON; a fault is a POST of
`{"fault": NAME, ...}` with the arguments that the method of `Faults` takes.
"""

import resource
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from imps_multi.sandbox.cluster import SandboxCluster
from imps_multi.sandbox.ecr import SandboxEcr
from imps_multi.sandbox.ecr_faults import Nonsense
from imps_multi.sandbox.listener import Listener, Server
from imps_multi.sandbox.status import ApiError

__all__ = ["Control"]

_RULES = {"fail", "slow", "hang", "cut_requests", "lose_answers"}
_SWITCHES = {"freeze", "thaw", "silence", "speak", "cut"}
_PORT_SWITCHES = {"refuse", "mute", "heal"}

Reply = object


class _Namespaces(msgspec.Struct, forbid_unknown_fields=True):
    names: list[str]
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Control(Server):
    """One remote control for any number of clusters and an ECR endpoint."""

    def __init__(self, clusters: Mapping[str, SandboxCluster], ecr: SandboxEcr | None = None) -> None:
        self._clusters = dict(clusters)
        self._ecr = ecr
        super().__init__(Listener(self._handle))

    @property
    def url(self) -> str:
        """Where everything starts."""
        return f"{super().url}/_sandbox"

    async def _handle(self, request: BaseRequest) -> web.StreamResponse:
        body = await request.read()
        try:
            reply = await self._reply(request.method, request.path.strip("/").split("/"), body)
        except (LookupError, ApiError) as error:
            return web.json_response({"error": str(error)}, status=404)
        except (TypeError, ValueError, msgspec.DecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.Response(body=msgspec.json.encode(reply), content_type="application/json")

    async def _reply(self, method: str, parts: list[str], body: bytes) -> Reply:
        match method, parts:
            case "GET", ["_sandbox"]:
                return {"clusters": {name: cluster.url for name, cluster in self._clusters.items()}}
            case "GET", ["_sandbox", "usage"]:
                return _usage()
            case "GET", ["_sandbox", "counts"]:
                return _sums(self._clusters.values())
            case _, ["_sandbox", "ecr", *rest] if self._ecr is not None:
                return await _of_ecr(self._ecr, method, rest, body)
            case "GET", ["_sandbox", name, *rest]:
                return _look(self._clusters[name], rest)
            case _, ["_sandbox", name, *rest]:
                await _change(self._clusters[name], method, rest, body)
                return {}
        raise LookupError("nothing is served there")


def _usage() -> Reply:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpuSeconds": used.ru_utime + used.ru_stime, "peakRssKib": used.ru_maxrss}


def _sums(clusters: Iterable[SandboxCluster]) -> Reply:
    """Count for all clusters together, in one answer that costs them next to nothing."""
    counts: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for cluster in clusters:
        counts.update(_counts(cluster))
        statuses.update(_statuses(cluster))
    return {"counts": counts, "statuses": statuses}


def _counts(cluster: SandboxCluster) -> dict[str, int]:
    return {f"{verb} {what}".strip(): number for (verb, what), number in cluster.requests.counts.items()}


def _statuses(cluster: SandboxCluster) -> dict[str, int]:
    return {str(code): number for code, number in cluster.requests.statuses.items()}


def _look(cluster: SandboxCluster, parts: list[str]) -> Reply:
    match parts:
        case []:
            return _counters(cluster)
        case ["requests"]:
            return cluster.requests.recent
        case ["objects", kind]:
            return cluster.store.all(kind)
    raise LookupError("nothing is served there")


async def _change(cluster: SandboxCluster, method: str, parts: list[str], body: bytes) -> None:
    match method, parts:
        case "POST", ["clear"]:
            cluster.requests.clear()
        case "POST", ["faults"]:
            await _break(cluster, msgspec.json.decode(body, type=dict[str, object]))
        case "POST", ["namespaces"]:
            wanted = msgspec.json.decode(body, type=_Namespaces)
            for name in wanted.names:
                cluster.store.add_namespace(name, wanted.labels, wanted.annotations)
        case "POST", ["objects"]:
            cluster.store.put_all(msgspec.json.decode(body, type=list[dict[str, object]]))
        case "DELETE", ["objects", kind, *place, name]:
            cluster.store.delete(kind, name, *place)
        case _:
            raise LookupError("nothing is served there")


def _counters(cluster: SandboxCluster) -> Reply:
    log = cluster.requests
    return {
        "url": cluster.url,
        "identity": cluster.identity,
        "version": cluster.store.version,
        "watches": cluster.watches,
        "writes": log.write_count,
        "inFlight": log.in_flight,
        "mostInFlight": log.most_in_flight,
        "counts": _counts(cluster),
        "statuses": _statuses(cluster),
    }


async def _break(cluster: SandboxCluster, order: dict[str, object]) -> None:
    name = str(order.pop("fault", ""))
    if name in _PORT_SWITCHES:
        switch: Callable[[], Awaitable[None]] = getattr(cluster.faults, name)
        await switch()
        return
    others: dict[str, Callable[..., object]] = {
        "compact": cluster.store.compact,
        "bookmarks": cluster.send_bookmarks,
        "refuse_tokens": cluster.access.refuse,
        "accept_tokens": cluster.access.accept,
        "deny": cluster.access.deny,
        "allow": cluster.access.allow,
    }
    if name in _RULES | _SWITCHES:
        getattr(cluster.faults, name)(**order)
    elif name in others:
        others[name](**order)
    else:
        raise LookupError(f"no such fault: {name!r}")


async def _of_ecr(ecr: SandboxEcr, method: str, parts: list[str], body: bytes) -> Reply:
    match method, parts:
        case "GET", []:
            return {"url": ecr.url, "calls": dict(ecr.calls), "issued": len(ecr.issued)}
        case "POST", ["withdraw"]:
            ecr.withdraw()
        case "POST", ["lifetime"]:
            ecr.lifetime = msgspec.json.decode(body, type=float)
        case "POST", ["faults"]:
            await _break_ecr(ecr, msgspec.json.decode(body, type=dict[str, object]))
        case _:
            raise LookupError("nothing is served there")
    return {}


async def _break_ecr(ecr: SandboxEcr, order: dict[str, object]) -> None:
    fail: Callable[..., None] = ecr.faults.fail
    match order.pop("fault", None):
        case "fail":
            fail(**order)
        case "hang":
            ecr.faults.hang()
        case "nonsense":
            ecr.faults.talk_nonsense(Nonsense(order["kind"]))
        case "refuse":
            await ecr.faults.refuse()
        case "heal":
            await ecr.faults.heal()
        case other:
            raise LookupError(f"no such fault: {other!r}")
