"""Who in a namespace still names a Secret: an unfinished pod or a ServiceAccount.

Pure: the requests, the narrow shapes of what comes, and the look at one page. Fed by ``target_client``, which turns the
pages; asked before a Secret that nobody wants is deleted.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from imps_multi.kube.transport import Call
from imps_multi.kube.wire import ListMeta
from imps_multi.model.names import NamespaceName, SecretName

PAGE: Final = 500
FINISHED: Final = frozenset({"Succeeded", "Failed"})
UNFINISHED: Final = quote("status.phase!=Succeeded,status.phase!=Failed", safe="")


class Named(Struct):
    """A reference by name."""

    name: str | None = None


class SecretVolume(Struct, rename="camel"):
    """A volume of one Secret."""

    secret_name: str | None = None


class Projection(Struct):
    """One source of a projected volume."""

    secret: Named | None = None


class Projected(Struct):
    """A projected volume."""

    sources: list[Projection] | None = None


class Volume(Struct):
    """A volume, as far as a Secret may be in it."""

    secret: SecretVolume | None = None
    projected: Projected | None = None


class ValueSource(Struct, rename="camel"):
    """Where a variable's value comes from."""

    secret_key_ref: Named | None = None


class Variable(Struct, rename="camel"):
    """An environment variable."""

    value_from: ValueSource | None = None


class VariablesSource(Struct, rename="camel"):
    """A source of many variables."""

    secret_ref: Named | None = None


class Container(Struct, rename="camel"):
    """A container of any kind."""

    env: list[Variable] | None = None
    env_from: list[VariablesSource] | None = None


class PodSpec(Struct, rename="camel"):
    """What of a pod may name a Secret."""

    image_pull_secrets: list[Named] | None = None
    volumes: list[Volume] | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None


class PodStatus(Struct):
    """A pod's phase."""

    phase: str = ""


class PodMeta(Struct):
    """A name."""

    name: str = ""


class Pod(Struct):
    """A pod."""

    metadata: PodMeta
    spec: PodSpec = field(default_factory=PodSpec)
    status: PodStatus = field(default_factory=PodStatus)


class ServiceAccount(Struct, rename="camel"):
    """A ServiceAccount."""

    metadata: PodMeta
    image_pull_secrets: list[Named] | None = None
    secrets: list[Named] | None = None


class PodPage(Struct):
    """One page of pods."""

    metadata: ListMeta
    items: list[Pod] | None = None


class ServiceAccountPage(Struct):
    """One page of ServiceAccounts."""

    metadata: ListMeta
    items: list[ServiceAccount] | None = None


POD_PAGE: Final = msgspec.json.Decoder(PodPage, strict=False)
SERVICE_ACCOUNT_PAGE: Final = msgspec.json.Decoder(ServiceAccountPage, strict=False)


def list_pods(namespace: NamespaceName, token: str) -> Call:
    """Ask for the unfinished pods of a namespace."""
    return _list("pods", namespace, f"fieldSelector={UNFINISHED}&limit={PAGE}", token)


def list_service_accounts(namespace: NamespaceName, token: str) -> Call:
    """Ask for the ServiceAccounts of a namespace."""
    return _list("serviceaccounts", namespace, f"limit={PAGE}", token)


def _list(kind: str, namespace: NamespaceName, query: str, token: str) -> Call:
    more = f"&continue={quote(token, safe='')}" if token else ""
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/{kind}?{query}{more}"
    return Call(f"list {kind} in {namespace}", "GET", path)


def naming_pod(pods: Sequence[Pod], name: SecretName) -> str | None:
    """Say which of the pods names the Secret."""
    for pod in pods:
        if pod.status.phase not in FINISHED and name in _named_by(pod.spec):
            return f"pod {pod.metadata.name}"
    return None


def naming_service_account(accounts: Sequence[ServiceAccount], name: SecretName) -> str | None:
    """Say which of the ServiceAccounts names the Secret."""
    for account in accounts:
        named = [*(account.image_pull_secrets or ()), *(account.secrets or ())]
        if any(reference.name == name for reference in named):
            return f"ServiceAccount {account.metadata.name}"
    return None


def _named_by(spec: PodSpec) -> Iterator[str | None]:
    yield from (reference.name for reference in spec.image_pull_secrets or ())
    for volume in spec.volumes or ():
        yield from _named_by_volume(volume)
    for containers in (spec.containers, spec.init_containers, spec.ephemeral_containers):
        for container in containers or ():
            yield from _named_by_container(container)


def _named_by_volume(volume: Volume) -> Iterator[str | None]:
    if volume.secret is not None:
        yield volume.secret.secret_name
    sources = volume.projected.sources if volume.projected is not None else None
    yield from (source.secret.name for source in sources or () if source.secret is not None)


def _named_by_container(container: Container) -> Iterator[str | None]:
    for variable in container.env or ():
        if variable.value_from is not None and variable.value_from.secret_key_ref is not None:
            yield variable.value_from.secret_key_ref.name
    yield from (source.secret_ref.name for source in container.env_from or () if source.secret_ref is not None)
