"""The process's own Azure identity: a workload's federated token, or the machine's managed identity.

Pure. What the environment names is the operator's own word, so it passes no guard; nothing that a
Secret says gets here, but which tenant and client. Feeds the Azure provider.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from imps_multi.ports import Unauthorized
from imps_multi.registries.azure_source import MANAGED, WORKLOAD

TOKEN_FILE: Final = "AZURE_FEDERATED_TOKEN_FILE"  # noqa: S105  # a variable's name


class Workload(Struct, frozen=True):
    """A workload identity: who it is, where it logs in, and the file whose token says so."""

    tenant: str
    client: str
    authority: str
    token_file: str


class Managed(Struct, frozen=True):
    """The machine's managed identity; ``client`` names one of several."""

    client: str = ""


def own_login(request: Mapping[str, str], environment: Mapping[str, str]) -> Workload | Managed:
    """Find the process's own identity. Raises Unauthorized where it has none of the kind that was asked for."""
    if request["login"] == MANAGED or (request["login"] != WORKLOAD and not environment.get(TOKEN_FILE)):
        return Managed(request.get("clientID", ""))
    found = {
        TOKEN_FILE: environment.get(TOKEN_FILE, ""),
        "AZURE_TENANT_ID": request.get("tenantID") or environment.get("AZURE_TENANT_ID", ""),
        "AZURE_CLIENT_ID": request.get("clientID") or environment.get("AZURE_CLIENT_ID", ""),
    }
    missing = [name for name, value in found.items() if not value]
    if missing:
        raise Unauthorized(f"the process's own workload identity: {' and '.join(missing)} not set")
    return Workload(
        tenant=found["AZURE_TENANT_ID"],
        client=found["AZURE_CLIENT_ID"],
        authority=_url(environment.get("AZURE_AUTHORITY_HOST", "")) or request["authority"],
        token_file=found[TOKEN_FILE],
    )


def _url(host: str) -> str:
    return host.rstrip("/") if not host or "://" in host else f"https://{host.rstrip('/')}"
