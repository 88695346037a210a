"""The schedule against a model that is too simple to be wrong: one list, looked through from end to end."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from imps_multi.runtime.backoff import Backoff
from imps_multi.runtime.schedule import Lane, Schedule, Taken
from tests.runtime.timing import no_jitter

KEYS = st.sampled_from("abcdef")
LANES = st.sampled_from(Lane)
BACKOFF = Backoff(initial=1, factor=2, cap=16)


@dataclass
class Item:
    """A key's wish, and its place in line: when it got ready or will, then in order of arrival."""

    lane: Lane
    at: float
    retrying: bool
    place: tuple[float, int] = (0, 0)


@dataclass
class Model:
    now: float = 0
    queued: dict[str, Item] = field(default_factory=dict)
    flying: dict[str, tuple[Lane, Item | None]] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    arrivals: int = 0

    def ask(self, key: str, new: Item) -> None:
        if key in self.flying:
            lane, old = self.flying[key]
            self.flying[key] = lane, self.merged(old, new)
            return
        old = self.queued.get(key)
        item = self.merged(old, new)
        if old is None or item.at < old.at or item.lane > old.lane:
            self.arrivals += 1
            item.place = (max(item.at, self.now), self.arrivals)
        self.queued[key] = item

    @staticmethod
    def merged(old: Item | None, new: Item) -> Item:
        if old is None:
            return new
        return Item(max(old.lane, new.lane), min(old.at, new.at), old.retrying or new.retrying, old.place)

    def pop(self) -> Taken[str] | None:
        due = [(-item.lane, item.place, key) for key, item in self.queued.items() if item.at <= self.now]
        if not due:
            return None
        key = min(due)[2]
        item = self.queued.pop(key)
        self.flying[key] = item.lane, None
        return Taken(key, item.lane, self.now - item.at)


class ScheduleAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.real: Schedule[str] = Schedule(backoff=BACKOFF, rand=no_jitter)

    @rule(seconds=st.sampled_from([0, 0.5, 1, 2, 7]))
    def time_passes(self, seconds: float) -> None:
        self.model.now += seconds

    @rule(key=KEYS, lane=LANES, delay=st.none() | st.sampled_from([-1, 0, 1, 1.5, 3, 10]))
    def add(self, key: str, lane: Lane, delay: float | None) -> None:
        now = self.model.now
        at = None if delay is None else now + delay
        self.real.add(key, now=now, lane=lane, at=at)
        self.model.ask(key, Item(lane, now if at is None else max(now, at), retrying=False))

    @rule()
    def pop(self) -> None:
        assert self.real.pop(now=self.model.now) == self.model.pop()

    @precondition(lambda self: self.model.flying)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.flying)))
        self.real.done(key, now=self.model.now)
        _, again = self.model.flying.pop(key)
        if again is not None:
            self.model.ask(key, again)

    @rule(key=KEYS)
    def retry(self, key: str) -> None:
        model = self.model
        failures = model.failures.get(key, 0)
        model.failures[key] = failures + 1
        lane = Lane.ROUTINE
        if key in model.flying:
            lane = model.flying[key][0]
        elif key in model.queued:
            lane = model.queued[key].lane
        delay = BACKOFF.delay(failures, no_jitter)
        assert self.real.retry(key, now=model.now) == delay
        model.ask(key, Item(lane, model.now + delay, retrying=True))

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.real.forget(key)
        self.model.failures.pop(key, None)

    @rule()
    def reset_backoff(self) -> None:
        model = self.model
        self.real.reset_backoff(now=model.now)
        model.failures.clear()
        for _, again in model.flying.values():
            if again is not None and again.retrying:
                again.at, again.retrying = min(again.at, model.now), False
        for key, item in list(model.queued.items()):
            if item.retrying:
                model.ask(key, Item(item.lane, model.now, retrying=False))

    @rule(key=KEYS)
    def discard(self, key: str) -> None:
        model = self.model
        model.failures.pop(key, None)
        if key in model.flying:
            lane, again = model.flying[key]
            model.flying[key] = lane, None
            expected = again is not None
        else:
            expected = model.queued.pop(key, None) is not None
        assert self.real.discard(key) == expected

    @rule()
    def count(self) -> None:
        queued, now = self.model.queued.values(), self.model.now
        ready = [item.lane for item in queued if item.at <= now]
        counts = self.real.counts(now=now)
        assert (counts.ready_urgent, counts.ready_routine) == (ready.count(Lane.URGENT), ready.count(Lane.ROUTINE))
        assert counts.delayed == len(queued) - len(ready)

    @invariant()
    def they_agree(self) -> None:
        model, now = self.model, self.model.now
        assert len(self.real) == len(model.queued)
        assert self.real.in_flight == len(model.flying)
        assert all(self.real.failures(key) == model.failures.get(key, 0) for key in "abcdef")
        due = self.real.next_time()
        if any(item.at <= now for item in model.queued.values()):
            assert due is not None
            assert due <= now
        else:
            assert due == min((item.at for item in model.queued.values()), default=None)


TestScheduleAgainstModel = ScheduleAgainstModel.TestCase
TestScheduleAgainstModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
