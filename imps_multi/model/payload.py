"""What a target should hold: the merged docker config of one policy, for one place.

Pure; built from a ``Resolved`` policy, once per policy, bounds and retained entries, and shared by every namespace of
every cluster that is equal in these.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence

from imps_multi.model.credential import Bounds, Entry, SourceKind, SourceState
from imps_multi.model.discreet import Discreet
from imps_multi.model.docker_settings import Given, MergedSettings, merge_settings
from imps_multi.model.dockerconfig import fingerprint, merge, render
from imps_multi.model.keyring import KeyringError, filing_key, read
from imps_multi.model.matching import glob_match
from imps_multi.model.names import ClusterName, NamespaceName, PolicyName, RegistryKey
from imps_multi.model.world import Resolved, Retained


class Payload(Discreet, frozen=True):
    """One docker config, ready to be written. ``content`` (base64 text) is never shown; ``digest`` compares it.

    ``size`` is in bytes, as the API server counts it.
    """

    content: bytes
    digest: bytes
    registries: frozenset[RegistryKey]
    expires_at: float | None = None
    size: int = 0
    fault: str = ""
    """Why a kubelet could not read it, or empty; holds no value."""

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
    sources = resolved.sources
    for source in sources:
        if source.bounds is not _NO_BOUNDS and source.bounds != _NO_BOUNDS:
            break
    else:
        return sources
    name = resolved.policy.name
    may_go = tuple(
        source
        for source in sources
        if allowed(source.bounds, policy=name, cluster=cluster, namespace=namespace) is None
    )
    return sources if len(may_go) == len(sources) else may_go


def build(
    sources: Sequence[SourceState],
    resolved: Resolved,
    *,
    keep: frozenset[RegistryKey] = frozenset(),
    unexpired_at: float | None = None,
    there: frozenset[RegistryKey] = frozenset(),
    only: frozenset[RegistryKey] | None = None,
) -> Payload:
    """Merge what the sources give, and the entries named by ``keep`` that a policy gave before.

    With ``unexpired_at`` (seconds since the epoch), an entry that has expired by then is left out unless the target has
    that registry already (``there``) and no other source gives it: a cached image then still starts. ``only`` leaves
    every other registry out.
    """
    live, dead = _by_life(sources, unexpired_at)
    fresh = {filing_key(entry.registry) for entries, _ in live for entry in entries}
    given = live + _limited(dead, frozenset(key for key in there if filing_key(key) not in fresh))
    before = given_before(resolved) if keep else {}
    given += [((past.entry,), past.expires_at) for key in sorted(keep) if (past := before.get(key)) is not None]
    if only is not None:
        given = _limited(given, only)
    merged = merge([entries for entries, _ in given]).entries
    settings = merge_source_settings(sources).kept
    raw = render(merged, settings)
    digest, registries = fingerprint(raw)
    chosen = set(merged)
    expiries = [expiry for entries, expiry in given if expiry is not None and chosen.intersection(entries)]
    return Payload(
        content=b64encode(raw),
        digest=digest,
        registries=registries,
        expires_at=min(expiries, default=None),
        size=len(raw),
        fault=_fault(raw),
    )


def merge_source_settings(sources: Sequence[SourceState]) -> MergedSettings:
    """Merge what sources hold beside logins."""
    return merge_settings(
        [Given(tuple(entry.registry for entry in source.entries), source.settings) for source in sources]
    )


def _fault(raw: bytes) -> str:
    """Judge what is to be written as a kubelet does, for one that it cannot read fails every pod that names it."""
    try:
        read(raw)
    except KeyringError as error:
        return str(error)
    return ""


def given_before(resolved: Resolved) -> Mapping[RegistryKey, Retained]:
    """Return every entry that a policy can keep in a target: retained, or of a source that may not go there now."""
    given = {
        entry.registry: Retained(entry, source.expires_at)
        for source in reversed(resolved.sources)
        for entry in source.entries
    }
    return {**given, **resolved.retained}


def losses(there: frozenset[RegistryKey], wanted: frozenset[RegistryKey]) -> frozenset[RegistryKey]:
    """Return the registries of ``there`` that a kubelet would not find in ``wanted``, however they are spelled."""
    missing = there - wanted
    if not missing:
        return missing
    filed = {filing_key(key) for key in wanted}
    return frozenset(key for key in missing if filing_key(key) not in filed)


def unknown(sources: Iterable[SourceState]) -> bool:
    """Say whether anything is not known of the sources at this moment."""
    for source in sources:  # noqa: SIM110 - a generator costs more than the sources, for each look
        if source.kind is SourceKind.UNKNOWN:
            return True
    return False


_Lives = list[tuple[tuple[Entry, ...], float | None]]


def _by_life(sources: Iterable[SourceState], now: float | None) -> tuple[_Lives, _Lives]:
    live: _Lives = []
    dead: _Lives = []
    for source in sources:
        expired = now is not None and source.expires_at is not None and source.expires_at <= now
        (dead if expired else live).append((source.entries, source.expires_at))
    return live, dead


def _limited(given: _Lives, registries: frozenset[RegistryKey]) -> _Lives:
    filed = {filing_key(key) for key in registries}
    return [
        (tuple(entry for entry in entries if filing_key(entry.registry) in filed), expires_at)
        for entries, expires_at in given
    ]


_NO_BOUNDS = Bounds()
