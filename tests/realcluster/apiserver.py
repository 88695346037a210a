"""One kube-apiserver of the bed: its files, its command line, its process; it keeps its port and data over restarts.

Feeds ``RealCluster``, which is what tests hold.
"""

import http.client
import json
import secrets
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.realcluster import pki
from tests.realcluster.audit import POLICY
from tests.realcluster.client import Client, RefusedError
from tests.realcluster.ports import free_port
from tests.realcluster.process import Guardian, Server, ServerFailedError

ADMIN = "admin"
USERS = MappingProxyType({ADMIN: "system:masters", "service": "", "tenant": "", "stranger": ""})
START_TRIES = 5
PROBE_TIMEOUT = 5.0


class ApiServer:
    """A kube-apiserver with RBAC, tokens from a file, client certificates of its own authority, and an audit log."""

    def __init__(self, name: str, *, binary: Path, directory: Path, etcd_url: str, guardian: Guardian) -> None:
        directory.mkdir()
        self.authority = pki.Authority(name)
        self.tokens: Mapping[str, str] = {user: f"{user}-{secrets.token_hex(16)}" for user in USERS}
        self.ca_path = directory / "ca.crt"
        self.audit_path = directory / "audit.log"
        self.server = Server(f"kube-apiserver of {name}", log=directory / "kube-apiserver.log", guardian=guardian)
        self.port = free_port()
        self._name, self._binary, self._directory, self._etcd_url = name, binary, directory, etcd_url
        self._files = self._write_files()

    def start(self) -> None:
        """Start the process without waiting for it."""
        self.server.start(self._command())

    def await_ready(self) -> None:
        """Return when every check passes and the system namespaces are there; at first start also when a port clashed.

        Raises:
            ServerFailedError: it ended or was too slow.

        """
        for attempt in range(1, START_TRIES + 1):
            try:
                self.server.await_ready(self._ready)
            except ServerFailedError:
                self.server.kill()
                if attempt == START_TRIES or "address already in use" not in self.server.log_tail():
                    raise
                self.port = free_port()
                self.start()
            else:
                return

    def client(self, user: str | None, *, timeout: float) -> Client:
        """Return a client for one of the users, or for nobody at all."""
        token = None if user is None else self.tokens[user]
        return Client(self.port, ca_pem=self.authority.pem, token=token, timeout=timeout)

    def _write_files(self) -> dict[str, Path]:
        self.ca_path.write_bytes(self.authority.pem)
        certificate, key = pki.write(self.authority.serving(), self._directory, "serving")
        public, private = pki.write(pki.signing_key(), self._directory, "service-accounts")
        tokens = self._directory / "tokens.csv"
        lines = [f'{self.tokens[user]},{user},{user},"{groups}"' for user, groups in USERS.items()]
        tokens.write_text("\n".join(lines) + "\n")
        policy = self._directory / "audit-policy.json"
        policy.write_text(json.dumps(POLICY))
        return {
            "tls-cert-file": certificate,
            "tls-private-key-file": key,
            "client-ca-file": self.ca_path,
            "token-auth-file": tokens,
            "service-account-key-file": public,
            "service-account-signing-key-file": private,
            "audit-policy-file": policy,
            "audit-log-path": self.audit_path,
        }

    def _command(self) -> list[str]:
        return [
            str(self._binary),
            *(f"--{flag}={path}" for flag, path in self._files.items()),
            f"--etcd-servers={self._etcd_url}",
            f"--etcd-prefix=/{self._name}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",  # it refuses a loopback address
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            "--anonymous-auth=true",  # as most clusters have it: /version and /readyz without credentials
            "--service-account-issuer=https://kubernetes.default.svc",
            "--disable-admission-plugins=ServiceAccount",  # no controller makes the default ServiceAccounts
            "--audit-log-maxsize=4096",  # no rotation under a reader
            "--profiling=false",
        ]

    def _ready(self) -> bool:
        probe = self.client(ADMIN, timeout=PROBE_TIMEOUT)
        try:
            probe.text("/readyz")
            probe.get("/api/v1/namespaces/kube-system")
        except (RefusedError, OSError, http.client.HTTPException, ssl.SSLError):
            return False
        else:
            return True
        finally:
            probe.close()
