"""From a planned write to the bytes that carry it, and from its answer to what is there now.

Pure. Used by the cluster's workers around each request.
"""

import json
from collections.abc import Mapping

from imps_multi.model.digest import text_digest
from imps_multi.model.names import DOCKERCONFIGJSON_KEY, DOCKERCONFIGJSON_TYPE, OUR_ANNOTATIONS, OUR_LABELS, Uid
from imps_multi.model.observed import NO_OWNERS, Marks, Owners, Pairs, SeenSecret
from imps_multi.model.target_plan import Create, Update
from imps_multi.model.wanted import Wanted

Changes = tuple[tuple[str, str | None], ...]


def patch_body(update: Update) -> bytes:
    """Return a JSON merge patch that binds the version it was planned on."""
    metadata: dict[str, object] = {"resourceVersion": str(update.resource_version)}
    if update.labels:
        metadata["labels"] = dict(update.labels)
    if update.annotations:
        metadata["annotations"] = dict(update.annotations)
    if update.owners is not None:
        metadata["ownerReferences"] = json.loads(update.owners) or None
    patch: dict[str, object] = {"metadata": metadata}
    if update.wanted is not None:
        data: dict[str, str | None] = dict.fromkeys(update.drop_data)
        data[DOCKERCONFIGJSON_KEY] = update.wanted.payload.content.decode()
        patch["data"] = data
    return json.dumps(patch, separators=(",", ":")).encode()


def after_create(create: Create, uid: Uid, resource_version: int) -> SeenSecret:
    """Return what is there after a POST that was answered."""
    return _whole(create.wanted, uid, resource_version)


def after_update(before: SeenSecret, update: Update, uid: Uid, resource_version: int) -> SeenSecret:
    """Return what is there after a PUT or a patch that was answered."""
    if update.put and update.wanted is not None:
        return _whole(update.wanted, uid, resource_version)
    marks = Marks(
        labels=_changed(before.marks.labels, update.labels, OUR_LABELS),
        annotations=_changed(before.marks.annotations, update.annotations, OUR_ANNOTATIONS),
        finalizers=before.marks.finalizers,
        owners=before.marks.owners if update.owners is None else _left(before.marks.owners, update.owners),
    )
    wanted = update.wanted
    return SeenSecret(
        uid=uid,
        resource_version=resource_version,
        type=before.type,
        content=before.content if wanted is None else wanted.payload.digest,
        marks=marks,
        registries=before.registries if wanted is None else wanted.payload.registries,
        foreign_keys=before.foreign_keys if wanted is None else frozenset(),
        immutable=before.immutable,
    )


def _whole(wanted: Wanted, uid: Uid, resource_version: int) -> SeenSecret:
    return SeenSecret(
        uid=uid,
        resource_version=resource_version,
        type=DOCKERCONFIGJSON_TYPE,
        content=wanted.payload.digest,
        marks=wanted.marks,
        registries=wanted.payload.registries,
    )


def _left(before: Owners, others: str) -> Owners:
    return Owners(there=True, controller=before.controller) if json.loads(others) else NO_OWNERS


def _changed(before: Pairs, changes: Changes, clear: frozenset[str]) -> Pairs:
    after: dict[str, str] = dict(before)
    values: Mapping[str, str | None] = dict(changes)
    for key, value in values.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = value if key in clear else text_digest(value)
    return tuple(sorted(after.items()))
