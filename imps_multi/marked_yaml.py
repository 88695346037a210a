"""YAML and JSON with positions: what the configuration file, the manifests and their problems have in common.

Pure: text in, values with their lines and columns out. Built on the parser's events and not on PyYAML's composer, whose
recursion a deeply nested file turns into a crash of the process. Duplicate keys, unknown tags and aliases that would
explode are mistakes; timestamps and sexagesimal numbers stay texts, as in Kubernetes. No mistake shows a value.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from msgspec import Struct

from imps_multi.model.hub import Place

MAX_DEPTH: Final = 100
MAX_VALUES: Final = 500_000
"""Values in one file, those behind aliases counted at each use."""
MAX_SHOWN: Final = 60

_TAG: Final = "tag:yaml.org,2002:"
_NULL: Final = re.compile(r"~|null|Null|NULL|")
_BOOL: Final = re.compile(r"(yes|Yes|YES|true|True|TRUE|on|On|ON)|no|No|NO|false|False|FALSE|off|Off|OFF")
_NUMBER: Final = re.compile(
    r"[-+]?(0[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+|0o[0-7_]+|0|[1-9][0-9_]*"
    r"|([0-9][0-9_]*)?\.[0-9_]+([eE][-+]?[0-9]+)?|[0-9][0-9_]*\.?([eE][-+]?[0-9]+)|[0-9][0-9_]*\.|\.(inf|Inf|INF))"
    r"|\.(nan|NaN|NAN)"
)
_BASED: Final = re.compile(r"0[0-7]+$|0[xbo]")
_STEP: Final = re.compile(r"\[([^\]]*)\]|([^.\[]+)")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE: Final = re.compile(r"\\u[dD][89abAB]")
_MERGE: Final = "<<"
_UNKNOWN_TAG: Final = "has a tag that is not supported; take it away"


class Mistake(Struct, frozen=True, order=True):
    """What is wrong with a text, and where; ``path`` is empty where the text itself is wrong."""

    place: Place
    message: str
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        """Return ``FILE:LINE:COLUMN: message``."""
        return f"{self.place}: {self.message}"


class Unreadable(Exception):
    """A text that cannot be used; ``mistakes`` are sorted by place."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(sorted(mistakes))


@dataclass(slots=True)
class Marked:
    """A value and where it starts; ``items`` of a mapping carry their key's place. Not shown: it may hold a secret."""

    value: Any = field(repr=False)
    line: int
    column: int
    items: "dict[str, tuple[int, int, Marked]] | list[Marked] | None" = field(default=None, repr=False)
    size: int = 1


class Document:
    """One document of a file: its value, and the place of anything in it."""

    def __init__(self, root: Marked, file: str) -> None:
        self._root = root
        self._file = file
        self.value: Any = root.value

    def place(self, path: str | Sequence[str | int] = ()) -> Place:
        """Find the place of a path (``a.b[0].c[x.y/z]``); of a part that is not there, the nearest that is."""
        steps = _steps(path) if isinstance(path, str) else [str(step) for step in path]
        line, column, node = self._root.line, self._root.column, self._root
        for step in steps:
            match node.items:
                case dict() as items if step in items:
                    line, column, node = items[step]
                case list() as entries if step.isdigit() and int(step) < len(entries):
                    node = entries[int(step)]
                    line, column = node.line, node.column
                case _:
                    break
        return Place(self._file, line, column)


def _steps(path: str) -> list[str]:
    return [bracketed or plain for bracketed, plain in _STEP.findall(path)]


def legible(content: bytes, file: str) -> tuple[tuple[Document, ...], tuple[Mistake, ...]]:
    """Read every document, and return its mistakes beside it: what is read then is only good for finding more.

    Raises:
        Unreadable: it cannot be read to its end.
    """
    text = _decoded(content, file)
    if file.endswith(".json"):
        text = text.replace("\t", " ")  # JSON has tabs only between its parts, where YAML has none
    try:
        return _documents(text, file, _quick_parser())
    except Unreadable:
        if not (file.endswith(".json") or _ESCAPED_SURROGATE.search(text)):
            raise
        return _documents(text, file, yaml.SafeLoader)  # takes JSON's escapes for what is beyond the first plane


