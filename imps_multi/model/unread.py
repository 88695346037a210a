"""Which Secrets have to be read before anything can be planned of them: they moved on, and nobody said what they hold.

Pure; one writer, the cluster's book. A write of ours that is under way may be what moved a Secret; its answer says what
is there, so until it came, or will not come any more, nothing is read.
"""

from imps_multi.model.names import SecretName
from imps_multi.model.observed import NamespaceRecord, SecretMoved, SeenSecret
from imps_multi.model.observed_fold import Observed
from imps_multi.model.ownership import Ours, owner
from imps_multi.model.plan import Planner
from imps_multi.model.recollection import Recollection
from imps_multi.model.tally import Tally, Where
from imps_multi.model.target_plan import TargetPlan
from imps_multi.model.view import View

Basis = tuple[Planner, NamespaceRecord | None]
"""From what a write was planned."""


class Unread:
    """What moved on unread in one cluster, and where an answer is still to come."""

    def __init__(self, observed: Observed, tally: Tally, past: Recollection) -> None:
        self._observed = observed
        self._tally = tally
        self._past = past
        self._sending: dict[Where, Basis] = {}

    def send(self, plan: TargetPlan, planner: Planner) -> None:
        """Take in that a write is about to be sent: its answer may never come."""
        self._sending[plan.namespace, plan.name] = planner, self._observed.namespaces.get(plan.namespace)

    def sent(self, where: Where) -> Basis | None:
        """Take in that nothing is to be expected of a write any more; return from what it was planned."""
        return self._sending.pop(where, None)

    def hear(self, event: SecretMoved) -> bool:
        """Take in that a Secret moved on; say whether that is news, and not that of a write of ours."""
        return bool(self._observed.apply(event)) and (event.namespace, event.name) not in self._sending

    def names(self, record: NamespaceRecord | None, names: frozenset[SecretName], view: View) -> list[SecretName]:
        """Return what has to be read in a namespace."""
        if record is None or not self._observed.anything_moved:
            return []
        return [name for name in names if self.word(record, name, view) is not None]

    def word(self, record: NamespaceRecord | None, name: SecretName, view: View) -> SecretMoved | None:
        """Return the word because of which a Secret has to be read.

        None where it has not: what nobody wants, and neither is nor was ours, concerns nobody.
        """
        if record is None or record.terminating:
            return None
        where = (record.name, name)
        told = self._observed.moved(name, record.name)
        if told is None or where in self._sending or not self._observed.synced(name):
            return None
        known = self._observed.secret(name, record.name)
        looks = (told,) if known is None else (told, known)
        if self._tally.lines(where) or any(self._ours(look, view) for look in looks):
            return told
        wanted = any(one.selects(record, self._observed.pods) for one in view.by_name.get(name, ()))
        return told if wanted else None

    def _ours(self, look: SecretMoved | SeenSecret, view: View) -> bool:
        return isinstance(owner(look, view.hubs, self._past.remembered), Ours)
