"""The table of readiness: row by row, which row wins, what it costs as an exit code, and when conditions flip."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from msgspec import structs

from imps_multi.model.brake import HeldSet
from imps_multi.model.credential import Bounds, Entry, SourceKind, SourceState
from imps_multi.model.docker_settings import Setting
from imps_multi.model.fleet import ClusterSettings, Connectivity
from imps_multi.model.hub import HubSnapshot
from imps_multi.model.names import ClusterName, HubId, NamespaceName, PolicyName, RegistryKey, SecretName
from imps_multi.model.policy import Policy, SourceRef, SpecProblem, TargetSecret
from imps_multi.model.policy_status import exit_code, invalid_status, policy_status
from imps_multi.model.readiness import Circumstances
from imps_multi.model.report import ClusterReport, Contact, Phase, PolicyTally, Trouble
from imps_multi.model.selection import ClusterSelection, Operator, PodSelection, Requirement, Selector
from imps_multi.model.service_status import Facts, service_status
from imps_multi.model.status import Condition, PolicyStatus
from imps_multi.model.target_plan import Wish
from imps_multi.model.world import InvalidView, Resolved, Standing, World

NOW = 1_800_000_000.0
TEAM = PolicyName("team")
REF = SourceRef(NamespaceName("registry-access"), "ecr")


def resolved(*sources: SourceState, suspend: bool = False, clusters: tuple[str, ...] = ("*",)) -> Resolved:
    policy = Policy(
        name=TEAM,
        generation=7,
        sources=(REF,),
        secret=TargetSecret(SecretName("pull")),
        clusters=ClusterSelection(names=clusters),
        suspend=suspend,
        sync_request="newer",
    )
    return Resolved(policy, Standing.VALID, sources or (source(),), handled_sync="please")


def asking(one: Resolved) -> Resolved:
    """Let a policy select by pods too."""
    every = PodSelection.of(labels=(Selector(),))
    return structs.replace(one, policy=structs.replace(one.policy, pods=every))


def source(**given: Any) -> SourceState:
    return SourceState(**{"ref": REF, "kind": SourceKind.MINTED, "provider": "ecr", **given})


def entry(registry: str, password: str = "PLANTED") -> Entry:
    return Entry(RegistryKey(registry), msgspec.json.encode({"password": password}))


def tally(in_sync: int = 2, **given: Any) -> PolicyTally:
    rest = sum(given.get(state, 0) for state in ("pending", "failed", "conflict"))
    spaces = frozenset({NamespaceName("x"), NamespaceName("y")})
    return PolicyTally(**{"desired": in_sync + rest, "in_sync": in_sync, "namespaces": spaces, **given})


def report(name: str = "a", phase: Phase = Phase.UP, reason: str = "", **given: Any) -> ClusterReport:
    """Make a report of a cluster that was listed whole, unless it is not up."""
    up = phase in (Phase.UP, Phase.PAUSED)
    settings = ClusterSettings(
        name=ClusterName(name),
        connectivity=given.pop("connectivity", Connectivity.ALWAYS),
        paused=phase is Phase.PAUSED,
        observe=given.pop("observe", False),
    )
    counts = given.pop("tally", tally())
    return ClusterReport(
        **{
            "settings": settings,
            "contact": Contact(phase=phase, reason=reason, message=f"why {name}", last_contact=NOW - 61.0),
            "synced": up,
            "listed": up,
            "policies": {} if counts is None else {TEAM: counts},
            **given,
        }
    )


def around(*reports: ClusterReport, held: tuple[HeldSet, ...] = ()) -> Circumstances:
    return Circumstances(reports={one.settings.name: one for one in reports}, held=held, now=NOW)


def held_set(policy: str = "team", loses: tuple[str, ...] = ()) -> HeldSet:
    """Make a held set of one target; of ``team``, unless its policy is given."""
    owner, lost = PolicyName(policy or TEAM), tuple(map(RegistryKey, loses))
    wish = Wish(owner, ClusterName("a"), NamespaceName("x"), SecretName("pull"), lost)
    return HeldSet(id="abc", policy=PolicyName(policy), members=frozenset({wish}), why="too many")


def conditions(status: PolicyStatus) -> Mapping[str, tuple[str, str]]:
    return {one.type: (one.status, one.reason) for one in status.conditions}


BAD = source(reason="SourceError", message="key region is missing")
NOT_ALLOWED = source(reason="SourceNotAllowed", message="sources.namespaces does not name it")
BOUNDED = source(bounds=Bounds(namespaces=("x",)))
LATE = tally(expires_at=NOW - 1)
AWAY = report("b", Phase.DEGRADED, "Unreachable", tally=tally(pending=3))
TROUBLE = (Trouble(NamespaceName("x"), SecretName("pull"), "Forbidden", "quota exceeded"),)

ROWS = [
    pytest.param(resolved(), around(report()), "True", "AllSynced", 0, id="all is well"),
    pytest.param(resolved(suspend=True), around(AWAY), "Unknown", "Suspended", 0, id="suspended, whatever else"),
    pytest.param(resolved(BAD), around(report()), "False", "SourceError", 1, id="a source fails"),
    pytest.param(resolved(NOT_ALLOWED, BAD), around(report()), "False", "SourceNotAllowed", 1, id="not allowed"),
    pytest.param(resolved(BOUNDED), around(report()), "False", "SourceNotAllowed", 1, id="bounds forbid a namespace"),
    pytest.param(resolved(), around(report(tally=LATE), AWAY), "False", "Expired", 1, id="expired, before unreachable"),
    pytest.param(
        resolved(BAD), around(report(tally=LATE)), "False", "SourceError", 1, id="a failing source, before expired"
    ),
    pytest.param(resolved(), around(report(tally=tally(conflict=1, failed=1))), "False", "Conflict", 1, id="conflict"),
    pytest.param(
        resolved(),
        around(report(tally=tally(pending=1, reasons={"Contested": 1}))),
        "False",
        "Contested",
        1,
        id="drift",
    ),
    pytest.param(resolved(), around(report(tally=tally(failed=1))), "False", "PartiallySynced", 1, id="failed"),
    pytest.param(resolved(), around(report(tally=tally(pending=1))), "False", "PartiallySynced", 1, id="pending"),
    *(
        pytest.param(
            resolved(),
            around(report(), report("b", phase, reason)),
            "False",
            "PartiallySynced",
            1,
            id=f"answered {reason}",
        )
        for phase, reason in (
            (Phase.DEGRADED, "Unauthorized"),
            (Phase.DEGRADED, "Forbidden"),
            (Phase.DEGRADED, "Throttled"),
            (Phase.QUARANTINED, "Duplicate"),
            (Phase.QUARANTINED, "InternalError"),
        )
    ),
    pytest.param(
        resolved(), around(report(tally=tally(refused="no pods"))), "False", "PartiallySynced", 1, id="pods forbidden"
    ),
    pytest.param(resolved(), around(report(), held=(held_set(),)), "False", "DeletionHeld", 1, id="held"),
    pytest.param(
        resolved(), around(report(), held=(held_set(""),)), "False", "DeletionHeld", 1, id="held by the fleet's limit"
    ),
    pytest.param(
        resolved(),
        around(report(tally=tally(pending=1)), held=(held_set(),)),
        "False",
        "PartiallySynced",
        1,
        id="pending, before held",
    ),
    pytest.param(resolved(), around(AWAY, held=(held_set(),)), "False", "DeletionHeld", 1, id="held, before away"),
    pytest.param(
        resolved(),
        around(report(tally=tally(held=1, desired=3)), held=(held_set("former", loses=("a.io",)),)),
        "False",
        "DeletionHeld",
        1,
        id="held, of a policy whose target it is to take over",
    ),
    pytest.param(
        resolved(),
        around(report(), held=(held_set("former", loses=("a.io",)),)),
        "True",
        "AllSynced",
        0,
        id="held, of a policy that has nothing to do with it",
    ),
    *(
        pytest.param(
            resolved(),
            around(report("b", Phase.DEGRADED, reason)),
            "Unknown",
            "TargetUnreachable",
            3,
            id=f"no answer {reason}",
        )
        for reason in ("Unreachable", "Timeout", "TLS", "ExecPlugin")
    ),
    pytest.param(
        resolved(), around(report("b", Phase.STARTING, tally=None)), "Unknown", "Starting", 3, id="not contacted yet"
    ),
    pytest.param(
        resolved(), around(report(synced=False, listed=False)), "Unknown", "Starting", 3, id="not listed whole yet"
    ),
    pytest.param(
        resolved(), around(report(listed=False, lacks_pods=True)), "True", "AllSynced", 0, id="pods that others ask for"
    ),
    pytest.param(
        asking(resolved()), around(report(listed=False, lacks_pods=True)), "Unknown", "Starting", 3, id="its pods"
    ),
    pytest.param(
        resolved(),
        around(report(synced=False, forbidden={SecretName("new"): "no"})),
        "True",
        "AllSynced",
        0,
        id="another name is forbidden",
    ),
    pytest.param(
        resolved(),
        around(report(), report("b", Phase.DEGRADED, "Timeout", connectivity=Connectivity.INTERMITTENT)),
        "True",
        "AllSynced",
        0,
        id="an intermittent cluster is away",
    ),
    pytest.param(
        resolved(),
        around(report("b", Phase.STARTING, tally=None, connectivity=Connectivity.INTERMITTENT)),
        "True",
        "AllSynced",
        0,
        id="an intermittent cluster was never there",
    ),
    pytest.param(
        resolved(), around(report("b", Phase.PAUSED, tally=tally(pending=5))), "True", "AllSynced", 0, id="paused"
    ),
    pytest.param(
        resolved(),
        around(report(observe=True, tally=tally(pending=5))),
        "False",
        "PartiallySynced",
        1,
        id="observed and not in sync",
    ),
    pytest.param(resolved(), around(report(tally=tally(lingering=3))), "True", "AllSynced", 0, id="lingering"),
    pytest.param(
        resolved(clusters=("a",)),
        around(report(), structs.replace(AWAY, policies={})),
        "True",
        "AllSynced",
        0,
        id="a cluster that it does not select is away",
    ),
    pytest.param(
        resolved(clusters=("a",)),
        around(report(), AWAY),
        "Unknown",
        "TargetUnreachable",
        3,
        id="one that still carries its targets is away",
    ),
]


@pytest.mark.parametrize(("policy", "circumstances", "status", "reason", "code"), ROWS)
def test_the_first_row_that_holds_wins(
    policy: Resolved, circumstances: Circumstances, status: str, reason: str, code: int
) -> None:
    found = policy_status(policy, circumstances, None)
    assert conditions(found)["Ready"] == (status, reason)
    assert exit_code([found]) == code
    assert found.status == ("Failed" if status == "False" else "Ready")


def test_the_highest_row_over_all_policies_is_the_exit_code() -> None:
    fine = policy_status(resolved(), around(report()), None)
    away = policy_status(resolved(), around(AWAY), None)
    wrong = policy_status(resolved(BAD), around(report()), None)
    assert [exit_code(one) for one in ([], [fine], [fine, away], [away, wrong, fine])] == [0, 0, 3, 1]


def test_an_invalid_spec_fails_with_every_problem() -> None:
    problems = (SpecProblem("spec.a", "is wrong"), SpecProblem("spec.b", "too"))
    status = invalid_status(InvalidView(TEAM, 9, "pull", problems), around(report()), None)
    assert conditions(status) == {"Ready": ("False", "InvalidSpec")}
    assert status.reason == "spec.a: is wrong; spec.b: too"
    assert (exit_code([status]), status.observed_generation) == (1, 9)


def test_messages_name_cluster_namespace_and_cause() -> None:
    status = policy_status(resolved(), around(report(tally=tally(failed=1, troubles=TROUBLE))), None)
    assert "a/x: quota exceeded" in status.reason
    away = policy_status(resolved(), around(AWAY), None)
    assert "b: Unreachable: why b" in away.reason


def test_a_cluster_in_which_pods_may_not_be_watched_is_forbidden_for_that_policy() -> None:
    found = policy_status(resolved(), around(report(tally=tally(refused="pods is forbidden"))), None)
    assert found.conditions[0].message == "a: Forbidden: pods is forbidden"
    (cluster,) = found.clusters
    assert (cluster.reason, cluster.message) == ("Forbidden", "pods is forbidden")


def test_a_cluster_pattern_that_matches_nothing_is_said_with_the_nearest_name() -> None:
    status = policy_status(resolved(clusters=("prod-ue",)), around(report("prod-eu")), None)
    assert "no cluster is named prod-ue (did you mean prod-eu?)" in status.reason


def test_labels_that_no_cluster_has_are_said_and_an_exclusion_that_looks_like_a_typo() -> None:
    prod = Selector((Requirement("env", Operator.IN, frozenset({"prd"})),))
    one = resolved()
    selection = ClusterSelection(names=("prod-*",), labels=(prod,), exclude=("prod-ue", "elsewhere"))
    one = structs.replace(one, policy=structs.replace(one.policy, clusters=selection))
    there = report("prod-eu")
    there = structs.replace(there, settings=structs.replace(there.settings, labels=(("env", "prod"),)))
    reason = policy_status(one, around(there), None).reason
    assert "no cluster has env=prd (did you mean env=prod?)" in reason
    assert "clusters.exclude: no cluster is named prod-ue (did you mean prod-eu?)" in reason
    assert "elsewhere" not in reason


def test_a_policy_that_selects_no_cluster_says_so_though_a_target_of_it_lingers() -> None:
    counts = tally(in_sync=0, desired=0, lingering=2)
    status = policy_status(resolved(clusters=("nowhere-*",)), around(report(tally=counts)), None)
    assert status.reason.endswith("2 linger; no cluster is named nowhere-*; no cluster is selected")


def test_a_registry_that_two_sources_name_is_said_and_wrong_it_is_not() -> None:
    later = structs.replace(source(entries=(entry("https://quay.io"),)), ref=SourceRef(REF.namespace, "later"))
    status = policy_status(resolved(source(entries=(entry("quay.io"),)), later), around(report()), None)
    assert "registry-access/later names https://quay.io too, which an earlier source gives" in status.reason
    assert (conditions(status)["Ready"], exit_code([status])) == (("True", "AllSynced"), 0)
    assert "PLANTED" not in status.reason


def test_a_setting_that_an_earlier_source_decides_is_said() -> None:
    store = (Setting("credsStore", None, b'"PLANTED"'),)
    first = source(entries=(entry("quay.io"),))
    later = source(ref=SourceRef(REF.namespace, "later"), entries=(entry("b.io"),), settings=store)
    status = policy_status(resolved(first, later), around(report()), None)
    assert "registry-access/later has credsStore too, which an earlier source decides" in status.reason
    assert "credsStore" not in policy_status(resolved(later, first), around(report()), None).reason
    assert "PLANTED" not in status.reason


def test_what_is_odd_about_a_manifest_is_said_and_wrong_it_is_not() -> None:
    odd = resolved()
    remarks = (SpecProblem("spec.target.secret.labels.a", "is written as b"),)
    odd = structs.replace(odd, policy=structs.replace(odd.policy, remarks=remarks))
    status = policy_status(odd, around(report()), None)
    assert status.reason == "2/2 targets are in sync; spec.target.secret.labels.a: is written as b"
    assert (conditions(status)["Ready"], exit_code([status])) == (("True", "AllSynced"), 0)


def test_what_is_odd_about_a_source_is_said_and_wrong_it_is_not() -> None:
    odd = source(entries=(entry("quay.io"),), message="'quay.io': the password is empty")
    status = policy_status(resolved(odd), around(report()), None)
    said = {one.type: one.message for one in status.conditions}
    told = "registry-access/ecr: 'quay.io': the password is empty"
    assert said["Ready"] == f"2/2 targets are in sync; {told}"
    assert said["SourcesResolved"] == f"1 source is resolved; {told}"
    assert (conditions(status)["Ready"], exit_code([status])) == (("True", "AllSynced"), 0)
    assert status.credentials[0].message == "'quay.io': the password is empty"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (tally(1, lingering=1), "1/1 target is in sync, 1 lingers"),
        (tally(2, lingering=2), "2/2 targets are in sync, 2 linger"),
    ],
)
def test_one_target_is_one_target(counts: PolicyTally, expected: str) -> None:
    assert policy_status(resolved(), around(report(tally=counts)), None).reason == expected


@pytest.mark.parametrize(("size", "said"), [(60 << 10, False), (65 << 10, True)])
def test_a_large_merged_secret_is_said(size: int, *, said: bool) -> None:
    status = policy_status(resolved(source(entries=(entry("quay.io", "x" * size),))), around(report()), None)
    assert ("the merged Secret is large" in status.reason) is said


def test_other_conditions_say_what_is_wrong_beside_the_first_row() -> None:
    status = policy_status(resolved(BAD), around(report(tally=tally(pending=1)), AWAY, held=(held_set(),)), None)
    assert conditions(status) == {
        "Ready": ("False", "SourceError"),
        "SourcesResolved": ("False", "SourceError"),
        "TargetsSynced": ("False", "PartiallySynced"),
        "TargetsReachable": ("False", "TargetUnreachable"),
        "CredentialsFresh": ("True", "AllFresh"),
        "DeletionHeld": ("True", "DeletionHeld"),
    }
    assert status.held is not None
    assert (status.held.id, status.held.deletions, status.held.clusters) == ("abc", 1, ["a"])


def test_a_refresh_that_is_late_shows_before_anything_expires() -> None:
    late = source(next_refresh=NOW - 120, message="503", issued_at=NOW - 900, expires_at=NOW + 900)
    status = policy_status(resolved(late), around(report()), None)
    assert conditions(status)["CredentialsFresh"] == ("False", "RefreshFailing")
    assert conditions(status)["Ready"] == ("True", "AllSynced")


def test_a_source_that_is_being_asked_is_unknown() -> None:
    waiting = source(kind=SourceKind.UNKNOWN, reason="Waiting", message="its token is being asked for")
    status = policy_status(resolved(waiting), around(report(tally=tally(pending=2))), None)
    assert conditions(status)["SourcesResolved"] == ("Unknown", "Waiting")


def test_a_condition_keeps_its_time_until_its_status_flips() -> None:
    first = policy_status(resolved(), around(report()), None)
    later = structs.replace(around(report()), now=NOW + 60)
    same = policy_status(resolved(), later, first)
    assert [one.last_transition_time for one in same.conditions] == ["2027-01-15T08:00:00Z"] * 5
    bad = policy_status(resolved(), structs.replace(around(report(tally=tally(failed=1))), now=NOW + 60), same)
    times = {one.type: one.last_transition_time for one in bad.conditions}
    assert times["Ready"] == times["TargetsSynced"] == "2027-01-15T08:01:00Z"
    assert times["SourcesResolved"] == "2027-01-15T08:00:00Z"
    reason_only = structs.replace(around(report(tally=tally(conflict=1))), now=NOW + 120)
    again = policy_status(resolved(), reason_only, bad)
    assert again.conditions[0].last_transition_time == "2027-01-15T08:01:00Z"
    assert again.conditions[0].reason == "Conflict"


def test_the_last_success_is_the_last_time_that_all_was_well() -> None:
    good = policy_status(resolved(), around(report()), None)
    bad = policy_status(resolved(BAD), structs.replace(around(report()), now=NOW + 60), good)
    assert good.last_successful_reconciliation == bad.last_successful_reconciliation == "2027-01-15T08:00:00Z"


def test_what_has_expired_is_valid_for_no_second_more() -> None:
    late = structs.replace(around(report(tally=tally(1, expires_at=NOW - 90))), now=NOW)
    assert policy_status(resolved(), late, None).validity_seconds == 0


def test_counts_namespaces_and_validity_are_summed_over_the_clusters() -> None:
    other = tally(1, lingering=1, expires_at=NOW + 90, namespaces=frozenset({NamespaceName("z")}))
    status = policy_status(resolved(), around(report(), report("b", tally=other)), None)
    assert (status.targets.desired, status.targets.in_sync, status.targets.lingering) == (3, 3, 1)
    assert (status.targets.summary, status.validity_seconds) == ("3/3", 90)
    assert (status.managed_namespaces, status.managed_namespaces_total) == (["x", "y", "z"], 3)
    assert (status.observed_generation, status.last_handled_sync) == (7, "please")
    assert status.source_secret_status == {"registry-access.ecr": "OK"}


def test_troubled_clusters_come_first_with_their_last_contact_to_the_minute() -> None:
    reports = (
        report(),
        report("b", tally=tally(pending=1)),
        report("z", Phase.DEGRADED, "TLS"),
        report("c", Phase.PAUSED),
    )
    status = policy_status(resolved(), around(*reports), None)
    assert [(one.name, one.reason) for one in status.clusters] == [("c", "Paused"), ("z", "TLS"), ("b", ""), ("a", "")]
    assert status.clusters[0].last_contact == "2027-01-15T07:58:00Z"


def test_the_service_shows_every_policy_but_those_that_are_gone() -> None:
    gone = structs.replace(resolved(), standing=Standing.DELETED)
    invalid = InvalidView(PolicyName("bad"), 1, "pull", (SpecProblem("spec", "is wrong"),))
    other = structs.replace(resolved(), policy=structs.replace(resolved().policy, name=PolicyName("other")))
    world = World(
        version=1,
        synced=True,
        whole=True,
        policies={TEAM: gone, PolicyName("other"): other},
        invalid={PolicyName("bad"): invalid},
        sources={REF: source()},
    )
    facts = Facts(
        hub_id=HubId("mgmt"),
        hub=HubSnapshot(synced=True, whole=True),
        world=world,
        reports={ClusterName("a"): report()},
        held=(held_set(),),
    )
    status = service_status(facts, None, now=NOW)
    assert [view.name for view in status.policies] == ["bad", "other"]
    assert [(view.name, view.state) for view in status.clusters] == [("a", "Up")]
    assert [(view.name, view.state) for view in status.credentials] == [("ecr", "minted")]
    assert [one.id for one in status.held] == ["abc"]


def shown(reason: str = "AllSynced", status: str = "True") -> PolicyStatus:
    """Make what a hub shows: a Ready condition of an earlier process."""
    one = Condition("Ready", status, reason, "as it was", "2026-01-01T00:00:00Z", 6)
    return PolicyStatus(status="Ready", reason="as it was", observed_generation=6, conditions=[one])


UNHEARD = report("b", Phase.STARTING, tally=None)
UNLISTED = report("b", listed=False, looked=-1, tally=None)
WAITING = source(kind=SourceKind.UNKNOWN, reason="Waiting", message="its token is being asked for")


@pytest.mark.parametrize(
    ("policy", "reports", "starting", "stands"),
    [
        pytest.param(resolved(), (UNHEARD,), True, True, id="a cluster was not contacted"),
        pytest.param(resolved(), (report(looked=1), UNLISTED), True, True, id="a cluster was not listed"),
        pytest.param(resolved(), (report(looked=-1),), True, True, id="its namespaces were not looked at"),
        pytest.param(resolved(), (report(looked=0),), True, True, id="its counts are of an older world"),
        pytest.param(resolved(WAITING), (report(looked=1),), True, True, id="a source is being asked"),
        pytest.param(resolved(), (report(tally=tally(conflict=1)), UNHEARD), True, True, id="a conflict elsewhere"),
        pytest.param(resolved(), (report(looked=1),), True, False, id="all were heard"),
        pytest.param(resolved(), (AWAY,), True, False, id="one that is away was heard of"),
        pytest.param(resolved(), (UNHEARD,), False, False, id="two minutes have passed"),
        pytest.param(resolved(BAD), (UNHEARD,), True, False, id="a source fails, whatever the clusters say"),
        pytest.param(resolved(suspend=True), (UNHEARD,), True, False, id="suspended, whatever the clusters say"),
    ],
)
def test_after_a_start_what_is_shown_stands_until_all_was_heard(
    policy: Resolved, reports: tuple[ClusterReport, ...], *, starting: bool, stands: bool
) -> None:
    circumstances = structs.replace(around(*reports), starting=starting, shown={TEAM: shown()}, look=1)
    assert (policy_status(policy, circumstances, shown()) == shown()) is stands


def test_what_a_start_left_behind_that_was_cut_short_does_not_stand() -> None:
    circumstances = structs.replace(around(UNHEARD), starting=True, shown={TEAM: shown("Starting", "Unknown")})
    assert policy_status(resolved(), circumstances, None).observed_generation == 7


def test_a_condition_keeps_the_time_that_the_hub_shows() -> None:
    facts = Facts(
        hub_id=HubId("mgmt"),
        hub=HubSnapshot(synced=True, whole=True),
        world=World(policies={TEAM: resolved()}),
        reports=around(report()).reports,
        shown={TEAM: shown()},
    )
    (view,) = service_status(facts, None, now=NOW).policies
    times = {one.type: one.last_transition_time for one in view.status.conditions}
    assert (times["Ready"], times["TargetsSynced"]) == ("2026-01-01T00:00:00Z", "2027-01-15T08:00:00Z")


def test_an_invalid_policy_still_tells_of_what_its_last_valid_spec_has() -> None:
    view = InvalidView(TEAM, 9, "pull", (SpecProblem("spec.a", "is wrong"),))
    status = invalid_status(view, around(report(tally=tally(failed=1))), None, resolved())
    assert conditions(status)["Ready"] == ("False", "InvalidSpec")
    assert conditions(status)["TargetsSynced"] == ("False", "PartiallySynced")
    assert (status.targets.summary, status.managed_namespaces, status.observed_generation) == ("2/3", ["x", "y"], 9)
    assert {one.observed_generation for one in status.conditions} == {9}


def test_a_removal_that_fails_is_told_from_a_write_that_fails() -> None:
    removal = PolicyTally(desired=2, in_sync=2, failed=1, troubles=TROUBLE)
    status = policy_status(resolved(), around(report(tally=removal)), None)
    assert conditions(status)["TargetsSynced"] == ("False", "DeletionFailed")
    assert conditions(status)["Ready"] == ("False", "PartiallySynced")
    assert "quota exceeded" in status.conditions[2].message


def test_what_may_not_be_watched_is_not_taken_for_synced() -> None:
    status = policy_status(resolved(), around(report(tally=tally(refused="may not list pods"))), None)
    assert conditions(status)["TargetsSynced"] == ("False", "Forbidden")
    assert conditions(status)["Ready"] == ("False", "PartiallySynced")
    assert "a: Forbidden: may not list pods" in status.reason


def test_what_an_observed_cluster_lacks_is_not_said_to_be_written() -> None:
    status = policy_status(resolved(), around(report(observe=True, tally=tally(pending=5))), None)
    assert status.reason.endswith("a is observed and not written to (observe: true)")


def test_targets_with_one_trouble_are_told_together() -> None:
    """A tally holds five of them, however many there are."""
    same = [Trouble(NamespaceName(f"n{number}"), SecretName("pull"), "Forbidden", "quota") for number in range(5)]
    status = policy_status(resolved(), around(report(tally=tally(failed=31, troubles=tuple(same)))), None)
    assert status.reason.endswith("31 failed, 0 pending: a/n0, a/n1, a/n2 and others: quota")
    other = Trouble(NamespaceName("m"), SecretName("pull"), "Forbidden", "webhook")
    status = policy_status(resolved(), around(report(tally=tally(failed=2, troubles=(same[0], other)))), None)
    assert status.reason.endswith("a/n0: quota; a/m: webhook")
