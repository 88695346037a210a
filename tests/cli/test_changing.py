"""``plan -f``: only what changed manifests would do, on clusters in another process."""

import json

import pytest

from imps_multi.cli.changing import exit_code, in_short
from imps_multi.cli.plan import Kind
from imps_multi.model.plan_difference import PlanDifference, PolicyChange
from imps_multi.model.plan_result import PlannedWrite, PlanProblem
from tests.cli.running import invoke
from tests.cli.site import SOURCE, Site, policy


def write(operation: str) -> PlannedWrite:
    """Plan a write."""
    return PlannedWrite("prod-1", "a", "pull", "team", operation, "why")


GROWS, SHRINKS = PolicyChange("team", 1, 2), PolicyChange("team", 2, 1)
AWAY = PlanProblem("cluster edge", "Timeout", "no answer")


@pytest.mark.parametrize(
    ("found", "kinds", "code"),
    [
        (PlanDifference(), None, 0),
        (PlanDifference(writes=[write("update")]), None, 1),
        (PlanDifference(withdrawn=[write("update")]), None, 1),
        (PlanDifference(policies=[GROWS]), None, 1),
        (PlanDifference(problems=[PlanProblem("policy team", "InvalidSpec", "x")]), None, 1),
        (PlanDifference(problems=[AWAY], unreachable=["edge"]), None, 3),
        (PlanDifference(writes=[write("update")]), {Kind.DELETE, Kind.EXPAND}, 0),
        (PlanDifference(writes=[write("mark")]), {Kind.DELETE}, 1),
        (PlanDifference(policies=[GROWS]), {Kind.EXPAND}, 1),
        (PlanDifference(policies=[GROWS]), {Kind.DELETE}, 0),
        (PlanDifference(policies=[SHRINKS]), {Kind.DELETE}, 1),
        (PlanDifference(writes=[write("create")], unreachable=["edge"]), {Kind.DELETE}, 3),
    ],
)
def test_the_exit_code_tells_the_kinds_that_were_asked_for(
    found: PlanDifference, kinds: set[Kind] | None, code: int
) -> None:
    assert exit_code(found, None if kinds is None else frozenset(kinds)) == code


def test_a_change_is_put_in_short() -> None:
    assert in_short(PlanDifference()) == "this change: nothing to write or delete"
    found = PlanDifference(writes=[write("create")], withdrawn=[write("update")], unreachable=["edge"])
    assert in_short(found) == "this change: 1 to create; 1 to update now, and not with it; could not look at edge"


def test_a_change_is_planned_beside_what_is_due_anyway(site: Site) -> None:
    """Eight targets are due as the hub is; a narrower policy asks for two of them, a new one for one more each."""
    changed = f"{policy(namespaces='ns-0001')}---\n{policy('other', 'ns-0002').replace('registry-pull', 'more')}"
    done = site.run("plan", "-f", "-", "-o", "json", given=changed)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [(one["namespace"], one["policy"]) for one in found["writes"]] == [("ns-0002", "other")] * 2
    assert {one["namespace"] for one in found["withdrawn"]} == {"ns-0000", "ns-0002", "ns-0003"}
    assert [(one["policy"], one["before"], one["after"]) for one in found["policies"]] == [
        ("other", 0, 2),
        ("team-a", 8, 2),
    ]


def test_files_and_directories_can_be_given_and_change_nothing_where_nothing_differs(site: Site) -> None:
    done = site.run("plan", "-f", "hub/team-a.yaml", "hub/source.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "this change: nothing to write or delete\n"
    assert site.run("plan", "-f", "hub", "--fail-on", "delete").returncode == 0


def test_two_tables_tell_writes_and_policies(site: Site) -> None:
    done = site.run("plan", "-f", "-", given=policy("other", "ns-0002").replace("registry-pull", "more"))
    assert done.stdout.splitlines() == [
        "CLUSTER       POLICY   OPERATION   COUNT   NAMESPACES   WHY",
        "cluster-000   other    create      1       ns-0002      the target is missing",
        "cluster-001   other    create      1       ns-0002      the target is missing",
        "",
        "POLICY   TARGETS   WITH IT   CHANGE",
        "other    0         2         +2",
    ]
    assert (done.returncode, done.stderr) == (1, "this change: 2 to create\n")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (policy().replace("secret:", "secrt:"), "stdin:9:5: spec.target.secrt: unknown field (did you mean secret?)"),
        (SOURCE.replace('"auths"', '"auths'), "stdin:6:3: stringData[.dockerconfigjson]: "),
        ("a: [", "stdin:"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: x}\n", "what was given holds no ImagePullSecret and no Secret"),
    ],
)
def test_manifests_that_are_not_right_are_told_with_their_place_before_anything_is_asked(
    site: Site, given: str, said: str
) -> None:
    done = site.run("plan", "-f", "-", given=given)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_words_that_do_not_go_together_are_usage_errors() -> None:
    assert "write -f before it" in invoke("plan", "team-a.yaml").stderr
    assert "leave -f away" in invoke("plan", "-f", "a.yaml", "--explain", "a/b").stderr
