"""``plan --explain``: what is printed, and how it ends."""

import json

import pytest

from imps_multi.app.explaining import Unknown
from imps_multi.model.explain import Explanation, PolicyAnswer, TargetAnswer, TargetLine
from tests.cli.running import invoke

RULE = 'selected by namespaces.names[0] "team-*"; cluster by clusters.names[0] "*"'


def target(**given: object) -> TargetAnswer:
    """Make an answer about a Secret."""
    plain = {"secret": "pull", "whose": "ours", "policy": "team", "type": "kubernetes.io/dockerconfigjson"}
    return TargetAnswer(**{**plain, **given})  # type: ignore[arg-type]  # a table's words


def found(*targets: TargetAnswer, **given: object) -> Explanation:
    """Make an explanation with one policy."""
    policies = [PolicyAnswer("team", "pull", selected=True, why=RULE)]
    return Explanation("prod-1", "team-a", policies=policies, targets=list(targets), **given)  # type: ignore[arg-type]  # as above


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> list[Explanation | Exception]:
    """What the look comes to: the test puts it there."""
    given: list[Explanation | Exception] = []

    def explain_once(_config: object, cluster: str, namespace: str) -> Explanation:
        assert (cluster, namespace) == ("prod-1", "team-a")
        if isinstance(given[0], Exception):
            raise given[0]
        return given[0]

    monkeypatch.setattr("imps_multi.app.explain_once", explain_once)
    return given


@pytest.mark.parametrize(
    ("one", "words", "code"),
    [
        (target(), (), 0),
        (target(operation="create"), (), 1),
        (target(operation="create"), ("--fail-on", "delete"), 0),
        (target(operation="delete"), ("--fail-on", "delete"), 1),
        (target(held="h-1"), (), 1),
        (target(states=[TargetLine("team", "conflict")]), (), 1),
        (target(states=[TargetLine("team", "pending")]), (), 0),
    ],
)
def test_the_exit_code_says_whether_anything_there_would_change_or_is_wrong(
    answer: list[Explanation | Exception], one: TargetAnswer, words: tuple[str, ...], code: int
) -> None:
    answer.append(found(one))
    assert invoke("plan", "--explain", "prod-1/team-a", *words).exit_code == code


def test_two_tables_tell_the_rules_and_what_lies_there(answer: list[Explanation | Exception]) -> None:
    answer.append(
        found(
            target(why="it is as it should be", named_by="pod web"),
            target(secret="q", whose="foreign", policy="", type="Opaque", about="IMPS wrote it", why="a conflict"),
            target(secret="r", named_by=None, held="h-1", why="held until h-1 is approved"),
        )
    )
    assert invoke("plan", "--explain", "prod-1/team-a").stdout.splitlines() == [
        "POLICY   SECRET   SELECTED   WHY",
        f"team     pull     yes        {RULE}",
        "",
        "SECRET   THERE             WOULD   NAMED BY   WHY",
        "pull     ours (team)       none    pod web    it is as it should be",
        "q        foreign, Opaque   none    nobody     a conflict (IMPS wrote it)",
        "r        ours (team)       held    unknown    held until h-1 is approved",
    ]


def test_wide_has_type_and_expiry(answer: list[Explanation | Exception]) -> None:
    answer.append(found(target(expires_at="2030-01-01T00:00:00Z")))
    lines = invoke("plan", "--explain", "prod-1/team-a", "-o", "wide").stdout.splitlines()
    assert lines[3].split() == "SECRET THERE TYPE EXPIRES WOULD NAMED BY WHY".split()  # noqa: SIM905  # a list of words
    assert "kubernetes.io/dockerconfigjson   2030-01-01T00:00:00Z" in lines[4]


def test_it_is_data_too(answer: list[Explanation | Exception]) -> None:
    answer.append(found(target(), terminating=True))
    data = json.loads(invoke("plan", "--explain", "prod-1/team-a", "-o", "json").stdout)
    assert (data["cluster"], data["terminating"], data["targets"][0]["namedBy"]) == ("prod-1", True, "")


def test_a_place_where_nothing_is_says_so(answer: list[Explanation | Exception]) -> None:
    answer.append(Explanation("prod-1", "team-a", terminating=True))
    result = invoke("plan", "--explain", "prod-1/team-a")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines() == [
        "namespace team-a is being deleted: nothing is written there",
        "the hub has no policy",
        "nothing of ours is in prod-1/team-a, and nothing belongs there",
    ]


def test_what_is_not_there_is_a_usage_error_and_what_is_out_of_reach_is_not(
    answer: list[Explanation | Exception],
) -> None:
    answer.append(Unknown('there is no cluster "prod-1" (did you mean "prod-2"?)'))
    result = invoke("plan", "--explain", "prod-1/team-a")
    assert (result.exit_code, result.stderr) == (2, 'there is no cluster "prod-1" (did you mean "prod-2"?)\n')
    answer[0] = Explanation("prod-1", "team-a", unreachable="Timeout: no answer")
    result = invoke("plan", "--explain", "prod-1/team-a")
    assert (result.exit_code, result.stderr) == (3, "cluster prod-1 could not be looked at: Timeout: no answer\n")


@pytest.mark.parametrize("place", ["prod-1", "/team-a", "prod-1/"])
def test_a_place_is_a_cluster_and_a_namespace(place: str) -> None:
    result = invoke("plan", "--explain", place)
    assert result.exit_code == 2
    assert "is no CLUSTER/NAMESPACE" in result.stderr
