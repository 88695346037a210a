"""A target as it should be: payload, labels, annotations, and the bytes that say so.

Pure, and memoised: what is equal for many namespaces of many clusters is built once (``WantedCache``) and shared. Only
name, namespace and resourceVersion are spliced in per write.
"""

import json
import math
from collections.abc import Iterable

from msgspec import Struct

from imps_multi.model.credential import SourceState
from imps_multi.model.digest import text_digest
from imps_multi.model.discreet import Discreet
from imps_multi.model.instant import format_instant
from imps_multi.model.names import (
    DELETION_POLICY_ANNOTATION,
    DOCKERCONFIGJSON_KEY,
    DOCKERCONFIGJSON_TYPE,
    EXPIRES_AT_ANNOTATION,
    HUB_LABEL,
    LINGER_ANNOTATION,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    OUR_LABELS,
    POLICY_ANNOTATION,
    UNWANTED_SINCE_ANNOTATION,
    HubId,
    NamespaceName,
    PolicyName,
    RegistryKey,
    SecretName,
)
from imps_multi.model.observed import Marks, Pairs
from imps_multi.model.payload import Payload, build, losses
from imps_multi.model.policy import Policy
from imps_multi.model.world import Resolved


class Marked(Struct, frozen=True):
    """The marks of a target that is no longer wanted; times in seconds."""

    unwanted_since: float
    linger: str


class Wanted(Discreet, frozen=True):
    """One target's content and marks. ``labels``/``annotations`` as written; ``tail`` is everything that is shared."""

    payload: Payload
    labels: Pairs
    annotations: Pairs
    seen_labels: frozenset[tuple[str, str]]
    seen_annotations: frozenset[tuple[str, str]]
    """The same as an observation shows them: values that are not ours as digests."""
    marks: Marks
    """What an observation of a target shows that holds exactly this."""
    tail: bytes

    def __repr__(self) -> str:
        """Show what may be seen."""
        return f"Wanted({self.payload!r})"

    def body(self, namespace: NamespaceName, name: SecretName, resource_version: int | None = None) -> bytes:
        """Return the whole object as JSON: for a POST without, for a PUT with the version it was planned on."""
        version = "" if resource_version is None else f',"resourceVersion":"{resource_version}"'
        head = f'{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"{name}","namespace":"{namespace}"{version}'
        return head.encode() + self.tail


class WantedCache:
    """Memory of what was built, by policy, shared by every cluster.

    Kept are the two newest forms of a policy, since clusters take up a new world one after the other. What is marked as
    unwanted differs from target to target and is not kept.
    """

    def __init__(self, hub: HubId) -> None:
        self._hub = hub
        self._built: dict[PolicyName, tuple[_Built, ...]] = {}

    def wanted(
        self,
        resolved: Resolved,
        sources: tuple[SourceState, ...],
        *,
        keep: frozenset[RegistryKey] = frozenset(),
        unexpired_at: float | None = None,
        there: frozenset[RegistryKey] = frozenset(),
        only: frozenset[RegistryKey] | None = None,
        marked: Marked | None = None,
    ) -> Wanted:
        """Return the target of a policy for the sources that may go there; the other arguments as for ``build``."""
        built = self._of(resolved)
        dead: frozenset[RegistryKey] = frozenset()
        if unexpired_at is not None and unexpired_at >= built.first_expiry:
            dead = _dead(sources, unexpired_at)
        here = dead - losses(dead, there) if dead else dead
        plain = sources is resolved.sources and not keep and not dead and only is None
        variant = None if plain else (tuple(source.ref for source in sources), keep, dead, here, only)
        if (known := built.variants.get(variant)) is None:
            at = unexpired_at if dead else None
            payload = build(sources, resolved, keep=keep, unexpired_at=at, there=here, only=only)
            known = built.variants[variant] = make(resolved.policy, payload, self._hub)
        return known if marked is None else make(resolved.policy, known.payload, self._hub, marked)

    def retain(self, names: Iterable[PolicyName]) -> None:
        """Forget every other policy."""
        kept = set(names)
        self._built = {name: built for name, built in self._built.items() if name in kept}

    def _of(self, resolved: Resolved) -> "_Built":
        """Return what was built of a policy as it is; by identity, and for an equal one that was made anew."""
        name = resolved.policy.name
        known = self._built.get(name, ())
        for built in known:
            if built.resolved is resolved:
                return built
        for built in known:
            if built.resolved == resolved:
                built.resolved = resolved
                return built
        fresh = _Built(resolved)
        self._built[name] = (fresh, *known[:1])
        return fresh


class _Built:
    """The variants of one policy as it was at one time."""

    def __init__(self, resolved: Resolved) -> None:
        self.resolved = resolved
        self.first_expiry = min(
            (source.expires_at for source in resolved.sources if source.expires_at is not None), default=math.inf
        )
        self.variants: dict[object, Wanted] = {}


def make(policy: Policy, payload: Payload, hub: HubId, marked: Marked | None = None) -> Wanted:
    """Put a payload into the form that is written: our marks over the owner's own."""
    labels = dict(policy.secret.labels) | {MANAGED_BY_LABEL: MANAGED_BY, HUB_LABEL: hub}
    ours = {POLICY_ANNOTATION: str(policy.name), DELETION_POLICY_ANNOTATION: policy.deletion_policy.value}
    if payload.expires_at is not None:
        ours[EXPIRES_AT_ANNOTATION] = format_instant(payload.expires_at)
    if marked is not None:
        ours |= {
            UNWANTED_SINCE_ANNOTATION: format_instant(marked.unwanted_since),
            LINGER_ANNOTATION: marked.linger,
        }
    annotations = dict(policy.secret.annotations) | ours
    tail = b"".join(
        (
            b',"labels":',
            _json(labels),
            b',"annotations":',
            _json(annotations),
            f'}},"type":"{DOCKERCONFIGJSON_TYPE}","data":{{"{DOCKERCONFIGJSON_KEY}":"'.encode(),
            payload.content,
            b'"}}',
        )
    )
    seen_labels = [(key, value if key in OUR_LABELS else text_digest(value)) for key, value in labels.items()]
    seen_annotations = [(key, value if key in ours else text_digest(value)) for key, value in annotations.items()]
    return Wanted(
        payload=payload,
        labels=tuple(sorted(labels.items())),
        annotations=tuple(sorted(annotations.items())),
        seen_labels=frozenset(seen_labels),
        seen_annotations=frozenset(seen_annotations),
        marks=Marks(labels=tuple(sorted(seen_labels)), annotations=tuple(sorted(seen_annotations))),
        tail=tail,
    )


def _dead(sources: tuple[SourceState, ...], now: float) -> frozenset[RegistryKey]:
    return frozenset(
        entry.registry
        for source in sources
        if source.expires_at is not None and source.expires_at <= now
        for entry in source.entries
    )


def _json(values: dict[str, str]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
