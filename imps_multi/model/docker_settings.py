"""What a docker config holds beside its logins: credential helpers, HTTP headers and more, kept as a source had them.

Pure. A kubelet uses none of it, but refuses headers that are not texts; docker's own tools and builders that mount the
Secret use all of it. Fed by ``dockerconfig``, which parses and renders. A header's value may be secret: none is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from imps_multi.model.discreet import Discreet
from imps_multi.model.keyring import KeyringError, are_headers, filing_key
from imps_multi.model.strict_json import canonical

HEADERS: Final = "HttpHeaders"
HELPERS: Final = "credHelpers"
STORE: Final = "credsStore"
KNOWN: Final = {name.casefold(): name for name in ("auths", HEADERS, HELPERS, STORE)}
"""Go's decoder takes a name in any case; here each has one spelling."""


class Setting(Discreet, frozen=True):
    """One top-level member of a docker config, or one member of it (``inner``); ``content`` is canonical JSON."""

    name: str
    inner: str | None
    content: bytes

    def __repr__(self) -> str:
        """Name the top-level member only."""
        return f"Setting({self.name!r})"

    @property
    def shown(self) -> str:
        """Return what it is called in a message."""
        return self.name if self.inner is None or self.name != HELPERS else f"{self.name} for {self.inner}"


def settings_of(document: Mapping[str, object]) -> tuple[Setting, ...]:
    """Take apart everything in a document but its logins; sorted.

    Raises:
        KeyringError: a kubelet would refuse the whole Secret for it.
    """
    found: list[Setting] = []
    for name, value in sorted(document.items()):
        if name == "auths" or value is None:
            continue
        if name == HEADERS and not are_headers(value):
            raise KeyringError(f"{HEADERS} is not an object of texts, for which a kubelet refuses the whole Secret")
        if isinstance(value, dict) and value:
            found += [Setting(name, inner, canonical(each)) for inner, each in sorted(value.items())]
        else:
            found.append(Setting(name, None, canonical(value)))
    return tuple(found)


class Given(Discreet, frozen=True):
    """What one source gives: the registries that it has logins for, and its settings."""

    registries: tuple[str, ...]
    settings: tuple[Setting, ...]

    def __repr__(self) -> str:
        """Show what may be seen."""
        return f"Given({self.registries!r}, {self.settings!r})"


class MergedSettings(Struct, frozen=True):
    """What a merge gave: what is kept, sorted, and what lost to an earlier source, with its own source's index."""

    kept: tuple[Setting, ...]
    lost: tuple[tuple[Setting, int], ...] = ()


def merge_settings(sources: Sequence[Given]) -> MergedSettings:
    """Merge in order: the first that says a thing wins.

    Objects are merged member by member. To docker's tools a helper stands before a login, so the helper of a later
    source loses to an earlier login for that registry, and a later store, which is for all registries, to any.
    """
    kept: list[Setting] = []
    lost: list[tuple[Setting, int]] = []
    logins: set[str] = set()
    for index, given in enumerate(sources):
        earlier = _Earlier(kept, logins)
        for setting in given.settings:
            if earlier.bars(setting):
                lost.append((setting, index))
            else:
                kept.append(setting)
        logins |= {filing_key(registry) for registry in given.registries}
    return MergedSettings(tuple(sorted(kept, key=lambda one: (one.name, one.inner or ""))), tuple(lost))


class _Earlier:
    """What the sources before one have said."""

    def __init__(self, kept: Iterable[Setting], logins: Iterable[str]) -> None:
        self._places = {_place(one) for one in kept}
        self._names = {name for name, _ in self._places}
        self._logins = frozenset(logins)

    def bars(self, setting: Setting) -> bool:
        if setting.name == STORE and self._logins:
            return True
        if setting.name == HELPERS and setting.inner is not None and filing_key(setting.inner) in self._logins:
            return True
        if setting.inner is None:
            return setting.name in self._names
        return (setting.name, None) in self._places or _place(setting) in self._places


def members(settings: Iterable[Setting]) -> dict[str, bytes]:
    """Return the top-level members that settings make, each as canonical JSON."""
    gathered: dict[str, bytes | dict[str, bytes]] = {}
    for one in settings:
        if one.inner is None:
            gathered[one.name] = one.content
        else:
            inside = gathered.setdefault(one.name, {})
            assert isinstance(inside, dict)
            inside[one.inner] = one.content
    return {name: each if isinstance(each, bytes) else joined(each) for name, each in gathered.items()}


def joined(values: Mapping[str, bytes]) -> bytes:
    """Write an object of members that are canonical JSON already."""
    return b"{" + b",".join(canonical(name) + b":" + content for name, content in sorted(values.items())) + b"}"


def _place(setting: Setting) -> tuple[str, str | None]:
    """Return what is one thing: a registry is in any spelling, and a header's name in any case."""
    if setting.inner is None:
        return setting.name, None
    match setting.name:
        case "HttpHeaders":
            return setting.name, setting.inner.casefold()
        case "credHelpers":
            return setting.name, filing_key(setting.inner)
        case _:
            return setting.name, setting.inner
