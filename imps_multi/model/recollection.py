"""What was known of targets before somebody changed them: whose they were, and under which uid.

Pure; one writer, the cluster's book. Only what a Secret does not say itself any more is kept, so that a fleet in which
all is right costs nothing here.
"""

from collections.abc import Iterable, Mapping

from imps_multi.model.names import HubId, PolicyName, SecretName, Uid
from imps_multi.model.observed import SecretGone, SecretSeen, SecretsReplaced, SeenSecret, WatchEvent
from imps_multi.model.observed_fold import Observed
from imps_multi.model.ownership import Foreign, Ours, marked_adopted, marked_whole, owner
from imps_multi.model.tally import Where

Looks = Mapping[Where, SeenSecret]


class Recollection:
    """Uids of ours that lost their marks, and targets of ours that somebody took away."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed
        self.remembered: dict[Uid, PolicyName] = {}
        self.adopted: set[Uid] = set()
        """Those that were adopted, and lost the mark that says so."""
        self.uid_changes = 0
        """How often a target was found made anew."""
        self._lost: dict[Where, Uid] = {}
        self._parting: dict[Uid, int] = {}
        """What we are giving away, with the version on which that was planned: its answer may be lost."""

    def compare(self, before: Looks, event: WatchEvent, hubs: frozenset[HubId]) -> None:
        """Remember what an event, which was taken in, took from targets of ours: their marks, or themselves."""
        if not isinstance(event, (SecretSeen, SecretGone, SecretsReplaced)):
            return
        for where, secret in known_of(self._observed, event).items():
            self.note(where, before.get(where), secret, hubs)
        for where, known in before.items():
            if self._observed.secret(where[1], where[0]) is None:
                self.lose(where, known, hubs)

    def note(self, where: Where, before: SeenSecret | None, after: SeenSecret, hubs: frozenset[HubId]) -> None:
        """Remember what was ours and lost its marks, and count what was made anew."""
        if before is not None and before.uid == after.uid:
            if self._gave_away(after, hubs):
                return
            self._note_adopted(before, after)
            if marked_whole(after, hubs):
                self.remembered.pop(after.uid, None)
            elif after.uid not in self.remembered and isinstance(whose := self._owner(before, hubs), Ours):
                self.remembered[after.uid] = whose.policy or PolicyName("")
            return
        last = self._lost.get(where)
        if before is not None:
            last = before.uid if isinstance(self._owner(before, hubs), Ours) else last
            self._drop(before.uid)
        if last is None:
            return
        if isinstance(self._owner(after, hubs), Ours):
            self._lost.pop(where, None)
            self.uid_changes += last != after.uid
        else:
            self._lost[where] = last

    def lose(self, where: Where, known: SeenSecret, hubs: frozenset[HubId]) -> None:
        """Take in that a target is gone; what goes with its namespace is forgotten."""
        record = self._observed.namespaces.get(where[0])
        stays = record is not None and not record.terminating
        if stays and isinstance(self._owner(known, hubs), Ours):
            self._lost[where] = known.uid
        else:
            self._lost.pop(where, None)
        self._drop(known.uid)

    def give_away(self, secret: SeenSecret, hubs: frozenset[HubId]) -> bool:
        """Forget what we took our marks from ourselves: it is not ours any more. Say whether it was remembered."""
        if not isinstance(owner(secret, hubs, {}), Foreign):
            return False
        remembered = secret.uid in self.remembered
        self._drop(secret.uid)
        return remembered

    def forget(self, wheres: Iterable[Where]) -> None:
        """Forget places."""
        for where in wheres:
            self._lost.pop(where, None)

    def forget_names(self, names: frozenset[SecretName]) -> None:
        """Forget Secret names."""
        self.forget([where for where in self._lost if where[1] in names])

    def part(self, uid: Uid, resource_version: int) -> None:
        """Take in that our marks are about to be taken from a target by ourselves."""
        self._parting[uid] = resource_version

    def _gave_away(self, after: SeenSecret, hubs: frozenset[HubId]) -> bool:
        """Say whether a look shows that we took our marks away; what shows that we cannot have is the end of it."""
        if not self._parting or after.resource_version <= self._parting.get(after.uid, after.resource_version):
            return False
        del self._parting[after.uid]
        if isinstance(owner(after, hubs, {}), Ours):
            return False
        self._drop(after.uid)
        return True

    def _note_adopted(self, before: SeenSecret, after: SeenSecret) -> None:
        if marked_adopted(after.marks):
            self.adopted.discard(after.uid)
        elif marked_adopted(before.marks):
            self.adopted.add(after.uid)

    def _drop(self, uid: Uid) -> None:
        self._parting.pop(uid, None)
        self.remembered.pop(uid, None)
        self.adopted.discard(uid)

    def _owner(self, secret: SeenSecret, hubs: frozenset[HubId]) -> Ours | Foreign:
        return owner(secret, hubs, self.remembered)


def known_of(observed: Observed, event: WatchEvent) -> Looks:
    """Return what is known of the Secrets that an event tells of."""
    match event:
        case SecretSeen(namespace=namespace, name=name) | SecretGone(namespace=namespace, name=name):
            known = observed.secret(name, namespace)
            return {} if known is None else {(namespace, name): known}
        case SecretsReplaced(name=name):
            return {(namespace, name): known for namespace, known in observed.secrets(name).items()}
        case _:
            return {}
