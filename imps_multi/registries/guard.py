"""The one guard for every URL that comes from a source Secret: where it may lead, by its spelling and by its address.

Pure. Whoever can write a source Secret must not be able to make this process, which stands inside a trusted network and
holds credentials, ask what it could not ask itself. So a URL is https; its host is listed in ``sources.endpoints`` or
is one of the provider's own; and the address that is really connected to is a public one. More than that needs the host
*literally* in ``sources.endpoints`` (``host``, ``host:port`` or ``host:*``, no other glob):

=====================================================  ==========================================================
the host is                                            addresses that may be connected to
=====================================================  ==========================================================
matched by a glob, or one of the provider's own        public; with ``inside`` also private for the own ones
listed literally                                       also private and loopback; plain http to loopback only
listed literally, and the address itself, too          also link-local and metadata
=====================================================  ==========================================================

How to use it, in a kind of source of yours::

    guarded("tokenURL", url, endpoints)                     # in X_source.py: UnusableSecretError names the key
    guarded("tokenURL", url, endpoints, own=("login.example.com", "*.example.net"))
    given.outbound(own=("login.example.com",)).ask(...)     # in X.py: asks again, see ``outbound``

``own`` must hold hosts only whose name nobody but the provider can give an address. A library that brings a transport
of its own: make one from ``Outbound.exchange``, or give its aiohttp connector ``sockets.Sockets(destination(...))`` as
``socket_factory``. Where it takes neither, ``Outbound.check(url)`` right before it is called looks at spelling and
addresses, but cannot hold the library to them.
"""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from imps_multi.model.matching import glob_match, is_glob
from imps_multi.registries.addresses import Kind, kind_of
from imps_multi.registries.source_fields import UnusableSecretError

ANYWHERE: Final = ("",)
"""In place of a listing that is not known, as when manifests are checked alone; no configuration can say this."""
LONGEST: Final = 2048
_PORTS: Final = {"http": 80, "https": 443}
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_NUMBER: Final = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
"""A name whose last label is a number is an address to the system (``2130706433``, ``127.1``, ``0x7f.1``)."""
_BRACKETED: Final = re.compile(r"\[([0-9a-f:.]+)\](?::([0-9]+))?")
_HERE: Final = re.compile(r"(.+\.)?(localhost|localdomain|ip6-localhost|ip6-loopback)")
_METADATA: Final = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)


class RefusedUrlError(ValueError):
    """Why a URL may not be called, as the end of a sentence that begins with what holds the URL; never the URL."""


class Destination(Struct, frozen=True):
    """Where an allowed URL leads. ``url`` is spelled canonically; ``host`` has no brackets."""

    url: str
    scheme: str
    host: str
    port: int
    literal: bool = False
    """Whether the host is listed without a glob."""
    inside: bool = False
    addresses: frozenset[str] = frozenset()
    """The addresses that are listed, for this port."""

    def __repr__(self) -> str:
        """Show the host, and not a path or a query."""
        return f"Destination({self.scheme}://{self.host}:{self.port})"

    def admits(self, address: str) -> bool:
        """Say whether this address may be connected to, for this destination."""
        kind = kind_of(address)
        if self.scheme == "http":
            return self.literal and kind is Kind.LOOPBACK
        if kind is Kind.PRIVATE:
            return self.literal or self.inside
        if kind is Kind.LOOPBACK:
            return self.literal
        return kind is Kind.PUBLIC or (self.literal and _canonical(address) in self.addresses)


def guarded(
    key: str,
    url: str,
    listed: tuple[str, ...],
    *,
    own: tuple[str, ...] = (),
    inside: bool = False,
    query: bool = False,
) -> Destination:
    """Return where a source Secret's key leads; see ``destination``.

    Raises:
        UnusableSecretError: it may not lead there.
    """
    try:
        return destination(url, listed, own=own, inside=inside, query=query)
    except RefusedUrlError as error:
        raise UnusableSecretError(f"key {key} {error}") from None


