"""Unfinished pods, metadata only: what a watch of them sends, read into names and the rules that they match.

The server leaves finished pods out (a pod that finishes is told as deleted), and with a single label rule every pod
that does not match. Labels and annotations are looked at here and forgotten. Feeds ``reflector``.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from imps_multi.kube.decode import PARTIAL, PARTIAL_LIST, aside, namespace_name, page_of
from imps_multi.kube.frames import Frame, Lost, Page, Seen
from imps_multi.kube.references import UNFINISHED
from imps_multi.kube.wire import NAMESPACE_FRAME, NAMESPACE_PAGE, Meta
from imps_multi.model.choosing import rules_matched
from imps_multi.model.observed import WatchEvent
from imps_multi.model.pods import PodGone, PodsAsked, PodSeen, PodsReplaced
from imps_multi.model.selection import Operator, Requirement, Selector

LONGEST_SELECTOR: Final = 4096
"""Characters of a label selector that is still sent: a longer one might not fit into a request line on its way."""


class PodReader:
    """The pods that match a rule of one watch."""

    words = "pods"
    path = "/api/v1/pods"
    initial_accept = PARTIAL
    watch_accept = PARTIAL
    list_accept = PARTIAL_LIST

    def __init__(self, asked: PodsAsked) -> None:
        self._asked = asked
        self.query = f"fieldSelector={UNFINISHED}{_narrowed(asked.selector)}"

    def forget(self) -> None:
        """Nothing was kept."""

    def frame(self, line: bytes, *, live: bool) -> Frame[WatchEvent]:  # noqa: ARG002 - a pod is not dated
        """Read a line; a pod that matches nothing is as good as gone."""
        frame = NAMESPACE_FRAME.decode(line)
        found = frame.object
        if frame.type not in {"ADDED", "MODIFIED", "DELETED"}:
            return aside(frame.type, found)
        meta = found.metadata
        seen = self._seen(meta) if frame.type != "DELETED" else None
        return seen if seen is not None else self._lost(meta)

    def page(self, body: bytes) -> Page[WatchEvent]:
        """Read a page."""
        page = NAMESPACE_PAGE.decode(body)
        return page_of(page.metadata, (self._seen(item.metadata) for item in page.items or ()))

    def replaced(self, seen: Iterable[WatchEvent], version: int, *, reset: bool) -> WatchEvent:  # noqa: ARG002 - a list of pods always counts
        """Return the list as one event."""
        pods = tuple((one.namespace, one.name, one.matches) for one in seen if isinstance(one, PodSeen))
        return PodsReplaced(self._asked, pods, version)

    def _seen(self, meta: Meta) -> Seen[WatchEvent] | None:
        matches = rules_matched(self._asked, meta.labels or {}, meta.annotations or {})
        if not matches:
            return None
        namespace, version = namespace_name(meta.namespace), meta.resource_version
        event = PodSeen(self._asked, namespace, meta.name, matches, version)
        return Seen((namespace, meta.name), version, event)

    def _lost(self, meta: Meta) -> Lost[WatchEvent]:
        namespace, version = namespace_name(meta.namespace), meta.resource_version
        return Lost((namespace, meta.name), version, PodGone(self._asked, namespace, meta.name, version))


def _narrowed(selector: Selector | None) -> str:
    text = label_query(selector) if selector is not None else ""
    return f"&labelSelector={quote(text, safe='')}" if 0 < len(text) <= LONGEST_SELECTOR else ""


def label_query(selector: Selector) -> str:
    """Write a label selector as an API server reads it from a query (apimachinery ``pkg/labels``)."""
    return ",".join(map(_term, selector.requirements))


def _term(term: Requirement) -> str:
    values = ",".join(sorted(term.values))
    match term.operator:
        case Operator.IN:
            return f"{term.key} in ({values})"
        case Operator.NOT_IN:
            return f"{term.key} notin ({values})"
        case Operator.EXISTS:
            return term.key
        case Operator.DOES_NOT_EXIST:
            return f"!{term.key}"
