"""Which objects a list or a watch is about: kind, namespace, field and label selector, and how they are shown.

Pure. Built once per request from the query; lists filter entries with it, watches translate events with it.
"""

from collections.abc import Mapping

import msgspec

from imps_multi.sandbox.field_selector import FieldSelector, parse_fields
from imps_multi.sandbox.history import Event
from imps_multi.sandbox.label_selector import LabelSelector, parse_labels
from imps_multi.sandbox.negotiation import View
from imps_multi.sandbox.objects import Entry, render
from imps_multi.sandbox.resources import Resource
from imps_multi.sandbox.routes import Target

__all__ = ["Selection", "line", "select"]


class Selection(msgspec.Struct, frozen=True):
    """The filter of one request."""

    resource: Resource
    namespace: str
    fields: FieldSelector
    labels: LabelSelector
    view: View

    @property
    def filters(self) -> bool:
        """Whether anything but the namespace narrows it."""
        return bool(self.fields.clauses or self.labels.requirements)

    def admits(self, entry: Entry | None) -> bool:
        """Whether an object is in it."""
        return (
            entry is not None
            and (not self.namespace or entry.namespace == self.namespace)
            and self.fields.admits(entry)
            and self.labels.admits(entry.labels)
        )

    def narrow(self, entries: list[Entry]) -> list[Entry]:
        """Return those that are in it."""
        if self.fields.name:  # the common watch by name: cheap even among thousands of foreign objects
            entries = [entry for entry in entries if entry.name == self.fields.name]
        return [entry for entry in entries if self.admits(entry)] if self.filters else entries

    def show(self, entry: Entry) -> bytes:
        """Return an object in the form that was asked for."""
        return entry.body if self.view is View.FULL else entry.partial

    def frame(self, event: Event) -> bytes:
        """Return the line that a watch sends for an event, nothing where the event is not its business.

        An object that stops matching is DELETED: its last matching state, at the version of the change.
        """
        was, fits = self.admits(event.previous), self.admits(event.entry) and not event.deleted
        if fits:
            return line("MODIFIED" if was else "ADDED", self.show(event.entry))
        if not was:
            return b""
        assert event.previous is not None
        last = event.entry if event.deleted else render(self.resource, event.previous.draft(), event.version)
        return line("DELETED", self.show(last))


def line(kind: str, document: bytes) -> bytes:
    """Return one event of a watch."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), document)


def select(target: Target, query: Mapping[str, str], view: View) -> Selection:
    """Read the selectors of a request.

    Raises:
        ApiError: 400.
    """
    fields = parse_fields(target.resource, query.get("fieldSelector", ""))
    labels = parse_labels(query.get("labelSelector", ""))
    return Selection(target.resource, target.namespace, fields, labels, view)