def destination(
    url: str, listed: tuple[str, ...], *, own: tuple[str, ...] = (), inside: bool = False, query: bool = False
) -> Destination:
    """Return where a URL leads, as far as its spelling says.

    ``listed`` is ``sources.endpoints`` as it is now: globs and names, ``host`` or ``host:port``. ``own`` are the
    provider's own hosts in the same notation; ``inside``: these may have private addresses (a private endpoint).
    ``query``: the URL may have one.

    Raises:
        RefusedUrlError: it has another form, or leads where it may not.
    """
    parts = _parts(url, query=query)
    host, port = _host(parts), parts.port or _PORTS[parts.scheme]
    literal = listed == ANYWHERE or any(_names(entry, host, port) for entry in listed)
    known = any(_covers(entry, host, port) for entry in own)
    if not (literal or known or any(_covers(entry, host, port) for entry in listed)):
        raise RefusedUrlError("names a host that is not allowed; list its host in sources.endpoints")
    leads = Destination(
        url=_spelled(parts, host),
        scheme=parts.scheme,
        host=host,
        port=port,
        literal=literal,
        inside=inside and known,
        addresses=frozenset({host}) if listed == ANYWHERE else _addresses(listed, port),
    )
    _look_inward(leads)
    return leads


def _look_inward(leads: Destination) -> None:
    """Refuse what the name alone gives away; all else shows when it is connected to."""
    here = _HERE.fullmatch(leads.host) is not None
    address = _canonical(leads.host)
    if leads.scheme == "http" and not (here or kind_of(leads.host) is Kind.LOOPBACK):
        raise RefusedUrlError("must begin with https://; plain http is for loopback addresses only")
    if (address and not leads.admits(address)) or ((here or leads.host in _METADATA) and not leads.literal):
        what = kind_of(address) if address else (Kind.LOOPBACK if here else Kind.BARRED)
        raise RefusedUrlError(f"names {what}; {remedy(what)}")


def remedy(kind: Kind) -> str:
    """Say what to do where this kind of address is really meant."""
    if kind is Kind.BARRED:
        return "if that is meant, list the host and the address itself in sources.endpoints"
    return "if that is meant, list the host itself, without a glob, in sources.endpoints"


def _parts(url: str, *, query: bool) -> SplitResult:
    """Take a URL apart. What two readers might take apart in two ways is refused."""
    try:
        parts = urlsplit(url)
        plain = parts.port != 0 and "@" not in parts.netloc and not parts.netloc.endswith(":")
    except ValueError:
        parts, plain = urlsplit(""), False
    plain = plain and "#" not in url and (query or "?" not in url) and not set(" \\") & set(url)
    if not plain or parts.scheme not in _PORTS or not (url.isascii() and url.isprintable()) or len(url) > LONGEST:
        raise RefusedUrlError("is not a URL of the form https://HOST[:PORT][/PATH]")
    return parts


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").removesuffix(".")
    if parts.netloc.startswith("[") or "]" in parts.netloc:
        address = _canonical(host)
        if "%" not in host and ":" in address:
            return address
    elif (host and _canonical(host) == host) or (_NAME.fullmatch(host) and not _NUMBER.fullmatch(host)):
        return host
    raise RefusedUrlError("is not a URL whose host is a plain name or address")


def _spelled(parts: SplitResult, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{shown}{port}{parts.path}{'?' if parts.query else ''}{parts.query}"


def _canonical(host: str) -> str:
    """Return an address in its one spelling; empty for what is none."""
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        return ""


def _read(entry: str) -> tuple[str, int | None] | None:
    """Return host and port of an entry that is no glob, but for its port."""
    entry = entry.strip().lower().removesuffix(":*")
    if bracketed := _BRACKETED.fullmatch(entry):
        return _canonical(bracketed[1]), int(bracketed[2]) if bracketed[2] else None
    if address := _canonical(entry):
        return address, None
    if is_glob(entry):
        return None
    host, colon, port = entry.partition(":")
    if not colon:
        return host.removesuffix("."), None
    return (host.removesuffix("."), int(port)) if port.isascii() and port.isdigit() else ("", None)


def _names(entry: str, host: str, port: int) -> bool:
    """Say whether an entry is this host, literally."""
    read = _read(entry)
    return read is not None and bool(read[0]) and read[0] == host and read[1] in {None, port}


def _covers(entry: str, host: str, port: int) -> bool:
    """Say whether an entry is this host, or a glob that matches it."""
    if _read(entry) is not None:
        return _names(entry, host, port)
    glob = entry.strip().lower()
    return glob_match(glob, host) or glob_match(glob, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def _addresses(listed: tuple[str, ...], port: int) -> frozenset[str]:
    read = filter(None, map(_read, listed))
    return frozenset(address for host, only in read if only in {None, port} and (address := _canonical(host)))