def _quick_parser() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _decoded(content: bytes, file: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place_of(content[: error.start].decode(), file)
        raise Unreadable([Mistake(place, "is not UTF-8 text")]) from None
    if (control := yaml.reader.Reader.NON_PRINTABLE.search(text)) is not None:
        place = _place_of(text[: control.start()], file)
        raise Unreadable([Mistake(place, "has a control character, which YAML does not allow")])
    return text


def _place_of(before: str, file: str) -> Place:
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _documents(text: str, file: str, parser: Any) -> tuple[tuple[Document, ...], tuple[Mistake, ...]]:
    builder = _Builder(yaml.parse(text, Loader=parser), file)
    try:
        roots = list(builder.roots())
    except yaml.MarkedYAMLError as error:
        raise Unreadable([*builder.mistakes, _syntax(error, text, file)]) from None
    except yaml.YAMLError:
        raise Unreadable([*builder.mistakes, Mistake(Place(file, 1, 1), "cannot be parsed")]) from None
    return tuple(Document(root, file) for root in roots if root.value is not None), tuple(builder.mistakes)


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> Mistake:
    """Word a syntax error; the parser's own text may quote a value, so what it quotes goes."""
    mark = error.problem_mark or error.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if mark is not None else Place(file, 1, 1)
    problem = re.sub(r"'[^']{2,}'", "'…'", error.problem or "cannot be parsed")
    context = f" {error.context}" if error.context else ""
    sign = _sign_at(text, place)
    if sign == "\t":
        return Mistake(place, "a tab stands where YAML allows spaces only")
    hint = f'; put a value that starts with "{sign}" in quotes' if sign and sign in "@`%*&!|>{[" else ""
    return Mistake(place, f"{problem}{context}{hint}")


def _sign_at(text: str, place: Place) -> str:
    lines = text.splitlines()
    line = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
    return line[place.column - 1 : place.column] if place.column else ""


class _Builder:
    """Builds marked values from the parser's events; its own recursion is bounded by ``MAX_DEPTH``."""

    def __init__(self, events: Iterator[Any], file: str) -> None:
        self._events = events
        self._file = file
        self._anchors: dict[str, Marked] = {}
        self._depth = 0
        self._size = 0
        self._path: list[str | int] = []
        self.mistakes: list[Mistake] = []

    def roots(self) -> Iterator[Marked]:
        """Build each document."""
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors.clear()
                yield self._node(next(self._events))

    def _mistake(self, line: int, column: int, message: str) -> None:
        self.mistakes.append(Mistake(Place(self._file, line, column), message, tuple(self._path)))

    def _node(self, event: Any) -> Marked:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        self._bound(line, column)
        match event:
            case yaml.AliasEvent():
                return self._alias(event, line, column)
            case yaml.ScalarEvent():
                node = Marked(self._scalar(event, line, column), line, column)
            case yaml.SequenceStartEvent():
                self._tag(event, "seq", line, column)
                node = self._sequence(line, column)
            case _:
                self._tag(event, "map", line, column)
                node = self._mapping(line, column)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _tag(self, event: Any, own: str, line: int, column: int) -> None:
        if event.tag not in {None, "!", f"{_TAG}{own}"}:
            self._mistake(line, column, _UNKNOWN_TAG)

    def _below(self, step: str | int, event: Any) -> Marked:
        self._path.append(step)
        node = self._node(event)
        self._path.pop()
        return node

    def _bound(self, line: int, column: int) -> None:
        self._size += 1
        if self._depth > MAX_DEPTH:
            self._stop(line, column, f"is nested more than {MAX_DEPTH} deep")
        if self._size > MAX_VALUES:
            self._stop(line, column, f"has more than {MAX_VALUES} values; split the file, or use fewer aliases")

    def _stop(self, line: int, column: int, message: str) -> None:
        self._mistake(line, column, message)
        raise Unreadable(self.mistakes)

    def _alias(self, event: Any, line: int, column: int) -> Marked:
        node = self._anchors.get(event.anchor)
        if node is None:
            self._mistake(line, column, 'is an alias of nothing; put a value that starts with "*" in quotes')
            return Marked(None, line, column)
        self._size += node.size
        self._bound(line, column)
        return node

    def _sequence(self, line: int, column: int) -> Marked:
        start = self._size
        self._depth += 1
        entries: list[Marked] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            entries.append(self._below(len(entries), event))
        self._depth -= 1
        return Marked([entry.value for entry in entries], line, column, entries, self._size - start + 1)

    def _mapping(self, line: int, column: int) -> Marked:
        start = self._size
        self._depth += 1
        items: dict[str, tuple[int, int, Marked]] = {}
        values: dict[Any, Any] = {}
        merged: list[Marked] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            plain = isinstance(event, yaml.ScalarEvent) and event.implicit[0]
            key = self._node(event)
            value = self._below(str(key.value)[:MAX_SHOWN], next(self._events))
            if plain and key.value == _MERGE:
                merged.append(value)
            elif self._new_key(key, items):
                items[str(key.value)] = (key.line, key.column, value)
                values[key.value] = value.value
        self._depth -= 1
        node = Marked(values, line, column, items)
        for source in merged:
            self._merge(node, source)
        node.size = self._size - start + 1
        return node

    def _new_key(self, key: Marked, items: dict[str, tuple[int, int, Marked]]) -> bool:
        if isinstance(key.value, dict | list):
            self._mistake(key.line, key.column, "a key must be a text")
            return False
        name = str(key.value)
        if name in items:
            first = items[name]
            message = f'the key "{name[:MAX_SHOWN]}" stands at line {first[0]}, column {first[1]} already'
            self._path.append(name[:MAX_SHOWN])
            self._mistake(key.line, key.column, message)
            self._path.pop()
            return False
        return True

    def _merge(self, node: Marked, source: Marked) -> None:
        """Take in the keys of a merged mapping (``<<``) that are not there already."""
        if isinstance(source.items, list):
            for each in source.items:
                self._merge(node, each)
        elif isinstance(source.items, dict) and isinstance(node.items, dict):
            for key, value in source.value.items():
                if str(key) not in node.items:
                    node.items[str(key)] = source.items[str(key)]
                    node.value[key] = value
        else:
            self._mistake(source.line, source.column, "<< takes a mapping, or a list of mappings")

    def _scalar(self, event: Any, line: int, column: int) -> object:
        text = event.value
        if _SURROGATE.search(text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if event.tag is None:
            return resolved(text) if event.implicit[0] else text
        kind = event.tag.removeprefix(_TAG)
        if kind in {"str", "!"}:
            return text
        if kind not in {"int", "float", "bool", "null"} or type(resolved(text)).__name__ not in {kind, "NoneType"}:
            self._mistake(line, column, _UNKNOWN_TAG)
        return resolved(text)


def resolved(text: str) -> object:
    """Return what a plain scalar stands for: null, a boolean, a number, else the text."""
    if _NULL.fullmatch(text):
        return None
    if (boolean := _BOOL.fullmatch(text)) is not None:
        return boolean[1] is not None
    try:
        return _number(text.replace("_", "")) if _NUMBER.fullmatch(text) else text
    except ValueError:
        return text


def _number(text: str) -> int | float:
    """Read a number as YAML 1.1 writes it, but for base sixty."""
    digits = text.lstrip("-+").lower()
    sign = -1 if text.startswith("-") else 1
    if digits in {".inf", ".nan"}:
        return sign * float(digits[1:])
    if _BASED.match(digits):
        return sign * (int(digits, 8) if digits.isdigit() else int(digits, 0))
    return sign * (int(digits) if digits.isdigit() and len(digits) < MAX_SHOWN else float(digits))
