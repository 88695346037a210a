"""Which namespaces of one cluster have to be looked at again: after another view, or other pods.

Pure. A world of ten thousand namespaces changes by one policy: only where that one has, had or may get something to do
is planned again. Asked by the book.
"""

from imps_multi.model.names import NamespaceName
from imps_multi.model.observed import NamespaceRecord
from imps_multi.model.observed_fold import Observed
from imps_multi.model.pods_fold import Pods, Shift
from imps_multi.model.target_plan import Line, State
from imps_multi.model.targets import Targets
from imps_multi.model.view import Candidate, View, asking_anew, changed_policies, circumstances


def by_view(before: View, after: View, observed: Observed, targets: Targets) -> set[NamespaceName]:
    """Return the namespaces that a new view concerns, other pods aside."""
    changed = changed_policies(before, after)
    touched = targets.places(changed)
    asked = asking_anew(before, after, changed)
    touched |= {
        record.name
        for record in observed.namespaces.values()
        if any(_asks(candidate, record, observed.pods) for candidate in asked)
    }
    if circumstances(before) != circumstances(after):
        touched |= {where[0] for where, lines in targets.tally.places() if _needs_the_whole(lines)}
    return touched


def by_pods(shift: Shift, view: View, targets: Targets) -> set[NamespaceName]:
    """Return the namespaces that are concerned when what is known of pods became different."""
    if not shift.rules:
        return set(shift.namespaces)
    asking = (one for one in view.policies.values() if not shift.rules.isdisjoint(one.policy.pods.rules))
    return targets.places(frozenset(one.policy.name for one in asking)) | shift.namespaces


def _needs_the_whole(lines: tuple[Line, ...]) -> bool:
    """Say whether a target's plan may depend on more than the policies that it names."""
    return any(not line.desired or line.state is State.CONFLICT for line in lines)


def _asks(candidate: Candidate, record: NamespaceRecord, pods: Pods) -> bool:
    return candidate.selects(record, pods) or candidate.excludes(record, pods)
