"""What kind of address a name leads to: the world's, one inside the network, this machine, or one that answers secrets.

Pure. Asked by the guard for each address that is about to be connected to. An IPv6 address that carries an IPv4 address
(mapped, 6to4, Teredo, NAT64, ISATAP) is what the worse of the two is.
"""

import enum
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


class Kind(enum.IntEnum):
    """From the harmless to the worst."""

    PUBLIC = 0
    PRIVATE = 1
    """RFC 1918, unique local, carrier-grade NAT, and everything else that is not routed in the world."""
    LOOPBACK = 2
    BARRED = 3
    """Link-local, metadata services, unspecified, multicast, reserved."""

    def __str__(self) -> str:
        """Return how a message names it."""
        return _WORDS[self]


_WORDS: Final = {
    Kind.PUBLIC: "a public address",
    Kind.PRIVATE: "a private address",
    Kind.LOOPBACK: "a loopback address",
    Kind.BARRED: "a link-local, metadata or reserved address",
}
_BARRED: Final[tuple[_Network, ...]] = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/128", "fe80::/10", "ff00::/8"),
            # The metadata services that are not link-local: Azure, Alibaba, Oracle, EC2, Google.
            *("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::/32", "fd20:ce::254/128"),
        ),
    )
)
_LOOPBACK: Final[tuple[_Network, ...]] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_PRIVATE: Final[tuple[_Network, ...]] = tuple(
    map(
        ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15"),
            *("192.88.99.0/24", "fc00::/7", "fec0::/10", "64:ff9b:1::/48", "2001::/32", "2002::/16"),
        ),
    )
)
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = IPv6Network("::/96")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
_LOW: Final = 0xFFFFFFFF


def kind_of(address: str) -> Kind:
    """Say what an address is; what is no address is barred."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return Kind.BARRED
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return _kind(parsed.ipv4_mapped)  # IPv4 in another notation, no tunnel
    return max(_kind(parsed), *map(_kind, _carried(parsed)), Kind.PUBLIC)


def _kind(address: Address) -> Kind:
    for kind, networks in ((Kind.BARRED, _BARRED), (Kind.LOOPBACK, _LOOPBACK), (Kind.PRIVATE, _PRIVATE)):
        if any(address in network for network in networks):
            return kind
    return Kind.PUBLIC if address.is_global else Kind.PRIVATE


def _carried(address: Address) -> Iterator[IPv4Address]:
    """Give the IPv4 addresses inside an IPv6 address."""
    if not isinstance(address, IPv6Address) or address.is_loopback:
        return
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    low, interface = int(address) & _LOW, int(address) >> 32 & _LOW
    if interface in _ISATAP or address in _COMPATIBLE or any(address in network for network in _NAT64):
        yield IPv4Address(low)
