"""One look at a cluster for ``doctor``: is it there, who does it take us for, what may we do, what time is it there.

Asks with the client's own transport, so that it finds what the service would find. Writes nothing: reviews of one's own
access are questions.
"""

from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import anyio
import msgspec
from msgspec import Struct, field

from imps_multi.kube.connection import BasicLogin, BearerToken, Connection, ExecSpec, KeyPair, TokenFile
from imps_multi.kube.shared import Shared
from imps_multi.kube.target_client import IDENTITY, VERSION, credential_source
from imps_multi.kube.transport import JSON, Call, Transport
from imps_multi.kube.wire import IDENTIFIED
from imps_multi.model.diagnosis import Examined, Permission, Refused
from imps_multi.model.instant import parse_instant
from imps_multi.ports import Forbidden, PortError, Transient

REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
IMPS_LEASE: Final = "73de1ad9.banzaicloud.io"
LEASES: Final = Call(
    "look for IMPS's Lease",
    "GET",
    f"/apis/coordination.k8s.io/v1/leases?fieldSelector=metadata.name%3D{IMPS_LEASE}",
)
AT_ONCE: Final = 8
"""Reviews under way in one cluster."""
LONGEST: Final = 200
"""So much of a reason is kept."""


class _Version(Struct, rename="camel"):
    git_version: str = ""


class _Answer(Struct):
    allowed: bool = False
    reason: str = ""


class _Review(Struct):
    status: _Answer = field(default_factory=_Answer)


class _LeaseSpec(Struct, rename="camel"):
    holder_identity: str | None = None
    renew_time: str | None = None


class _Lease(Struct):
    spec: _LeaseSpec = field(default_factory=_LeaseSpec)


class _Leases(Struct):
    items: list[_Lease] = []


async def examine(
    connection: Connection, permissions: Iterable[Permission], *, request_timeout: float, shared: Shared
) -> Examined:
    """Look at a cluster once.

    Raises:
        PortError: it cannot be reached, or does not let us in.
    """
    source = credential_source(connection, shared)
    transport = Transport(connection, source, request_timeout=request_timeout, shared=shared)
    try:
        await transport.prepare()
        return await _examined(transport, connection, tuple(permissions), shared)
    except msgspec.DecodeError as error:
        raise Transient(f"{transport.server} answers, and not as Kubernetes does") from error
    finally:
        await transport.aclose()


async def _examined(
    transport: Transport, connection: Connection, permissions: tuple[Permission, ...], shared: Shared
) -> Examined:
    before = shared.clock()
    body, date = await transport.look(VERSION)
    skew = _skew(date, before, shared.clock())
    version = msgspec.json.decode(body, type=_Version).git_version
    identity = await _identity(transport)
    refused = await _refused(transport, permissions)
    renewed, seen = await _imps(transport)
    return Examined(
        version=version,
        identity=identity,
        login=login_of(connection),
        skew=skew,
        asked=len(permissions),
        refused=tuple(sorted(refused)),
        imps_renewed=renewed,
        imps_looked=seen,
    )


async def _refused(transport: Transport, permissions: Iterable[Permission]) -> list[Refused]:
    """Ask about each permission, some at a time; raises what the first that could not be asked raised."""
    refused: list[Refused] = []
    failed: list[PortError] = []
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def review(permission: Permission) -> None:
        async with limiter:
            try:
                answer = msgspec.json.decode(await transport.call(_question(permission)), type=_Review).status
            except PortError as failure:
                failed.append(failure)
                return
        if not answer.allowed:
            refused.append(Refused(permission, answer.reason[:LONGEST]))

    async with anyio.create_task_group() as group:
        for permission in permissions:
            group.start_soon(review, permission)
    if failed:
        raise failed[0]
    return refused


def login_of(connection: Connection) -> str:
    """Say in words how we log in."""
    match connection.credential:
        case ExecSpec(command=command):
            return f"exec plugin {command}"
        case TokenFile(path=path):
            return f"token of {path}"
        case BearerToken():
            return "token"
        case KeyPair():
            return "client certificate"
        case BasicLogin():
            return "user and password"
        case _:
            return "no log-in"


async def _identity(transport: Transport) -> str:
    """Return the cluster's identity; empty where it may not be read, which the reviews tell."""
    try:
        return IDENTIFIED.decode(await transport.call(IDENTITY)).metadata.uid
    except Forbidden:
        return ""


async def _imps(transport: Transport) -> tuple[float | None, bool]:
    """Return when an IMPS that leads here renewed its Lease, and whether that could be looked at."""
    try:
        leases = msgspec.json.decode(await transport.call(LEASES), type=_Leases).items
    except PortError:
        return None, False
    held = [lease.spec.renew_time for lease in leases if lease.spec.holder_identity]
    return max(filter(None, map(parse_instant, held)), default=None), True


def _question(permission: Permission) -> Call:
    resource, _, subresource = permission.resource.partition("/")
    attributes = {
        "verb": permission.verb,
        "group": permission.group,
        "resource": resource,
        "subresource": subresource,
        "namespace": permission.namespace,
        "name": permission.name,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    return Call(f"ask whether we may {permission}", "POST", REVIEWS, body=msgspec.json.encode(body), content_type=JSON)


def _skew(date: str, before: float, after: float) -> float | None:
    """Return how far the server's clock is ahead, in seconds; its Date counts whole seconds, so a little is nothing."""
    try:
        there = parsedate_to_datetime(date).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return there - after if there > after else min(0.0, there + 1.0 - before)
