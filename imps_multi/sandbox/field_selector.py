"""The grammar of `fieldSelector=`, as k8s.io/apimachinery `pkg/fields` reads it.

Pure. Used by lists, watches and the access check, which takes a name out of `metadata.name=NAME` as the real
authorizer does.
"""

import re

import msgspec

from imps_multi.sandbox.objects import Entry
from imps_multi.sandbox.resources import Resource
from imps_multi.sandbox.status import bad_request

__all__ = ["FieldSelector", "parse_fields"]

_TERM = re.compile(r"((?:\\.|[^,\\])+)(?:,|$)")
_CLAUSE = re.compile(r"([^=!]+)(==|!=|=)(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\([,=\\])")
_NAME = "metadata.name"
_NAMESPACE = "metadata.namespace"


class Clause(msgspec.Struct, frozen=True):
    """One comparison of one field."""

    field: str
    value: str
    equal: bool


class FieldSelector(msgspec.Struct, frozen=True):
    """All of its clauses must hold."""

    clauses: tuple[Clause, ...] = ()

    def admits(self, entry: Entry) -> bool:
        """Whether that object is selected."""
        return all((_value(entry, each.field) == each.value) == each.equal for each in self.clauses)

    def exact(self, field: str) -> str:
        """Return the value that the field must have, or nothing when several would do."""
        return next((each.value for each in self.clauses if each.field == field and each.equal), "")

    @property
    def name(self) -> str:
        """The one name that is selected, if it is one."""
        return self.exact(_NAME)


def _value(entry: Entry, field: str) -> str:
    if field == _NAME:
        return entry.name
    if field == _NAMESPACE:
        return entry.namespace
    return entry.fields[entry.resource.fields.index(field)]


def parse_fields(resource: Resource, source: str) -> FieldSelector:
    """Read a selector over the fields that the kind supports.

    Raises:
        ApiError: 400, a malformed clause or a field that cannot be selected by.
    """
    clauses = tuple(_clause(resource, term) for term in _terms(source))
    return FieldSelector(clauses)


def _terms(source: str) -> list[str]:
    return [match.group(1) for match in _TERM.finditer(source)]


def _clause(resource: Resource, term: str) -> Clause:
    match = _CLAUSE.fullmatch(term)
    if match is None:
        raise bad_request(f"invalid selector: '{term}'; can't understand '{term}'")
    field, operator, value = match.groups()
    known = (_NAME, _NAMESPACE) if resource.namespaced else (_NAME,)
    if field not in known and field not in resource.fields:
        raise bad_request(f'"{field}" is not a known field selector: only {", ".join((*known, *resource.fields))}')
    return Clause(field, _ESCAPE.sub(r"\1", value), operator != "!=")
