"""The smallest write that makes what was seen into what is wanted, or None where nothing differs. Pure.

Only our labels, our annotations, the owner's own ones and the data are compared and changed; everything else on the
object stays as it is. Where nothing else is on it a PUT says so cheapest; otherwise a JSON merge patch.
"""

from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct, structs

from imps_multi.model.digest import text_digest
from imps_multi.model.instant import format_instant
from imps_multi.model.names import (
    ADOPTED_ANNOTATION,
    DELETION_POLICY_ANNOTATION,
    HUB_LABEL,
    LINGER_ANNOTATION,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    OUR_ANNOTATIONS,
    OUR_LABELS,
    POLICY_ANNOTATION,
    UNWANTED_SINCE_ANNOTATION,
    HubId,
    PolicyName,
)
from imps_multi.model.observed import Pairs, SeenSecret
from imps_multi.model.target_plan import Update
from imps_multi.model.wanted import Marked, Wanted
from imps_multi.model.world import Resolved

Changes = tuple[tuple[str, str | None], ...]


class Own(Struct, frozen=True):
    """The keys of labels and annotations that a policy writes, or wrote, in its owner's name."""

    labels: frozenset[str]
    annotations: frozenset[str]


_NOTHING = frozenset[str]()
_STAYING = frozenset({ADOPTED_ANNOTATION})
_PASSING = OUR_ANNOTATIONS - _STAYING
_OURS = OUR_LABELS | OUR_ANNOTATIONS


def difference(seen: SeenSecret, resolved: Resolved, wanted: Wanted) -> Update | None:
    """Return the update that makes ``seen`` into ``wanted``, adopted marks aside."""
    marks = seen.marks
    changed = seen.content != wanted.payload.digest or bool(seen.foreign_keys)
    if not changed and marks == wanted.marks:
        return None
    labels = _pairs(marks.labels, wanted.labels, wanted.seen_labels, resolved.past_labels, OUR_LABELS)
    annotations = _pairs(
        marks.annotations, wanted.annotations, wanted.seen_annotations, resolved.past_annotations, _PASSING
    )
    if not changed:
        return _marks_only(seen, labels.changes, annotations.changes)
    return Update(
        uid=seen.uid,
        resource_version=seen.resource_version,
        wanted=wanted,
        put=labels.ours and annotations.ours and not (marks.foreign or seen.immutable),
        labels=labels.changes,
        annotations=annotations.changes,
        drop_data=tuple(sorted(seen.foreign_keys)),
    )


class _Change(Struct, frozen=True, gc=False):
    """What makes labels, or annotations, into the wanted ones; ``ours``: nobody else has any there."""

    changes: Changes
    ours: bool


@lru_cache(maxsize=64)  # thousands of targets are alike in what they carry
def _pairs(
    there: Pairs, wanted: Pairs, seen: frozenset[tuple[str, str]], past: frozenset[str], ours: frozenset[str]
) -> _Change:
    """Compare what lies there with what is wanted; ``seen``: the same as it would be seen.

    Taken away is only what is one of ours, or what the policy wrote in the past, and is not wanted any more.
    """
    differing = {key for key, _ in seen.difference(there)}
    keys = {key for key, _ in wanted}
    known = keys.union(ours, past)
    changes: Changes = tuple((key, value) for key, value in wanted if key in differing)
    changes += tuple((key, None) for key, _ in there if key in known and key not in keys)
    return _Change(changes, ours=known.issuperset(key for key, _ in there))


def gives_away(update: Update) -> bool:
    """Say whether an update takes our marks away."""
    labels = any(key in OUR_LABELS and value is None for key, value in update.labels)
    return labels or (POLICY_ANNOTATION, None) in update.annotations


def own_keys(resolved: Resolved) -> Own:
    """Return what a policy writes, or wrote, beside our marks."""
    secret = resolved.policy.secret
    return Own(
        resolved.past_labels | {key for key, _ in secret.labels},
        resolved.past_annotations | {key for key, _ in secret.annotations},
    )


def without_data(seen: SeenSecret, update: Update) -> Update | None:
    """Return what is left of an update where the data may not be changed."""
    if update.owners is None:
        return _marks_only(seen, update.labels, update.annotations)
    return structs.replace(update, wanted=None, put=False, drop_data=())


def repair_marks(seen: SeenSecret, resolved: Resolved, hub: HubId) -> Update | None:
    """Return the update that makes a target carry our marks again where its content is not known at this moment."""
    policy = resolved.policy
    labels = dict(policy.secret.labels) | {MANAGED_BY_LABEL: MANAGED_BY, HUB_LABEL: hub}
    annotations = dict(policy.secret.annotations) | {
        POLICY_ANNOTATION: str(policy.name),
        DELETION_POLICY_ANNOTATION: policy.deletion_policy.value,
    }
    there = dict(seen.marks.annotations)
    lifted: Changes = tuple((key, None) for key in (UNWANTED_SINCE_ANNOTATION, LINGER_ANNOTATION) if key in there)
    return _marks_only(
        seen, _missing(seen.marks.labels, labels), _missing(seen.marks.annotations, annotations) + lifted
    )


def keep_marks(seen: SeenSecret, policy: PolicyName | None, hub: HubId, marked: Marked | None) -> Update | None:
    """Return the update that keeps an unwanted target ours, and marked where it is to go; its content stays."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, HUB_LABEL: str(hub)}
    marks = {POLICY_ANNOTATION: str(policy)} if policy else {}
    if marked is not None:
        marks |= {
            UNWANTED_SINCE_ANNOTATION: format_instant(marked.unwanted_since),
            LINGER_ANNOTATION: marked.linger,
        }
    return _marks_only(seen, _missing(seen.marks.labels, labels), _missing(seen.marks.annotations, marks))


def release(seen: SeenSecret, own: Own | None = None) -> Update | None:
    """Return the update that takes our marks away and leaves the Secret; None where it carries none.

    ``own``: what a policy wrote there besides, where nobody else can have; it goes as well.
    """
    labels, annotations = (own.labels, own.annotations) if own is not None else (_NOTHING, _NOTHING)
    return _marks_only(
        seen,
        tuple(
            (key, None)
            for key, value in seen.marks.labels
            if key == HUB_LABEL or key in labels or (key == MANAGED_BY_LABEL and value == MANAGED_BY)
        ),
        tuple((key, None) for key, _ in seen.marks.annotations if key in OUR_ANNOTATIONS or key in annotations),
    )


def _marks_only(seen: SeenSecret, labels: Changes, annotations: Changes) -> Update | None:
    if not (labels or annotations):
        return None
    return Update(
        uid=seen.uid,
        resource_version=seen.resource_version,
        wanted=None,
        put=False,
        labels=labels,
        annotations=annotations,
    )


def _missing(there: Pairs, wanted: Mapping[str, str]) -> Changes:
    seen = dict(there)
    return tuple(
        (key, value)
        for key, value in sorted(wanted.items())
        if seen.get(key) != (value if key in _OURS else text_digest(value))
    )
