from imps_multi.runtime.backoff import Backoff
from imps_multi.runtime.restarts import Escalate, Exhausted, Quarantine, Restart, RestartPolicy, Restarts
from tests.runtime.timing import no_jitter

POLICY = RestartPolicy(restarts=3, window=60, backoff=Backoff(initial=1, factor=2, cap=30), retry_every=300)


def test_restarts_wait_longer_each_time_until_the_budget_is_spent() -> None:
    restarts = Restarts(POLICY, no_jitter)
    verdicts = [restarts.failed(started=now, now=now + 1) for now in (0.0, 2.0, 5.0, 10.0)]
    assert verdicts == [Restart(1), Restart(2), Restart(4), Quarantine(300)]


def test_failures_older_than_the_window_do_not_count() -> None:
    restarts = Restarts(POLICY, no_jitter)
    verdicts = [restarts.failed(started=now - 1, now=now) for now in (0.0, 30.0, 60.0, 90.0, 120.0, 150.0)]
    assert verdicts == [Restart(1), Restart(2), Restart(2), Restart(2), Restart(2), Restart(2)]


def test_a_failed_trial_goes_straight_back_to_quarantine() -> None:
    restarts = Restarts(POLICY, no_jitter)
    for now in (0.0, 1.0, 2.0, 3.0):
        restarts.failed(started=now, now=now)
    assert restarts.failed(started=303, now=304) == Quarantine(300)
    assert restarts.failed(started=604, now=663) == Quarantine(300)


def test_a_trial_that_ran_for_the_window_has_its_budget_back() -> None:
    restarts = Restarts(POLICY, no_jitter)
    for now in (0.0, 1.0, 2.0, 3.0):
        restarts.failed(started=now, now=now)
    assert restarts.failed(started=303, now=363) == Restart(1)
    assert restarts.failed(started=364, now=365) == Restart(2)


def test_a_spent_budget_escalates_where_that_is_the_policy() -> None:
    restarts = Restarts(RestartPolicy(restarts=0, exhausted=Exhausted.ESCALATE), no_jitter)
    assert restarts.failed(started=0, now=1) == Escalate()
