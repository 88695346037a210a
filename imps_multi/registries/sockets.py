"""Sockets that go to no address the guard refuses. Feeds ``outbound``, and libraries that take a ``socket_factory``."""

import socket

from imps_multi.ports import Forbidden, PortError
from imps_multi.registries.addresses import Kind, kind_of
from imps_multi.registries.guard import Destination, remedy

SocketAddress = tuple[int, int, int, str, tuple[str, int]] | tuple[int, int, int, str, tuple[str, int, int, int]]


class Sockets:
    """Makes the sockets of connections to one destination: an aiohttp connector's ``socket_factory``.

    It is given the very address that the socket is then connected to, also where the URL spells an address.
    """

    def __init__(self, leads: Destination) -> None:
        self._leads = leads
        self._refused: set[Kind] = set()
        self._admitted = False

    def __call__(self, address: SocketAddress) -> socket.socket:
        """Return a new socket for this address. Raises PermissionError where it may not be connected to."""
        family, kind, protocol, _, (host, *_) = address
        if not self._leads.admits(host):
            self._refused.add(kind_of(host))
            raise PermissionError("the address is refused")
        self._admitted = True
        return socket.socket(family, kind, protocol)

    def refusal(self, call: str) -> PortError | None:
        """Return the error where every address was refused, after an attempt that failed."""
        return barred(call, frozenset(self._refused)) if self._refused and not self._admitted else None


def barred(call: str, kinds: frozenset[Kind]) -> PortError:
    """Return the error for a host all of whose addresses are refused."""
    worst = max(kinds)
    return Forbidden(f"{call}: the URL's host has {worst}; {remedy(worst)}")
