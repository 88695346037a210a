"""A whole cluster to test against: `async with SandboxCluster(name="a") as cluster`.

The composing file of the API server: it builds store, access, log, faults, server and listener, and hands them out.
Several live in one process, each on a port of its own.
"""

import base64
import ssl
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from imps_multi.sandbox.access import Access
from imps_multi.sandbox.deletion import finish_namespace
from imps_multi.sandbox.faults import Faults
from imps_multi.sandbox.listener import Listener, Server
from imps_multi.sandbox.requests import RequestLog
from imps_multi.sandbox.server import ApiServer, Manners
from imps_multi.sandbox.store import Store, utc_now

__all__ = ["SandboxCluster"]


class SandboxCluster(Server):
    """A Kubernetes-compatible API server on 127.0.0.1.

    Attributes:
        store: The objects, to be read and written past HTTP; watches hear of it.
        faults: What can be made to go wrong.
        access: Tokens, denials, granted rules.
        requests: What was asked.
    """

    def __init__(
        self,
        *,
        name: str = "sandbox",
        namespaces: Iterable[str] = (),
        tokens: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        ca: bytes = b"",
        manners: Manners | None = None,
        history: int = 10_000,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Build a cluster that does not listen yet.

        Args:
            name: Its name in its kubeconfig.
            namespaces: What there is besides default and the kube- ones.
            tokens: Users by bearer token; none lets everybody in.
            ssl_context: Serve TLS with it.
            ca: The PEM that clients need to trust that.
            manners: How it behaves where real servers differ.
            history: Events kept per kind, for watches that resume.
            now: The clock of creation and deletion timestamps.
        """
        self.name = name
        self.store = Store(now=now, history=history)
        for each in namespaces:
            self.store.add_namespace(each)
        self.access = Access(tokens)
        self.requests = RequestLog()
        self._tokens = dict(tokens or {})
        self._ca = ca
        self._server = ApiServer(store=self.store, access=self.access, log=self.requests, manners=manners or Manners())
        super().__init__(Listener(self._server.handle, ssl_context=ssl_context))
        self.faults = Faults(self._listener)
        self._server.attach(self.faults)

    @property
    def identity(self) -> str:
        """The UID of its kube-system namespace."""
        return self.store.identity

    @property
    def watches(self) -> int:
        """How many watches are open."""
        return len(self._server.watches)

    def send_bookmarks(self) -> None:
        """Say a bookmark on every watch that takes them, now instead of after a minute."""
        for watch in tuple(self._server.watches):
            watch.mark()

    def finish_namespace(self, name: str) -> None:
        """Let go of a namespace that was held Terminating, with all that is in it."""
        finish_namespace(self.store, name)

    def kubeconfig(self, *, user: str = "") -> dict[str, object]:
        """Return a kubeconfig with one context, named after the cluster, with the token of that user or of any."""
        cluster: dict[str, object] = {"server": self.url}
        if self._ca:
            cluster["certificate-authority-data"] = base64.b64encode(self._ca).decode()
        token = next((token for token, each in self._tokens.items() if user in {"", each}), "")
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.name, "cluster": cluster}],
            "users": [{"name": self.name, "user": {"token": token} if token else {}}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": self.name}}],
            "current-context": self.name,
        }
