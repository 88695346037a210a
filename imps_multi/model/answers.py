"""Which answers to our writes are asked for whole, so that data changed on its way in does not pass for what was sent.

A mutating webhook or policy may store other data than a write sends. Targets are watched as metadata, so only a look at
what was stored shows it; and to have all of it sent back costs a server a sixth of a fan-out. So, of each Secret name
in a cluster:

- untried: in this contact no write of data was answered whole. Such answers are asked for whole, at most as many as are
  under way at once.
- taken: one held what was sent. The rest of the contact is answered as metadata.
- altered: one did not. For as long as the service runs everything is asked for whole, and what it holds counts as what
  is there, like anybody's edit: repaired ever more slowly, since the next write fares alike.

What goes wrong: an answer that is lost or refused tells nothing, and the next is asked for whole too. A new contact
begins untried, for the server may be another; what is altered stays so. Where only some namespaces are concerned the
one that was tried may be none of them: then a list, within the hour, or a read shows other data at the very version
that our write made, which nobody but the server itself can have done. An update that is undone altogether makes no
version at all. What somebody changes after us is at a later version, and is no matter of this.

Pure; one writer, the cluster's book. Its workers ask ``whole`` before they send.
"""

from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.model.observed import SecretsReplaced, SeenSecret, WatchEvent
from imps_multi.model.observed_fold import Observed, same_data, same_secret
from imps_multi.model.recollection import Looks
from imps_multi.model.tally import Where
from imps_multi.model.target_plan import Create, Update


class Answers:
    """``altered``: the names whose data were stored otherwise than sent, with the namespace that showed it first."""

    def __init__(self) -> None:
        self.altered: dict[SecretName, NamespaceName] = {}
        self._taken: set[SecretName] = set()

    def whole(self, name: SecretName) -> bool:
        """Say whether the answer to a write of this name is to be asked for whole."""
        return name not in self._taken

    def begin(self) -> None:
        """Take in that a contact begins."""
        self._taken.clear()

    def hear(self, where: Where, write: Create | Update, stored: SeenSecret) -> None:
        """Take in what a write was answered with; one that sent no data says nothing of them."""
        if write.wanted is None:
            return
        if stored.content != write.wanted.payload.digest or stored.foreign_keys:
            self._alter(where)
        elif where[1] not in self.altered:
            self._taken.add(where[1])

    def compare(self, before: Looks, observed: Observed, event: WatchEvent) -> None:
        """Take in what a list or a read showed: other data at the same version were never there.

        Unless the server's history went back: then versions are made twice.
        """
        if isinstance(event, SecretsReplaced) and event.reset:
            return
        for where, known in before.items():
            seen = observed.secret(where[1], where[0])
            if seen is not None and _same_version(known, seen) and not same_data(known, seen):
                self._alter(where)

    def _alter(self, where: Where) -> None:
        self.altered.setdefault(where[1], where[0])
        self._taken.discard(where[1])


def undone(known: SeenSecret, seen: SeenSecret) -> bytes | None:
    """Return the content that we sent, where a look at the same version shows that another Secret was stored."""
    return known.content if _same_version(known, seen) and not same_secret(known, seen) else None


def _same_version(known: SeenSecret, seen: SeenSecret) -> bool:
    return known.resource_version == seen.resource_version and known.uid == seen.uid
