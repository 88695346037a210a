"""A target as it should be: payload, labels, annotations, and the bytes that say so.

Pure, and memoised: what is equal for many namespaces of many clusters is built once (``WantedCache``) and shared. Only
name, namespace and resourceVersion are spliced in per write.
"""

import json
from collections.abc import Iterable

from msgspec import Struct

from imps_multi.model.credential import SourceState
from imps_multi.model.digest import text_digest
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
from imps_multi.model.payload import Payload, build
from imps_multi.model.policy import Policy
from imps_multi.model.world import Resolved


class Marked(Struct, frozen=True):
    """The marks of a target that is no longer wanted; times in seconds."""

    unwanted_since: float
    linger: str


class Wanted(Struct, frozen=True):
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
    """Memory of what was built, by policy; a policy's entries go when its revision changes."""

    def __init__(self, hub: HubId) -> None:
        self._hub = hub
        self._built: dict[PolicyName, tuple[int, dict[object, Wanted]]] = {}

    def wanted(
        self,
        resolved: Resolved,
        sources: tuple[SourceState, ...],
        *,
        keep: frozenset[RegistryKey] = frozenset(),
        unexpired_at: float | None = None,
        marked: Marked | None = None,
    ) -> Wanted:
        """Return the target of a policy for the sources that may go there."""
        name = resolved.policy.name
        revision, variants = self._built.get(name, (-1, {}))
        if revision != resolved.revision:
            variants = {}
            self._built[name] = (resolved.revision, variants)
        dead = () if unexpired_at is None else tuple(_dead(resolved, sources, keep, unexpired_at))
        variant = (tuple(source.ref for source in sources), keep, dead, marked)
        if (known := variants.get(variant)) is None:
            payload = build(sources, resolved, keep=keep, unexpired_at=unexpired_at)
            known = variants[variant] = make(resolved.policy, payload, self._hub, marked)
        return known

    def retain(self, names: Iterable[PolicyName]) -> None:
        """Forget every other policy."""
        kept = set(names)
        self._built = {name: built for name, built in self._built.items() if name in kept}


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


def _dead(
    resolved: Resolved, sources: tuple[SourceState, ...], keep: frozenset[RegistryKey], now: float
) -> Iterable[str]:
    for source in sources:
        if source.expires_at is not None and source.expires_at <= now:
            yield str(source.ref)
    for key in keep:
        retained = resolved.retained.get(key)
        if retained is not None and retained.expires_at is not None and retained.expires_at <= now:
            yield key


def _json(values: dict[str, str]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
