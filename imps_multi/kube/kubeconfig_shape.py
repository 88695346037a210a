"""The shape of a kubeconfig file, as far as it says how to reach a cluster.

Read by ``kubeconfig``. Unknown fields are skipped, as kubectl does; what a field's type may be is checked, and a
message about it names the path and never the value.
"""

from typing import Any

from msgspec import Struct, field


class ExtensionEntry(Struct):
    """One of a cluster's extensions; ``extension`` is whatever others define."""

    name: str = ""
    extension: Any = None


class ClusterShape(Struct, rename="kebab"):
    """A cluster."""

    server: str = ""
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    proxy_url: str = ""
    extensions: list[ExtensionEntry] | None = None


class EnvironmentEntry(Struct):
    """A variable for an exec plugin."""

    name: str
    value: str


class ExecShape(Struct, rename="camel"):
    """An exec plugin."""

    command: str = ""
    api_version: str = ""
    args: list[str] | None = None
    env: list[EnvironmentEntry] | None = None
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class UserShape(Struct, rename="kebab"):
    """A user."""

    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    token: str = ""
    token_file: str = field(name="tokenFile", default="")
    username: str = ""
    password: str = ""
    as_user: str = field(name="as", default="")
    as_uid: str = ""
    as_groups: list[str] | None = None
    as_user_extra: dict[str, list[str]] | None = None
    auth_provider: Any = None
    exec: ExecShape | None = None

    def __repr__(self) -> str:
        """Show nothing."""
        return "UserShape(…)"


class ContextShape(Struct):
    """A context; an empty user is nobody."""

    cluster: str = ""
    user: str = ""


class NamedCluster(Struct):
    """An entry of ``clusters``."""

    name: str
    cluster: ClusterShape | None = None


class NamedUser(Struct):
    """An entry of ``users``."""

    name: str
    user: UserShape | None = None


class NamedContext(Struct):
    """An entry of ``contexts``."""

    name: str
    context: ContextShape | None = None


class KubeconfigShape(Struct, rename="kebab"):
    """A whole file."""

    clusters: list[NamedCluster] | None = None
    users: list[NamedUser] | None = None
    contexts: list[NamedContext] | None = None
    current_context: str = ""
