"""What is there in one cluster, as a fold of watch events and write answers.

Fed by the cluster actor alone (one writer), read by ``plan``. Holds digests and key names, never a credential.
Same end state whatever way the events were split: a relist equals any sequence of events that leads there.
"""

from msgspec import Struct

from imps_multi.model.names import NamespaceName, RegistryKey, SecretName, Uid
from imps_multi.model.pods import PodEvent

Pairs = tuple[tuple[str, str], ...]
"""Sorted (key, value) pairs; adapters intern them, so that equal ones share one object."""


class NamespaceRecord(Struct, frozen=True, gc=False):
    """A namespace: what selection needs. ``labels`` leaves out kubernetes.io/metadata.name (it is the name)."""

    name: NamespaceName
    resource_version: int
    labels: Pairs = ()
    annotations: Pairs = ()
    terminating: bool = False
    seen_at: float = 0.0
    """Wall-clock seconds when this process first saw it in a live watch event; 0.0 when it came from a list."""


class Owners(Struct, frozen=True):
    """The ownerReferences of a Secret, as far as they tell who may write to it.

    ``controller``: the kind of its controller, which is not an ImagePullSecret. ``imps``: some are to an
    ImagePullSecret; then, and only then, ``others`` holds the references beside those, as a JSON list, so that the one
    kind can be taken away and the others stay. ``there``: there are any.
    """

    there: bool = False
    controller: str = ""
    imps: bool = False
    others: str = ""


NO_OWNERS = Owners()


class Marks(Struct, frozen=True):
    """Labels and annotations of a Secret. Values of foreign keys are replaced by their digests.

    ``labels``/``annotations``: sorted pairs; values of ``OUR_LABELS`` and ``OUR_ANNOTATIONS`` in clear, any other value
    as ``digest.text_digest`` of it. Interned by the adapter.
    """

    labels: Pairs = ()
    annotations: Pairs = ()
    finalizers: bool = False
    owners: Owners = NO_OWNERS

    @property
    def foreign(self) -> bool:
        """Whether there is what a PUT of ours would take away: finalizers or ownerReferences."""
        return self.finalizers or self.owners.there


class SeenSecret(Struct, frozen=True, gc=False):
    """A Secret of a watched name, digested. ``content`` is ``dockerconfig.fingerprint`` of its docker config."""

    uid: Uid
    resource_version: int
    type: str
    content: bytes
    marks: Marks
    registries: frozenset[RegistryKey] = frozenset()
    foreign_keys: frozenset[str] = frozenset()
    immutable: bool = False


class NamespaceSeen(Struct, frozen=True, gc=False):
    """ADDED or MODIFIED."""

    record: NamespaceRecord


class NamespaceGone(Struct, frozen=True, gc=False):
    """DELETED."""

    name: NamespaceName
    resource_version: int


class NamespacesReplaced(Struct, frozen=True):
    """A whole list; swaps the index in one move. ``reset``: the server's history went back (its version is lower)."""

    records: tuple[NamespaceRecord, ...]
    resource_version: int
    reset: bool = False


class SecretSeen(Struct, frozen=True, gc=False):
    """What a Secret holds: as it was read, or as a watch told it whole."""

    namespace: NamespaceName
    name: SecretName
    secret: SeenSecret


class SecretMoved(Struct, frozen=True, gc=False):
    """ADDED or MODIFIED as metadata alone: it is at another version now, and what it holds was not said."""

    namespace: NamespaceName
    name: SecretName
    uid: Uid
    resource_version: int
    marks: Marks


class SecretGone(Struct, frozen=True, gc=False):
    """DELETED, or a 404 answered to us (then ``resource_version`` is the one that was expected)."""

    namespace: NamespaceName
    name: SecretName
    resource_version: int


class SecretsReplaced(Struct, frozen=True):
    """A whole list of one Secret name over all namespaces."""

    name: SecretName
    secrets: tuple[tuple[NamespaceName, SeenSecret], ...]
    resource_version: int
    reset: bool = False


ObjectEvent = (
    NamespaceSeen | NamespaceGone | NamespacesReplaced | SecretSeen | SecretMoved | SecretGone | SecretsReplaced
)
WatchEvent = ObjectEvent | PodEvent
