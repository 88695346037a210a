"""One file of manifests: its policies and source Secrets, each with its place, or what is wrong with it.

Pure: bytes in, values out. Used by the directory hub and by ``validate``. Secrets pass through here, so nothing that it
says shows a value. What might be a mistyped policy is a problem and not an ignored object, for an object that vanishes
takes its targets with it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Final

from imps_multi.marked_yaml import Document, Mistake, Unreadable, legible
from imps_multi.model.fields import kind_of, shown
from imps_multi.model.hub import HubObject, HubProblem, Place
from imps_multi.model.names import POLICY_API_VERSION, POLICY_KIND
from imps_multi.model.policy import InvalidPolicy, SpecProblem
from imps_multi.model.policy_parse import parse_policy
from imps_multi.model.source_parse import source_problems

SECRET: Final = "Secret"  # noqa: S105 - a kind of object
OUR_KINDS: Final = (POLICY_KIND, SECRET)
DEFAULT_NAMESPACE: Final = "default"
MISTYPED: Final = 0.9
"""How like one of ours a kind must be to count as mistyped; SealedSecret and its like are other kinds."""
_OUR_GROUP: Final = f"{POLICY_API_VERSION.partition('/')[0]}/"


@dataclass(frozen=True, slots=True)
class Manifest:
    """An object of a file, and how to find the places in it."""

    object: HubObject
    document: Document = field(repr=False)
    prefix: str = ""
    """The path of the object in its document: empty, or of an item in a List."""

    def place(self, path: str) -> Place:
        """Find the place of a path of the object, such as a ``SpecProblem`` has."""
        return self.document.place(".".join(part for part in (self.prefix, path) if part))


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """What a file holds. Its manifests count only where no problem is fatal."""

    manifests: tuple[Manifest, ...] = ()
    problems: tuple[HubProblem, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all of the file could be read."""
        return not any(problem.fatal for problem in self.problems)


def read_manifests(content: bytes, file: str) -> ManifestFile:
    """Read one file, multi-document and Lists included; of one with mistakes, what is good for finding more of them."""
    try:
        found, mistakes = legible(content, file)
    except Unreadable as error:
        return ManifestFile((), _problems(error.mistakes))
    if not (found or mistakes):
        return ManifestFile(
            (), (HubProblem(Place(file, 1, 1), "is empty; take the file away if nothing belongs there"),)
        )
    reader = _Reader()
    for document in found:
        reader.read(document, document.value, "")
    return ManifestFile(tuple(reader.manifests), tuple(sorted((*_problems(mistakes), *reader.problems))))


def _problems(mistakes: Iterable[Mistake]) -> tuple[HubProblem, ...]:
    return tuple(HubProblem(mistake.place, mistake.message) for mistake in mistakes)


def findings(manifest: Manifest) -> tuple[HubProblem, ...]:
    """Return what is wrong with a policy or a source Secret itself, each with its place."""
    return tuple(HubProblem(manifest.place(problem.path), str(problem)) for problem in _spec_problems(manifest.object))


def _spec_problems(obj: HubObject) -> tuple[SpecProblem, ...]:
    if obj.kind == SECRET:
        return source_problems(obj)
    policy = parse_policy(obj.content)
    return policy.problems if isinstance(policy, InvalidPolicy) else ()


class _Reader:
    """Gathers the objects of one file."""

    def __init__(self) -> None:
        self.manifests: list[Manifest] = []
        self.problems: list[HubProblem] = []
        self._ignored: set[str] = set()

    def _problem(self, document: Document, path: str, message: str, *, fatal: bool = True) -> None:
        self.problems.append(HubProblem(document.place(path), message, fatal))

    def read(self, document: Document, content: object, prefix: str, kind_of_items: str = "") -> None:
        """Take in an object, or the items of a List."""
        if not isinstance(content, Mapping):
            self._problem(
                document, prefix, f"must be a manifest (a mapping with apiVersion, kind), is {kind_of(content)}"
            )
            return
        kind = content.get("kind", kind_of_items or None)
        if not isinstance(kind, str) or not kind:
            self._problem(document, f"{prefix}.kind", "kind is required, and must be a text")
        elif kind.endswith("List") and "items" in content:
            self._list(document, content["items"], prefix, kind)
        elif kind in OUR_KINDS and self._is_ours(document, content, prefix, kind, given=not kind_of_items):
            self._object(document, content, prefix, kind)
        elif kind not in OUR_KINDS:
            self._other(document, content, prefix, kind)

    def _list(self, document: Document, items: object, prefix: str, kind: str) -> None:
        path = f"{prefix}.items" if prefix else "items"
        if not isinstance(items, list):
            self._problem(document, path, f"{path} must be a list, is {kind_of(items)}")
            return
        item_kind = kind.removesuffix("List")
        for index, item in enumerate(items):
            self.read(document, item, f"{path}[{index}]", item_kind if item_kind in OUR_KINDS else "")

    def _is_ours(self, document: Document, content: Mapping[str, Any], prefix: str, kind: str, *, given: bool) -> bool:
        """Tell a core Secret from another group's; a policy's version is its parser's business."""
        version = content.get("apiVersion", None if given else "v1")
        if kind != SECRET or version == "v1":
            return True
        if isinstance(version, str) and "/" in version:
            self._other(document, content, prefix, f"{version} {kind}")
        else:
            self._problem(document, f"{prefix}.apiVersion", "apiVersion must be v1")
        return False

    def _other(self, document: Document, content: Mapping[str, Any], prefix: str, kind: str) -> None:
        """Refuse what looks like a mistyped object of ours; warn once per file of any other kind."""
        version = content.get("apiVersion")
        ours = isinstance(version, str) and version.startswith(_OUR_GROUP)
        meant = next((known for known in OUR_KINDS if _likeness(kind, known) >= MISTYPED), None)
        if ours or meant is not None:
            message = f"unknown kind {shown(kind)} (did you mean {meant or POLICY_KIND}?)"
            self._problem(document, f"{prefix}.kind", message)
        elif kind not in self._ignored:
            self._ignored.add(kind)
            message = f"objects of kind {shown(kind)} are ignored; a hub has {' and '.join(OUR_KINDS)} only"
            self._problem(document, f"{prefix}.kind", message, fatal=False)

    def _object(self, document: Document, content: Mapping[str, Any], prefix: str, kind: str) -> None:
        metadata = content.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        name, namespace = metadata.get("name"), metadata.get("namespace")
        if not isinstance(name, str) or not name:
            self._problem(document, f"{prefix}.metadata.name", "metadata.name is required, and must be a text")
            return
        if kind == POLICY_KIND:
            namespace = ""
        elif namespace is None:
            namespace = DEFAULT_NAMESPACE
            message = f'metadata.namespace is not there; the Secret counts as one of namespace "{namespace}"'
            self._problem(document, f"{prefix}.metadata", message, fatal=False)
        if not isinstance(namespace, str):
            self._problem(
                document, f"{prefix}.metadata.namespace", "metadata.namespace must be a text; put it in quotes"
            )
            return
        if "kind" not in content:  # an item of a typed List may leave both out
            content = {"apiVersion": POLICY_API_VERSION if kind == POLICY_KIND else "v1", **content, "kind": kind}
        found = HubObject(kind, namespace, name, document.place(prefix), content)
        self.manifests.append(Manifest(found, document, prefix))


def _likeness(kind: str, known: str) -> float:
    return SequenceMatcher(None, kind.casefold(), known.casefold()).ratio()
