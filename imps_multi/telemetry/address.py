"""Addresses to listen on, as the configuration writes them: ``host:port``, ``:port`` for everywhere, ``[::1]:port``.

Pure.
"""

import re
from typing import Final

from msgspec import Struct

LARGEST_PORT: Final = 65535
_BRACKETED: Final = re.compile(r"\[(?P<host>[0-9A-Fa-f:.%\w]+)\]:(?P<port>\d{1,5})")
_PLAIN: Final = re.compile(r"(?P<host>[\w.-]*):(?P<port>\d{1,5})")


class Address(Struct, frozen=True):
    """Where to listen; ``host`` None is every interface, ``port`` 0 any free one."""

    host: str | None
    port: int

    def __str__(self) -> str:
        """Write it as the configuration does."""
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_address(text: str) -> Address | None:
    """Read an address; None for the empty text, which switches the server off.

    Raises:
        ValueError: it is none.
    """
    if not text:
        return None
    found = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
    if found is None or int(found["port"]) > LARGEST_PORT:
        raise ValueError(f'"{text}" is no address: write host:port, :port, or [IPv6]:port')
    return Address(found["host"] or None, int(found["port"]))
