"""Which proxy a server is reached through, read from the environment as Go reads it.

Pure; asked once per cluster, when its kubeconfig is loaded. Follows golang.org/x/net/http/httpproxy, which kubectl and
every other client of these kubeconfigs use: upper-case names first, NO_PROXY with hosts, suffixes, ports, addresses and
CIDR blocks, and never a proxy for this machine itself.
"""

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def proxy_for(server: str, environment: Mapping[str, str]) -> str:
    """Return the URL of the proxy for a server's URL, or nothing."""
    parts = urlsplit(server)
    host, port = (parts.hostname or "").lower(), parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    proxy = _variable(environment, f"{parts.scheme.upper()}_PROXY")
    if not proxy or _is_local(host) or _excepted(host, port, _variable(environment, "NO_PROXY")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.lower()) or ""


def _is_local(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address is not None else host == "localhost"


def _excepted(host: str, port: int, no_proxy: str) -> bool:
    return any(_covers(entry.strip().lower(), host, port) for entry in no_proxy.split(","))


def _covers(entry: str, host: str, port: int) -> bool:
    """Tell whether one entry of NO_PROXY takes in a host and port."""
    if entry in {"", "*"}:
        return entry == "*"
    address = _address(host)
    if "/" in entry:
        return address is not None and _in_block(address, entry)
    name, only_port = _split_port(entry)
    if not name or only_port not in {"", str(port)}:
        return False
    listed = _address(name)
    if listed is not None:
        return listed == address
    return _names(name, host)


def _names(name: str, host: str) -> bool:
    """A leading dot or ``*.`` takes in subdomains only; a bare name itself and its subdomains."""
    suffix = name.removeprefix("*")
    if suffix.startswith("."):
        return host.endswith(suffix)
    return host == suffix or host.endswith(f".{suffix}")


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""


def _in_block(address: Address, block: str) -> bool:
    try:
        return address in ipaddress.ip_network(block, strict=False)
    except ValueError:
        return False


def _address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
