"""The client of one target cluster: ``ports.ClusterClient`` over ``Transport`` and ``Reflector``.

Built by ``connect`` from a connection and its settings; used by the cluster's actors. It holds connections and what was
learned about the server, and no state of the cluster. Rates and numbers in flight are the actor's to bound.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from imps_multi.kube import references, secret_calls
from imps_multi.kube.connection import Connection, ExecSpec, TokenFile
from imps_multi.kube.credentials import CredentialSource, FixedLogin, TokenFileLogin, fixed_login
from imps_multi.kube.decode import PARTIAL, digested
from imps_multi.kube.excerpt import excerpt
from imps_multi.kube.readers import reader
from imps_multi.kube.reflector import History, Reflector, Support
from imps_multi.kube.shared import Shared
from imps_multi.kube.transport import Call, Transport
from imps_multi.kube.wire import IDENTIFIED
from imps_multi.model.fleet import ClusterSettings
from imps_multi.model.names import NamespaceName, SecretName, Uid
from imps_multi.model.observed import SeenSecret, WatchEvent
from imps_multi.ports import NotFound, Resume, ServerVersion, Transient, Watched, WatchPods, Written

T = TypeVar("T")

VERSION: Final = Call("read the version", "GET", "/version")
IDENTITY: Final = Call("read namespace kube-system", "GET", "/api/v1/namespaces/kube-system", PARTIAL)
LARGEST_PAGE: Final = 64 << 20
LARGEST_SECRET: Final = 4 << 20
"""More than any Secret can be: a mebibyte of data in base64, and its metadata."""


class _Version(Struct, rename="camel"):
    git_version: str


class TargetClient:
    """One target cluster."""

    def __init__(self, transport: Transport, shared: Shared) -> None:
        self._transport = transport
        self._clock = shared.clock
        self._support = Support()
        self._histories: dict[Watched, History[WatchEvent]] = {}

    @property
    def last_byte_at(self) -> float:
        """When the last byte of any answer came, or the client was made."""
        return self._transport.last_byte_at

    async def probe(self, *, anew: bool = False) -> ServerVersion:
        """GET /version on a fresh connection. Others may read it too: only ``identity`` proves the log-in."""
        answer = await self._transport.probe(VERSION, anew=anew)
        version = self._read(VERSION, answer, msgspec.json.Decoder(_Version).decode)
        return ServerVersion(version.git_version)

    async def identity(self) -> Uid:
        """Return the UID of the kube-system namespace."""
        found = self._read(IDENTITY, await self._transport.call(IDENTITY), IDENTIFIED.decode)
        return Uid(found.metadata.uid)

    async def watch(self, watched: Watched, resume: Resume | None, emit: Callable[[WatchEvent], None]) -> Resume | None:
        """Run one stream."""
        history = self._histories.get(watched) or History(reader(watched, self._clock))
        if not isinstance(watched, WatchPods):  # no state of a pod outlives its list, and rules come and go
            self._histories[watched] = history
        return await Reflector(self._transport, history, self._support).run(resume, emit)

    async def read_secret(self, namespace: NamespaceName, name: SecretName) -> SeenSecret:
        """GET."""
        call = secret_calls.read(namespace, name)
        return self._read(call, await self._transport.call(call, largest=LARGEST_SECRET), digested)

    async def create_secret(self, namespace: NamespaceName, body: bytes, *, whole: bool = False) -> Written:
        """POST."""
        return await self._write(secret_calls.create(namespace, body, whole=whole), whole=whole)

    async def replace_secret(
        self, namespace: NamespaceName, name: SecretName, body: bytes, *, whole: bool = False
    ) -> Written:
        """PUT."""
        return await self._write(secret_calls.replace(namespace, name, body, whole=whole), whole=whole)

    async def patch_secret(
        self, namespace: NamespaceName, name: SecretName, body: bytes, *, whole: bool = False
    ) -> Written:
        """PATCH."""
        return await self._write(secret_calls.patch(namespace, name, body, whole=whole), whole=whole)

    async def delete_secret(
        self, namespace: NamespaceName, name: SecretName, *, uid: Uid, resource_version: int
    ) -> None:
        """DELETE; what is gone already counts as deleted."""
        try:
            await self._transport.call(secret_calls.delete(namespace, name, uid, resource_version))
        except NotFound:
            return

    async def references(self, namespace: NamespaceName, name: SecretName) -> str | None:
        """Look at ServiceAccounts, then pods, and stop at the first that names the Secret."""
        return await self._naming_account(namespace, name) or await self._naming_pod(namespace, name)

    async def renew_credentials(self) -> None:
        """Renew the log-in that was shown last."""
        await self._transport.renew_credentials()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    async def _naming_account(self, namespace: NamespaceName, name: SecretName) -> str | None:
        token, found = "", None
        while found is None:
            call = references.list_service_accounts(namespace, token)
            page = await self._page(call, references.SERVICE_ACCOUNT_PAGE.decode)
            found, token = references.naming_service_account(page.items or (), name), page.metadata.continue_
            if not token:
                break
        return found

    async def _naming_pod(self, namespace: NamespaceName, name: SecretName) -> str | None:
        token, found = "", None
        while found is None:
            call = references.list_pods(namespace, token)
            page = await self._page(call, references.POD_PAGE.decode)
            found, token = references.naming_pod(page.items or (), name), page.metadata.continue_
            if not token:
                break
        return found

    async def _page(self, call: Call, decode: Callable[[bytes], T]) -> T:
        return self._read(call, await self._transport.call(call, largest=LARGEST_PAGE), decode)

    async def _write(self, call: Call, *, whole: bool) -> Written:
        if whole:
            answer = await self._transport.call(call, largest=LARGEST_SECRET)
            return self._read(call, answer, secret_calls.written_whole)
        return self._read(call, await self._transport.call(call), secret_calls.written)

    def _read(self, call: Call, answer: bytes, decode: Callable[[bytes], T]) -> T:
        try:
            return decode(answer)
        except msgspec.DecodeError as error:
            words = f"not an answer of Kubernetes: {excerpt(str(error))}"
            raise Transient(f"{call.what} on {self._transport.server}: {words}", answered=True) from None


def credential_source(connection: Connection, shared: Shared) -> CredentialSource:
    """Return where the log-ins of a connection come from."""
    match connection.credential:
        case ExecSpec() as spec:
            return shared.exec_plugins.plugin(spec)
        case TokenFile() as source:
            return TokenFileLogin(source)
        case credential:
            return FixedLogin(fixed_login(credential))


async def connect(connection: Connection, settings: ClusterSettings, *, shared: Shared) -> TargetClient:
    """Build the client of a cluster. Connects to nothing and runs no plugin yet.

    Raises:
        Transient: the CA or the client certificate is no valid PEM (reason TLS).
    """
    source = credential_source(connection, shared)
    transport = Transport(connection, source, request_timeout=settings.request_timeout, shared=shared)
    try:
        await transport.prepare()
    except BaseException:
        await transport.aclose()
        raise
    return TargetClient(transport, shared)
