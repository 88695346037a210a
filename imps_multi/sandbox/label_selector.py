"""The grammar of `labelSelector=`, as k8s.io/apimachinery `pkg/labels` reads it.

Written for the server alone: nothing is shared with the selectors that the product parses, so that the one can test
the other. Pure. Used by lists and watches.
"""

import re
from collections.abc import Mapping

import msgspec

from imps_multi.sandbox.names import label_key_faults, label_value_faults
from imps_multi.sandbox.status import ApiError, bad_request

__all__ = ["LabelSelector", "parse_labels"]

_TOKEN = re.compile(r"\s*(?:(?P<mark>==|!=|[=!(),<>])|(?P<word>[^\s=!(),<>]+))")
_NEGATED = {"!=", "notin"}
_COMPARED = {">", "<"}


class Requirement(msgspec.Struct, frozen=True):
    """One clause: `operator` is exists, !, in, notin, =, ==, !=, > or <."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Whether an object of those labels passes; one without the key passes the negated clauses."""
        value = labels.get(self.key)
        if self.operator in {"exists", "!"}:
            return (value is not None) == (self.operator == "exists")
        if value is None:
            return self.operator in _NEGATED
        if self.operator in _COMPARED:
            return self._compare(value)
        return (value in self.values) != (self.operator in _NEGATED)

    def _compare(self, value: str) -> bool:
        try:
            seen, bound = int(value), int(next(iter(self.values)))
        except ValueError:
            return False
        return seen > bound if self.operator == ">" else seen < bound


class LabelSelector(msgspec.Struct, frozen=True):
    """All of its clauses must hold; none at all admits everything."""

    requirements: tuple[Requirement, ...] = ()

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Whether an object of those labels is selected."""
        return all(each.admits(labels) for each in self.requirements)


def parse_labels(source: str) -> LabelSelector:
    """Read a selector.

    Raises:
        ApiError: 400, it does not follow the grammar.
    """
    if not source.strip():
        return LabelSelector()
    parser = _Parser(source)
    requirements = [parser.requirement()]
    while parser.peek() == ",":
        parser.take()
        requirements.append(parser.requirement())
    if parser.peek():
        raise parser.fault(f"found '{parser.peek()}', expected: ',' or 'end of string'")
    return LabelSelector(tuple(requirements))


class _Parser:
    """A recursive descent over the tokens of one selector."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = [match.group("mark") or match.group("word") for match in _TOKEN.finditer(source)]
        self._at = 0

    def peek(self) -> str:
        """The next token, or nothing at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def fault(self, why: str) -> ApiError:
        return bad_request(f"unable to parse requirement: {why} in {self._source!r}")

    def requirement(self) -> Requirement:
        negated = self.peek() == "!"
        if negated:
            self.take()
        key = self._word("identifier")
        if faults := label_key_faults(key):
            raise self.fault(f"key {key!r}: {faults[0]}")
        if negated or self.peek() in {"", ","}:
            return Requirement(key, "!" if negated else "exists")
        return self._operation(key)

    def _operation(self, key: str) -> Requirement:
        operator = self.take()
        if operator in {"in", "notin"}:
            values = self._set()
        elif operator in {"=", "==", "!="} or operator in _COMPARED:
            values = frozenset({self._exact()})
        else:
            raise self.fault(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
        if operator in _COMPARED and not re.fullmatch(r"[+-]?\d+", next(iter(values))):
            raise self.fault("for 'Gt', 'Lt' operators, the value must be an integer")
        for value in values:
            if faults := label_value_faults(value):
                raise self.fault(f"value {value!r}: {faults[0]}")
        return Requirement(key, operator, values)

    def _exact(self) -> str:
        return "" if self.peek() in {"", ","} else self._word("identifier")

    def _set(self) -> frozenset[str]:
        if self.take() != "(":
            raise self.fault("expected: '('")
        values, value = set(), ""
        while True:
            token = self.take()
            if token in {",", ")"}:
                values.add(value)
                value = ""
                if token == ")":  # noqa: S105, a parenthesis
                    return frozenset(values)
            elif token and token not in _MARKS and not value:
                value = token
            else:
                raise self.fault(f"found '{token}', expected: ',' or ')'")

    def _word(self, what: str) -> str:
        token = self.take()
        if not token or token in _MARKS:
            raise self.fault(f"found '{token}', expected: {what}")
        return token


_MARKS = frozenset({"==", "!=", "=", "!", "(", ")", ",", "<", ">"})
