"""What was asked of a server: counters that never forget, and a bounded list of the newest requests.

The server writes, tests and benchmarks read. It holds no body and no token.
"""

from collections import Counter, deque

import msgspec

__all__ = ["WRITES", "RequestLog", "Seen"]

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Seen(msgspec.Struct, kw_only=True):
    """One request. `status` is 0 until it is answered."""

    verb: str
    """As RBAC has it; empty for what is no resource."""
    resource: str
    """Plural, without its group; the path for what is no resource."""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    path: str = ""
    query: str = ""
    user: str = ""
    agent: str = ""
    at: float = 0.0
    """Of the event loop's clock."""
    status: int = 0

    @property
    def is_write(self) -> bool:
        """Whether it could have changed an object."""
        return self.verb in WRITES


class RequestLog:
    """The requests of one server."""

    def __init__(self, *, length: int = 10_000) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.statuses: Counter[int] = Counter()
        self.in_flight = 0
        self.most_in_flight = 0
        """Watches are not counted here."""
        self._recent: deque[Seen] = deque(maxlen=length)

    def begin(self, seen: Seen) -> None:
        """Note that a request has come."""
        self._recent.append(seen)
        self.counts[seen.verb, seen.resource] += 1
        if seen.verb != "watch":
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def answered(self, seen: Seen, status: int) -> None:
        """Note how it was answered."""
        seen.status = status
        self.statuses[status] += 1

    def end(self, seen: Seen) -> None:
        """Note that it is over, answered or not."""
        if seen.verb != "watch":
            self.in_flight -= 1

    @property
    def recent(self) -> tuple[Seen, ...]:
        """The newest requests, oldest first."""
        return tuple(self._recent)

    @property
    def writes(self) -> tuple[Seen, ...]:
        """Those of the newest requests that could have changed an object."""
        return tuple(seen for seen in self._recent if seen.is_write)

    def count(self, verb: str = "", resource: str = "") -> int:
        """Return how many there were, of a verb, of a resource, or of both."""
        return sum(
            number
            for (each_verb, each_resource), number in self.counts.items()
            if verb in {"", each_verb} and resource in {"", each_resource}
        )

    @property
    def write_count(self) -> int:
        """How many requests could have changed an object, refused ones too."""
        return sum(number for (verb, resource), number in self.counts.items() if verb in WRITES and "/" not in resource)

    def clear(self) -> None:
        """Start counting anew."""
        self.counts.clear()
        self.statuses.clear()
        self._recent.clear()
        self.most_in_flight = self.in_flight
