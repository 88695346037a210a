"""What every kind of source that is minted reads in the same way: which keys there are, under which registries it goes.

Pure. Feeds the kinds of sources, such as ``oauth2_source``.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from hashlib import blake2b
from typing import Final

import msgspec

from imps_multi.model.credential import MintIdentity, MintSource
from imps_multi.model.dockerconfig import DockerConfigError, registry_key
from imps_multi.model.fields import did_you_mean
from imps_multi.model.hub import SourceSecret
from imps_multi.model.names import RegistryKey
from imps_multi.registries.source_fields import UnusableSecretError, bounds, items, text

MISTYPED: Final = 0.7
"""A key that is so like a known one (0 to 1) must be meant for it: to ignore it might use the wrong identity."""
_SHOWN: Final = 3


def known_keys(data: Mapping[str, bytes], keys: frozenset[str]) -> str:
    """Return what is to be said of keys that are ignored.

    Raises:
        UnusableSecretError: one of them must be meant for another.
    """
    folded = {key.lower(): key for key in sorted(keys)}
    strange = sorted(data.keys() - keys)
    for key in strange:
        if meant := get_close_matches(key.lower(), folded, 1, MISTYPED):
            raise UnusableSecretError(f"key {key[:63]} is unknown; did you mean {folded[meant[0]]}?")
    return "; ".join(
        f"key {key[:63]} is unknown and ignored{did_you_mean(key, folded.values())}" for key in strange[:_SHOWN]
    )


def registries(data: Mapping[str, bytes]) -> tuple[RegistryKey, ...]:
    """Return the hosts, or kubelet globs, of ``registry`` and ``registries``; none where neither is there.

    Raises:
        UnusableSecretError: they hold something else.
    """
    found: list[RegistryKey] = []
    for key in ("registry", "registries"):
        given = items(text(data, key))
        try:
            found += map(registry_key, given)
        except DockerConfigError:
            given = (" ",)
        if any(len(each.split()) != 1 for each in given):
            raise UnusableSecretError(f"key {key} does not hold registry hosts (host[/path], globs; a comma list)")
    return tuple(dict.fromkeys(found))


def mint_source(
    secret: SourceSecret, provider: str, request: Mapping[str, str], under: tuple[RegistryKey, ...], remark: str
) -> MintSource:
    """Return the source; equal requests to one provider are one identity."""
    canonical = msgspec.json.encode([provider, request], order="deterministic")
    digest = blake2b(canonical, digest_size=16, person=b"mint-identity").hexdigest()
    return MintSource(MintIdentity(provider, digest, request), under, bounds(secret), remark)
