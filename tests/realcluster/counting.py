"""How many requests an API server has answered: its own counters, for "not one write" and "one request per target".

The counters are the server's, all users' together, from its start on: take one reading before and one after, and
subtract. A request is counted when its answer is done, a watch when it ends, so the newest may show up a moment after
its answer did.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
_SAMPLE = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Request(NamedTuple):
    """One counter: a verb as the server names it (``LIST`` and ``WATCH`` too), a resource, an HTTP code."""

    verb: str
    resource: str
    code: str


@dataclass(frozen=True, slots=True)
class Requests:
    """A reading of the counters, or the difference between two."""

    counts: Counter[Request]

    @classmethod
    def read(cls, exposition: str) -> "Requests":
        """Return the counters of a ``/metrics`` page, summed over the labels that do not matter here."""
        counts: Counter[Request] = Counter()
        for request, value in _samples(exposition):
            counts[request] += value
        return cls(counts)

    def __sub__(self, earlier: "Requests") -> "Requests":
        return Requests(self.counts - earlier.counts)

    def of(self, resource: str, *verbs: str) -> int:
        """Return how many requests there were for a resource, of these verbs or of any."""
        return sum(
            count
            for asked, count in self.counts.items()
            if asked.resource == resource and asked.verb in (verbs or (asked.verb,))
        )

    def writes(self, resource: str) -> int:
        """Return how many requests tried to change a resource, refused ones too."""
        return self.of(resource, *WRITES)


def _samples(exposition: str) -> Iterator[tuple[Request, int]]:
    for sample in _SAMPLE.finditer(exposition):
        labels = dict(_LABEL.findall(sample["labels"]))
        resource = "/".join(filter(None, (labels["resource"], labels.get("subresource"))))
        yield Request(verb=labels["verb"], resource=resource, code=labels["code"]), int(float(sample["value"]))
