"""Stands beside a cluster and judges every write of ours, by what lay there and what lies there after it.

Knows nothing of plans: it reads Secrets as JSON and keeps a record of its own of whose each of them is. Feeds the tests
that let anything happen; works for any cluster that holds its Secrets as dicts.
"""

from collections.abc import Iterable
from typing import cast

from tests.model.objects import Object, metadata_of, texts

MANAGED_BY, HUB = "app.kubernetes.io/managed-by", "imps-multi.io/hub"
POLICY, ADOPTED = "imps-multi.io/policy", "imps-multi.io/adopted"
IMPS_LABEL, IMPS_COPY = "images.banzaicloud.io/owner-uid", "banzaicloud.com/last-applied"
TYPE = "kubernetes.io/dockerconfigjson"


class Witness:
    """Fails where a Secret that is not ours is touched, and where one that was adopted is deleted."""

    def __init__(self, hubs: Iterable[str], keys: Iterable[str] = ()) -> None:
        self._hubs = frozenset(hubs)
        self._keys = frozenset(keys)
        """Labels and annotations that policies write in their owners' names."""
        self._ours: set[str] = set()
        """Uids of what we made or adopted, or what once bore our marks, and that we did not give back."""
        self._adopted: set[str] = set()

    def judge(self, before: Object | None, after: Object | None, *, adopts: bool) -> None:
        """Look at a write of ours; ``adopts``: a policy in force wants this target and says Adopt."""
        if before is None:
            assert after is not None
            self._made(after)
        elif after is None:
            self._deleted(before)
        else:
            self._changed(before, after, adopts=adopts)

    def doubt(self, found: Object | None) -> None:
        """Take in that the answer to a write was lost: a mark that goes before anybody looks was never seen."""
        if found is not None:
            self._adopted.discard(_uid(found))

    def look(self, secrets: Iterable[Object]) -> None:
        """Look around: what bears our marks now is ours from now on, stripped or not."""
        self._ours.update(_uid(found) for found in secrets if self.is_ours(found))

    def forget(self, secrets: Iterable[Object]) -> None:
        """Take in that the process is a new one: what does not say itself whose it is, nobody can know any more."""
        self._ours.clear()
        for found in secrets:
            if _annotations(found).get(ADOPTED) != "true":
                self._adopted.discard(_uid(found))

    def is_ours(self, found: Object) -> bool:
        """Say whether we may write to a Secret: it has our marks, or we made it; never with another hub's mark."""
        labels, annotations = _labels(found), _annotations(found)
        if HUB in labels:
            return labels[HUB] in self._hubs
        marked = labels.get(MANAGED_BY) == "imps-multi" and POLICY in annotations
        return marked or _uid(found) in self._ours

    def _made(self, after: Object) -> None:
        assert set(metadata_of(after)) == {"name", "namespace", "labels", "annotations", "uid", "resourceVersion"}
        assert ADOPTED not in _annotations(after)
        self._ours.add(_uid(after))

    def _deleted(self, before: Object) -> None:
        assert self.is_ours(before), "a Secret that is not ours is deleted"
        assert _annotations(before).get(ADOPTED) != "true", "an adopted Secret is deleted"
        assert _uid(before) not in self._adopted, "an adopted Secret that lost its mark is deleted"
        self._ours.discard(_uid(before))

    def _changed(self, before: Object, after: Object, *, adopts: bool) -> None:
        assert _uid(before) == _uid(after)
        if not self.is_ours(before):
            assert adopts, "a Secret that is not ours is written to"
            assert adoptable(before, self._hubs), "a Secret is adopted that may not be"
            assert _annotations(after)[ADOPTED] == "true"
            assert IMPS_COPY not in _annotations(after) or IMPS_LABEL not in _labels(before)
        self._others_stay(before, after)
        if HUB in _labels(after):
            self._ours.add(_uid(after))
            if _annotations(after).get(ADOPTED) == "true":
                self._adopted.add(_uid(after))
            return
        assert before["data"] == after["data"], "a Secret that is given back is changed"
        self._ours.discard(_uid(after))
        self._adopted.discard(_uid(after))

    def _others_stay(self, before: Object, after: Object) -> None:
        there, here = metadata_of(before), metadata_of(after)
        assert before["type"] == after["type"]
        assert there.get("finalizers") == here.get("finalizers")
        assert _strange_owners(before) == _strange_owners(after)
        for kind in ("labels", "annotations"):
            assert self._strange(there[kind]) == self._strange(here[kind])

    def _strange(self, pairs: object) -> dict[str, str]:
        ours = {MANAGED_BY, IMPS_LABEL, IMPS_COPY, *self._keys}
        return {
            key: value
            for key, value in texts(pairs).items()
            if key not in ours and not key.startswith("imps-multi.io/")
        }


def adoptable(found: Object, hubs: Iterable[str]) -> bool:
    """Say whether Adopt may take a Secret over."""
    labels = _labels(found)
    return (
        found["type"] == TYPE
        and not found.get("immutable")
        and not any(one.get("controller") for one in _strange_owners(found))
        and (IMPS_LABEL in labels or _strange_owners(found) == _owners(found))
        and labels.get(HUB) in (None, *hubs)
        and labels.get(MANAGED_BY) in (None, "imps-multi")
    )


def _owners(found: Object) -> list[Object]:
    return cast("list[Object]", metadata_of(found).get("ownerReferences") or [])


def _strange_owners(found: Object) -> list[Object]:
    return [one for one in _owners(found) if one["kind"] != "ImagePullSecret"]


def _labels(found: Object) -> dict[str, str]:
    return texts(metadata_of(found).get("labels"))


def _annotations(found: Object) -> dict[str, str]:
    return texts(metadata_of(found).get("annotations"))


def _uid(found: Object) -> str:
    return str(metadata_of(found)["uid"])
