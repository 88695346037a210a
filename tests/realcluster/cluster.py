"""What a test holds of one real cluster: how to reach it, how to set it up and look at it, how to make it fail.

Fed by the bed; feeds the tests. Every method blocks; async tests call them through ``anyio.to_thread.run_sync``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from tests.realcluster import kubeconfig, rights, wiping
from tests.realcluster.apiserver import ADMIN, ApiServer
from tests.realcluster.audit import AuditLog
from tests.realcluster.client import Client, Manifest, in_bulk
from tests.realcluster.counting import Requests
from tests.realcluster.kubeconfig import Kubeconfig

NAMESPACES = "/api/v1/namespaces"


class RealCluster:
    """One cluster of the bed: a kube-apiserver with data, users and an authority of its own."""

    def __init__(self, name: str, apiserver: ApiServer) -> None:
        self.name = name
        self.audit = AuditLog(apiserver.audit_path)
        self._apiserver = apiserver
        self._clients: dict[tuple[str | None, float], Client] = {}

    # How to reach it

    @property
    def url(self) -> str:
        """Its address; the same over restarts."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """Its TCP port on 127.0.0.1."""
        return self._apiserver.port

    @property
    def pid(self) -> int:
        """The process id of the running API server."""
        return self._apiserver.server.pid

    @property
    def ca_pem(self) -> bytes:
        """The certificate of its authority, which no other cluster shares."""
        return self._apiserver.authority.pem

    @property
    def ca_path(self) -> Path:
        """The same, in a file."""
        return self._apiserver.ca_path

    @property
    def admin_token(self) -> str:
        """The token of the administrator."""
        return self.token(ADMIN)

    def token(self, user: str) -> str:
        """Return the token of one of ``apiserver.USERS``; all but ``admin`` start without rights."""
        return self._apiserver.tokens[user]

    def kubeconfig(
        self,
        user: str = ADMIN,
        *,
        by: Literal["token", "certificate"] = "token",
        token: str | None = None,
        name: str | None = None,
        server: str | None = None,
    ) -> Kubeconfig:
        """Return a kubeconfig of one context, named after the cluster; a given token replaces the user's."""
        if by == "certificate":
            shown = kubeconfig.certificate_user(self._apiserver.authority.client(user))
        else:
            shown = kubeconfig.token_user(token or self.token(user))
        return kubeconfig.single(name or self.name, server=server or self.url, ca_pem=self.ca_pem, user=shown)

    def client(self, user: str | None = ADMIN, *, timeout: float = 15.0) -> Client:
        """Return a client as one user, or as nobody (None)."""
        key = (user, timeout)
        if key not in self._clients:
            self._clients[key] = self._apiserver.client(user, timeout=timeout)
        return self._clients[key]

    # Setting it up and looking at it, as the administrator

    def create_namespaces(
        self,
        names: Iterable[str],
        *,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Create many namespaces with the same labels and annotations."""
        meta = {"labels": dict(labels or {}), "annotations": dict(annotations or {})}
        in_bulk(
            self.client().create,
            ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **meta}} for name in names),
        )

    def namespace(self, name: str) -> Manifest | None:
        """Return a namespace, or None."""
        return self._found(f"{NAMESPACES}/{name}")

    def terminate_namespace(self, name: str) -> None:
        """Delete a namespace; it stays Terminating, with all that is in it, until ``finish_namespace``."""
        self.client().delete(f"{NAMESPACES}/{name}")

    def finish_namespace(self, name: str) -> None:
        """Do what the namespace controller would: empty a namespace and let it go."""
        wiping.remove_namespace(self.client(), name)

    def secret(self, namespace: str, name: str) -> Manifest | None:
        """Return a Secret, or None."""
        return self._found(f"{NAMESPACES}/{namespace}/secrets/{name}")

    def secrets(self, namespace: str | None = None, **query: str) -> list[Manifest]:
        """Return the Secrets of one or all namespaces; ``fieldSelector`` and ``labelSelector`` narrow it."""
        path = "/api/v1/secrets" if namespace is None else f"{NAMESPACES}/{namespace}/secrets"
        return self.client().items(path, **query)

    def edit_secret(self, namespace: str, name: str, patch: Manifest) -> Manifest:
        """Change a Secret behind the service's back, by a JSON merge patch."""
        return self.client().merge(f"{NAMESPACES}/{namespace}/secrets/{name}", patch)

    def delete_secret(self, namespace: str, name: str) -> bool:
        """Delete a Secret; say whether there was one."""
        return self.client().delete(f"{NAMESPACES}/{namespace}/secrets/{name}")

    def apply(self, *manifests: Manifest) -> None:
        """Create or change objects, in this order."""
        for manifest in manifests:
            self.client().apply(manifest)

    def authorize(self, user: str, manifests: Iterable[Manifest]) -> None:
        """Give a user what the roles among these manifests grant, whomever they bind, and wait until it is in force."""
        rights.authorize(self.client(), self.client(user), user, manifests)

    def requests(self) -> Requests:
        """Read the server's request counters; they start anew when it restarts."""
        return Requests.read(self.client().text("/metrics"))

    def wipe(self) -> None:
        """Bring it back to how it was when new: running, thawed, empty, and no rights for anybody but the admin."""
        if self._apiserver.server.frozen:
            self.thaw()
        if not self._apiserver.server.running:
            self.start()
        wiping.wipe(self.client())

    # Making it fail

    def freeze(self) -> None:
        """Let it hang: it accepts connections and never answers."""
        self._apiserver.server.freeze()

    def thaw(self) -> None:
        """Let it go on after ``freeze``."""
        self._apiserver.server.thaw()

    def kill(self) -> None:
        """End it as a crash would; its data stay."""
        self._apiserver.server.kill()
        self._close_clients()

    def start(self) -> None:
        """Bring it back on its port, with its data, and wait until it is ready."""
        self._apiserver.start()
        self._apiserver.await_ready()

    def restart(self) -> None:
        """Crash and come back."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End it in order."""
        self._close_clients()
        self._apiserver.server.stop()

    def _found(self, path: str) -> Manifest | None:
        answer = self.client().ask("GET", path)
        return answer.json if answer.status == 200 else None

    def _close_clients(self) -> None:
        for client in self._clients.values():
            client.close()
