"""Azure's clouds: where each logs in, and how its registries are called.

Pure data. Feeds the Azure source and its provider. The audience of a registry's token is one for all clouds: that is
what Microsoft's own clients ask for, and what a registry takes that refuses the resource manager's tokens.
"""

from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

AUDIENCE: Final = "https://containerregistry.azure.net"


class Cloud(Struct, frozen=True):
    """One cloud. ``manager``: its resource manager's audience, which older clients ask for."""

    name: str
    authority: str
    suffix: str
    manager: str


_CLOUDS: Final = (
    Cloud("public", "https://login.microsoftonline.com", ".azurecr.io", "https://management.azure.com"),
    Cloud("china", "https://login.chinacloudapi.cn", ".azurecr.cn", "https://management.chinacloudapi.cn"),
    Cloud("usgov", "https://login.microsoftonline.us", ".azurecr.us", "https://management.usgovcloudapi.net"),
)
_OTHERWISE: Final = {
    "public": ("AzureCloud", "AzurePublicCloud", "AzurePublic"),
    "china": ("AzureChinaCloud", "AzureChina"),
    "usgov": ("AzureUSGovernment", "AzureUSGovernmentCloud", "AzureGovernment"),
}
"""What az, the SDKs and other tools call them."""
CLOUDS: Final = {name.lower(): cloud for cloud in _CLOUDS for name in (cloud.name, *_OTHERWISE[cloud.name])}
"""Every cloud by each of its names, in small letters."""
OWN_HOSTS: Final = (
    *(urlsplit(cloud.authority).netloc for cloud in _CLOUDS),
    *(f"*{cloud.suffix}" for cloud in _CLOUDS),
)
"""Hosts whose names nobody but Microsoft gives addresses to, and whoever runs the resolver here (Private Link)."""


def cloud_of(host: str) -> Cloud | None:
    """Return the cloud that a login server belongs to by its ending; None for any other host."""
    return next((cloud for cloud in _CLOUDS if host.endswith(cloud.suffix)), None)
