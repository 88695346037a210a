"""What a target should hold: the merged docker config of one policy, for one place.

Pure; built from a ``Resolved`` policy, once per policy, bounds and retained entries, and shared by every namespace of
every cluster that is equal in these.
"""

from base64 import b64encode
from collections.abc import Iterable

from msgspec import Struct

from imps_multi.model.credential import Bounds, SourceKind, SourceState
from imps_multi.model.dockerconfig import fingerprint, merge, render
from imps_multi.model.matching import glob_match
from imps_multi.model.names import ClusterName, NamespaceName, PolicyName, RegistryKey
from imps_multi.model.world import Resolved


class Payload(Struct, frozen=True):
    """One docker config, ready to be written. ``content`` (base64 text) is never shown; ``digest`` compares it."""

    content: bytes
    digest: bytes
    registries: frozenset[RegistryKey]
    expires_at: float | None = None

    def __repr__(self) -> str:
        """Show what may be seen."""
        return f"Payload(registries={sorted(self.registries)}, expires_at={self.expires_at})"


def allowed(bounds: Bounds, *, policy: PolicyName, cluster: ClusterName, namespace: NamespaceName) -> str | None:
    """Return None where a source may go, else which bound stands against it."""
    for what, globs, name in (
        ("policies", bounds.policies, policy),
        ("clusters", bounds.clusters, cluster),
        ("namespaces", bounds.namespaces, namespace),
    ):
        if globs is not None and not any(glob_match(pattern, name) for pattern in globs):
            return f"allow-{what} of the source does not name {name}"
    return None


def granted(resolved: Resolved, cluster: ClusterName, namespace: NamespaceName) -> tuple[SourceState, ...]:
    """Return the sources of a policy that may go to a place, in merge order."""
    if all(source.bounds == _NO_BOUNDS for source in resolved.sources):
        return resolved.sources
    return tuple(
        source
        for source in resolved.sources
        if allowed(source.bounds, policy=resolved.policy.name, cluster=cluster, namespace=namespace) is None
    )


def build(
    sources: Iterable[SourceState],
    resolved: Resolved,
    *,
    keep: frozenset[RegistryKey] = frozenset(),
    unexpired_at: float | None = None,
) -> Payload:
    """Merge what the sources give, and the retained entries named by ``keep``.

    With ``unexpired_at`` (seconds since the epoch), for a new target, entries that have expired by then are left out.
    """
    given = [
        (source.entries, source.expires_at)
        for source in sources
        if source.entries and not _expired(source.expires_at, unexpired_at)
    ]
    given += [
        ((retained.entry,), retained.expires_at)
        for key in sorted(keep)
        if (retained := resolved.retained.get(key)) and not _expired(retained.expires_at, unexpired_at)
    ]
    merged = merge([entries for entries, _ in given]).entries
    raw = render(merged)
    digest, registries = fingerprint(raw)
    chosen = set(merged)
    expiries = [expiry for entries, expiry in given if expiry is not None and chosen.intersection(entries)]
    return Payload(content=b64encode(raw), digest=digest, registries=registries, expires_at=min(expiries, default=None))


def unknown(sources: Iterable[SourceState]) -> bool:
    """Say whether anything is not known of the sources at this moment."""
    return any(source.kind is SourceKind.UNKNOWN for source in sources)


def _expired(expires_at: float | None, now: float | None) -> bool:
    return now is not None and expires_at is not None and expires_at <= now


_NO_BOUNDS = Bounds()
