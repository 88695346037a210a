"""Whether a child that failed starts again, when, and when it has failed too often.

Decides, never waits: times are passed in. Fed by the supervisor, one `Restarts` per child.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from imps_multi.runtime.backoff import Backoff, Rand


class Exhausted(Enum):
    """What happens to a child whose restart budget is spent."""

    QUARANTINE = "quarantine"  # it is tried again every few minutes, and hurts nobody else
    ESCALATE = "escalate"  # its supervisor fails


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """At most `restarts` restarts within `window` seconds, each after a backoff delay; then `exhausted` decides.

    A child in quarantine is tried every `retry_every` seconds; it is out of it once it has run for `window` seconds.
    A child that returns has finished, unless `may_return` is false: then a return is a failure like any other.
    """

    restarts: int = 5
    window: float = 60.0
    backoff: Backoff = field(default_factory=lambda: Backoff(initial=0.5, cap=30.0))
    exhausted: Exhausted = Exhausted.QUARANTINE
    retry_every: float = 180.0
    may_return: bool = True


@dataclass(frozen=True, slots=True)
class Restart:
    """Start the next incarnation after so many seconds."""

    after: float


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The budget is spent: try one incarnation after so many seconds."""

    after: float


@dataclass(frozen=True, slots=True)
class Escalate:
    """The budget is spent: the supervisor is to fail."""


Verdict: TypeAlias = Restart | Quarantine | Escalate


class Restarts:
    """One child's failures, as far as they still count."""

    __slots__ = ("_failed", "_policy", "_probation", "_rand")

    def __init__(self, policy: RestartPolicy, rand: Rand) -> None:
        self._policy = policy
        self._rand = rand
        self._failed: deque[float] = deque()  # when, within the window
        self._probation = False  # it was in quarantine and has not proved itself since

    def failed(self, *, started: float, now: float) -> Verdict:
        """Count the failure at `now` of the incarnation that began at `started`; return what follows."""
        policy = self._policy
        if now - started >= policy.window:
            self._probation = False
        while self._failed and now - self._failed[0] >= policy.window:
            self._failed.popleft()
        self._failed.append(now)
        if not self._probation and len(self._failed) <= policy.restarts:
            return Restart(policy.backoff.delay(len(self._failed) - 1, self._rand))
        self._failed.clear()
        if policy.exhausted is Exhausted.ESCALATE:
            return Escalate()
        self._probation = True
        return Quarantine(policy.retry_every)
