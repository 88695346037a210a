"""The brake's other side: edits that would make many new targets."""

from imps_multi.model.brake import Wishes
from imps_multi.model.growth import Growth, admit, expansion_id, judge_growth
from imps_multi.model.names import ClusterName, NamespaceName, PolicyName, SecretName
from imps_multi.model.policy import Policy, SourceRef, TargetSecret
from imps_multi.model.world import Resolved, Standing, World

NAME = PolicyName("team-a")
EAST, WEST = ClusterName("east"), ClusterName("west")


def world(generation: int = 1, standing: Standing = Standing.VALID) -> World:
    policy = Policy(
        name=NAME,
        generation=generation,
        sources=(SourceRef(NamespaceName("reg"), "one"),),
        secret=TargetSecret(SecretName("pull")),
    )
    return World(version=1, policies={NAME: Resolved(policy, standing, ())})


def asks(**growth: int) -> list[Wishes]:
    return [Wishes(ClusterName(name), 1, growth={NAME: count}) for name, count in growth.items()]


def test_an_edit_that_adds_no_more_than_the_limit_over_the_fleet_is_admitted() -> None:
    growth, held = judge_growth(world(), asks(east=3, west=2), Growth(), 5, now=0.0)
    assert (growth.admitted, held) == ({NAME: 1}, ())


def test_an_edit_that_adds_more_over_the_fleet_waits_and_says_where() -> None:
    growth, held = judge_growth(world(), asks(east=3, west=3), Growth(), 5, now=0.0)
    assert growth.admitted == {}
    assert [(one.policy, one.clusters, one.why) for one in held] == [
        (NAME, (EAST, WEST), "6 new targets would be made; 5 may without approval")
    ]


def test_a_generation_that_was_admitted_may_grow_with_its_namespaces() -> None:
    growth, held = judge_growth(world(), asks(east=500), Growth(admitted={NAME: 1}), 5, now=0.0)
    assert (growth.admitted, held) == ({NAME: 1}, ())


def test_approval_admits_that_generation_and_no_later_one() -> None:
    growth, held = judge_growth(world(), asks(east=9), Growth(), 5, now=0.0)
    approved = admit(growth, held[0].id, now=60.0)
    assert approved is not None
    assert judge_growth(world(), asks(east=9), approved, 5, now=61.0)[1] == ()
    later = judge_growth(world(generation=2), asks(east=9), approved, 5, now=62.0)[1]
    assert [expansion_id(NAME, 2)] == [one.id for one in later]


def test_a_cluster_that_was_away_when_an_edit_was_admitted_is_asked_about_when_it_is_back() -> None:
    growth, held = judge_growth(world(), asks(east=3), Growth(), 5, now=0.0, away=frozenset((WEST,)))
    assert (growth.admitted, growth.away, held) == ({NAME: 1}, {NAME: frozenset((WEST,))}, ())
    growth, held = judge_growth(world(), asks(east=3), growth, 5, now=1.0, away=frozenset((WEST,)))
    assert (growth.away, held) == ({NAME: frozenset((WEST,))}, ())
    growth, held = judge_growth(world(), asks(east=3, west=9), growth, 5, now=2.0)
    assert (growth.away, [(one.clusters, one.returned) for one in held]) == (
        {NAME: frozenset((WEST,))},
        [((WEST,), WEST)],
    )
    assert "west was away" in held[0].why
    approved = admit(growth, held[0].id, now=3.0)
    assert approved is not None
    growth, held = judge_growth(world(), asks(west=9), approved, 5, now=4.0)
    assert (growth.admitted, growth.away, held) == ({NAME: 1}, {}, ())


def test_a_cluster_that_is_back_with_few_new_targets_is_not_asked_about() -> None:
    growth, _ = judge_growth(world(), asks(east=3), Growth(), 5, now=0.0, away=frozenset((WEST,)))
    growth, held = judge_growth(world(), asks(east=0, west=5), growth, 5, now=1.0)
    assert (growth.away, held) == ({}, ())


def test_an_approval_speaks_of_the_clusters_that_were_counted() -> None:
    growth, held = judge_growth(world(), asks(east=9), Growth(), 5, now=0.0, away=frozenset((WEST,)))
    approved = admit(growth, held[0].id, now=1.0)
    assert approved is not None
    growth, held = judge_growth(world(), asks(west=9), approved, 5, now=2.0)
    assert [one.clusters for one in held] == [(WEST,)]


def test_an_id_that_was_shown_more_than_a_day_ago_admits_nothing() -> None:
    growth, held = judge_growth(world(), asks(east=9), Growth(), 5, now=0.0)
    assert admit(growth, held[0].id, now=2 * 86400.0) is None


def test_without_a_limit_nothing_is_held() -> None:
    assert judge_growth(world(), asks(east=900), Growth(), 0, now=0.0)[1] == ()


def test_an_invalid_policy_makes_nothing_and_is_not_judged() -> None:
    growth, held = judge_growth(world(standing=Standing.INVALID), asks(east=9), Growth(), 5, now=0.0)
    assert (growth.admitted, held) == ({}, ())
