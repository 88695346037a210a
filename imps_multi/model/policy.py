"""An ImagePullSecret as a value: what its owner wants, valid by construction, or why it cannot be used.

Made by ``policy_parse``; read by everything that plans. Never holds a credential.
"""

import enum

from msgspec import Struct

from imps_multi.model.names import NamespaceName, PolicyName, SecretName, Uid
from imps_multi.model.selection import ClusterSelection, NamespaceSelection, PodSelection


class ConflictPolicy(enum.Enum):
    """What to do with a Secret of the target's name that is not ours."""

    FAIL = "Fail"
    ADOPT = "Adopt"


class DeletionPolicy(enum.Enum):
    """What to do with a target that is no longer wanted."""

    WHEN_UNREFERENCED = "WhenUnreferenced"
    IMMEDIATE = "Immediate"
    RETAIN = "Retain"


class SourceRef(Struct, frozen=True, order=True):
    """A source: a Secret in the hub; or ``inline``, in a policy itself, with its keys and values sorted.

    An inline one has no namespace, and a name that follows from what it says.
    """

    namespace: NamespaceName
    name: str
    inline: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return ``namespace/name``, or the name alone."""
        return source_title(self.namespace, self.name)


def source_title(namespace: str, name: str) -> str:
    """Return what a source is called where people read it."""
    return f"{namespace}/{name}" if namespace else name


class TargetSecret(Struct, frozen=True):
    """The Secret to write: its name and the owner's own labels and annotations, sorted by key."""

    name: SecretName
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()


class SpecProblem(Struct, frozen=True):
    """What is wrong in a manifest: the path from its root, and a sentence that says what to do."""

    path: str
    message: str

    def __str__(self) -> str:
        """Return ``path: message``."""
        return f"{self.path}: {self.message}"


class Policy(Struct, frozen=True):
    """A valid policy. ``clusters`` is None where the manifest has no ``target.clusters``."""

    name: PolicyName
    generation: int
    sources: tuple[SourceRef, ...]
    secret: TargetSecret
    namespaces: NamespaceSelection = NamespaceSelection()
    clusters: ClusterSelection | None = None
    conflict_policy: ConflictPolicy = ConflictPolicy.FAIL
    deletion_policy: DeletionPolicy = DeletionPolicy.WHEN_UNREFERENCED
    suspend: bool = False
    uid: Uid | None = None
    created: float | None = None
    """creationTimestamp in seconds since the epoch; None where the manifest has none."""
    sync_request: str = ""
    """The value of the sync annotation; a new one forces a fresh mint and a full pass, once."""
    approve_request: str = ""
    """The value of the approve annotation."""
    pods: PodSelection = PodSelection()
    """Namespaces that are selected by the pods in them, beside ``namespaces``."""
    remarks: tuple[SpecProblem, ...] = ()
    """What is worth saying of the manifest though nothing is wrong."""


class InvalidPolicy(Struct, frozen=True):
    """A policy that cannot be used as it stands. Its last valid spec, where known, keeps its targets fresh."""

    name: PolicyName
    generation: int
    problems: tuple[SpecProblem, ...]
    secret_name: SecretName | None = None
