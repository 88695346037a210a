"""A kubeconfig's user: who we are, as ``Connection`` wants it.

Follows client-go (tools/clientcmd, plugin/pkg/client/auth/exec): a token file goes before a token, which serves until
the file is there; both go before user and password, and these before an exec plugin; a client certificate is shown with
any of them. Used by ``kubeconfig``.
"""

import base64
import os
from typing import Final
from urllib.parse import quote

import msgspec

from imps_multi.kube.connection import (
    BasicLogin,
    BearerToken,
    Credential,
    ExecSpec,
    KeyPair,
    TokenFile,
)
from imps_multi.kube.credentials import is_token
from imps_multi.kube.kubeconfig_shape import ClusterShape, ExecShape, UserShape
from imps_multi.kube.materials import Materials

EXEC_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
EXEC_CONFIG: Final = "client.authentication.k8s.io/exec"
"""The cluster extension that is handed to a plugin as spec.cluster.config."""


def key_pair(user: UserShape, materials: Materials) -> KeyPair | None:
    """Return the client certificate, if there is one. Raises KubeconfigError."""
    certificate = materials.content(
        "client-certificate", data=user.client_certificate_data, file=user.client_certificate
    )
    key = materials.content("client-key", data=user.client_key_data, file=user.client_key)
    if (certificate is None) != (key is None):
        materials.fail("client-certificate and client-key come together or not at all")
    return KeyPair(certificate, key) if certificate is not None and key is not None else None


def credential(user: UserShape, cluster: ClusterShape, ca: bytes | None, materials: Materials) -> Credential | None:
    """Return how this user logs in, beside a client certificate; None for not at all. Raises KubeconfigError."""
    if user.auth_provider is not None:
        materials.fail("auth-provider was taken out of Kubernetes in 1.26; use the provider's exec plugin")
    if user.token and not is_token(user.token):
        materials.fail("token has characters that cannot stand in a header")
    if user.token_file:
        return TokenFile(str(materials.resolved(user.token_file)), user.token)
    if user.token:
        return BearerToken(user.token)
    if user.username or user.password:
        return BasicLogin(user.username, user.password)
    return _exec_spec(user.exec, cluster, ca, materials) if user.exec is not None else None


def _exec_spec(plugin: ExecShape, cluster: ClusterShape, ca: bytes | None, materials: Materials) -> ExecSpec:
    if not plugin.command:
        materials.fail("exec.command is missing")
    if plugin.api_version not in EXEC_VERSIONS:
        materials.fail(
            f"exec.apiVersion is none of {', '.join(EXEC_VERSIONS)}; write the kubeconfig anew with its provider's tool"
        )
    if plugin.interactive_mode == "Always":
        materials.fail("exec.interactiveMode is Always, and there is nobody to ask")
    in_directory = os.sep in plugin.command  # a bare name is looked for in PATH
    return ExecSpec(
        api_version=plugin.api_version,
        command=str(materials.resolved(plugin.command)) if in_directory else plugin.command,
        args=tuple(plugin.args or ()),
        env=tuple((entry.name, entry.value) for entry in plugin.env or ()),
        install_hint=plugin.install_hint,
        cluster=_cluster_info(cluster, ca) if plugin.provide_cluster_info else "",
    )


def _cluster_info(cluster: ClusterShape, ca: bytes | None) -> str:
    """Return spec.cluster of the ExecCredential that the plugin is given."""
    config = next((entry.extension for entry in cluster.extensions or () if entry.name == EXEC_CONFIG), None)
    fields: dict[str, object] = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": base64.b64encode(ca).decode() if ca else "",
        "proxy-url": cluster.proxy_url,
        "config": config,
    }
    return msgspec.json.encode({key: value for key, value in fields.items() if value}).decode()


def impersonation(user: UserShape, materials: Materials) -> tuple[tuple[str, str], ...]:
    """Return the headers for acting as somebody else (client-go: transport/round_trippers.go)."""
    extra = sorted((user.as_user_extra or {}).items())
    pairs = [("Impersonate-User", user.as_user), ("Impersonate-Uid", user.as_uid)]
    pairs += [("Impersonate-Group", group) for group in user.as_groups or ()]
    pairs += [(f"Impersonate-Extra-{quote(key, safe='').lower()}", value) for key, values in extra for value in values]
    headers = tuple((name, value) for name, value in pairs if value)
    if headers and not user.as_user:
        materials.fail("as-uid, as-groups and as-user-extra need an as")
    if not all(value.isprintable() for _, value in headers):
        materials.fail("as, as-uid, as-groups or as-user-extra has characters that cannot stand in a header")
    return headers
