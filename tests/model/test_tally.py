"""Counts that are kept up equal a recount, whatever came in between."""

from collections import Counter
from random import Random

from hypothesis import given, settings

from imps_multi.model.names import NamespaceName, PolicyName, SecretName
from imps_multi.model.report import PolicyTally
from imps_multi.model.tally import SHOWN_TROUBLES, Tally, Where
from imps_multi.model.target_plan import Line, State
from tests.model.strategies import dice

WHERES = tuple((NamespaceName(space), SecretName(name)) for space in "abc" for name in ("pull", "second"))
POLICIES = tuple(map(PolicyName, ("p", "q")))


def a_line(die: Random, policy: PolicyName) -> Line:
    return Line(
        policy,
        die.choice(tuple(State)),
        desired=die.random() < 0.7,
        reason=die.choice(("", "Invalid")),
        expires_at=die.choice((None, 1.0, 2.0)),
        there=die.random() < 0.5,
    )


def a_sequence(die: Random) -> list[tuple[Where, tuple[Line, ...]]]:
    return [
        (die.choice(WHERES), tuple(a_line(die, policy) for policy in die.sample(POLICIES, die.randrange(3))))
        for _ in range(die.randrange(1, 30))
    ]


def recount(last: dict[Where, tuple[Line, ...]], policy: PolicyName) -> dict[str, object]:
    mine = [(where, line) for where, lines in last.items() for line in lines if line.policy == policy]
    states = Counter(line.state.value for _, line in mine)
    return {
        **{state.value: states[state.value] for state in State},
        "desired": sum(line.desired for _, line in mine),
        "expires_at": min((line.expires_at for _, line in mine if line.expires_at is not None), default=None),
        "reasons": dict(Counter(line.reason for _, line in mine if line.reason)),
        "namespaces": frozenset(where[0] for where, line in mine if line.desired),
    }


def counted(tally: PolicyTally) -> dict[str, object]:
    names = (*(state.value for state in State), "desired", "expires_at", "reasons", "namespaces")
    return {name: getattr(tally, name) for name in names}


@settings(max_examples=300)
@given(dice.map(a_sequence))
def test_the_sums_equal_a_recount(sequence: list[tuple[Where, tuple[Line, ...]]]) -> None:
    tally, last = Tally(), dict[Where, tuple[Line, ...]]()
    for where, lines in sequence:
        tally.record(where, lines)
        last[where] = lines
        for policy, sums in tally.sums().items():
            assert counted(sums) == recount(last, policy)
    there = {policy for lines in last.values() for policy in (line.policy for line in lines)}
    assert set(tally.sums()) == there
    assert dict(tally.places()) == {where: lines for where, lines in last.items() if lines}
    owned = Counter(line.policy for lines in last.values() for line in lines if line.there)
    assert tally.owned() == dict(owned)
    for policy in POLICIES:
        spaces = {where[0] for where, lines in last.items() if policy in {line.policy for line in lines}}
        assert tally.of_policies(frozenset({policy})) == spaces


@settings(max_examples=100)
@given(dice.map(a_sequence))
def test_forgetting_a_name_equals_never_having_heard_of_it(sequence: list[tuple[Where, tuple[Line, ...]]]) -> None:
    tally, other = Tally(), Tally()
    for where, lines in sequence:
        tally.record(where, lines)
        if where[1] != "pull":
            other.record(where, lines)
    tally.forget(SecretName("pull"))
    assert {name: counted(sums) for name, sums in tally.sums().items()} == {
        name: counted(sums) for name, sums in other.sums().items()
    }


def test_a_few_troubles_are_named_and_what_merely_lingers_is_none() -> None:
    tally = Tally()
    for number in range(20):
        state = State.LINGERING if number % 2 else State.FAILED
        where = (NamespaceName(f"n{number}"), SecretName("pull"))
        tally.record(where, (Line(POLICIES[0], state, reason="Forbidden", message=f"m{number}"),))
    troubles = tally.sums()[POLICIES[0]].troubles
    assert len(troubles) == SHOWN_TROUBLES
    assert {int(one.namespace[1:]) % 2 for one in troubles} == {0}
    assert {one.message for one in troubles} <= {f"m{number}" for number in range(20)}


def test_saying_the_same_again_changes_nothing() -> None:
    tally, line = Tally(), Line(POLICIES[0], State.IN_SYNC, there=True)
    tally.record(WHERES[0], (line,))
    changes, owned = tally.changes, tally.owned_changes
    tally.record(WHERES[0], (Line(POLICIES[0], State.IN_SYNC, there=True),))
    assert (tally.changes, tally.owned_changes) == (changes, owned)
    tally.record(WHERES[0], (Line(POLICIES[0], State.PENDING, there=True),))
    assert (tally.changes, tally.owned_changes) == (changes + 1, owned)


def test_a_change_of_state_keeps_the_set_of_namespaces() -> None:
    tally = Tally()
    tally.record(WHERES[0], (Line(POLICIES[0], State.PENDING),))
    before = tally.sums()[POLICIES[0]].namespaces
    tally.record(WHERES[0], (Line(POLICIES[0], State.IN_SYNC),))
    assert tally.sums()[POLICIES[0]].namespaces is before
