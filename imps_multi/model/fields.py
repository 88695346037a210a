"""Reading untrusted manifests field by field, so that every problem is found at once and each with its path.

Pure. ``Fields`` never raises for bad content: a reader returns a harmless value and notes the problem. Used by the
parsers. Paths are as Kubernetes writes them: ``spec.target.namespaces.labels[0].matchLabels[app.kubernetes.io/name]``.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Enum
from typing import Final, TypeVar

from imps_multi.model.matching import nearest_name
from imps_multi.model.policy import SpecProblem

MAX_SHOWN: Final = 60
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (type(None), "empty"),
    (bool, "a boolean"),  # before int, of which it is a kind
    (int, "a number"),
    (float, "a number"),
    (str, "a text"),
    (Mapping, "a mapping"),
    (list, "a list"),
)
Choice = TypeVar("Choice", bound=Enum)


def join(path: str, key: str) -> str:
    """Extend a path by a key: ``.key``, or ``[key]`` where it has other signs than a field name."""
    if _PLAIN_NAME.fullmatch(key) is None:
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def shown(text: str) -> str:
    """Cut a text from outside, and quote it."""
    cut = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    return f'"{cut}"'


def kind_of(value: object) -> str:
    """Say what a value is, without showing it."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), f"a {type(value).__name__}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean …?)`` for the known name that is nearest, else nothing."""
    near = near_field(name, known)
    return f" (did you mean {near}?)" if near is not None else ""


def near_field(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a mistyped one most likely means; case does not matter."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    folded = name.casefold()
    near = folded if folded in by_folded else nearest_name(folded, by_folded)
    return by_folded[near] if near is not None else None


class Fields:
    """Collects problems while values are read. One per manifest; not shared."""

    def __init__(self) -> None:
        self._problems: list[SpecProblem] = []

    @property
    def problems(self) -> tuple[SpecProblem, ...]:
        """Everything that was wrong so far, in reading order."""
        return tuple(self._problems)

    def problem(self, path: str, message: str) -> None:
        """Note a problem."""
        self._problems.append(SpecProblem(path, message))

    def mapping(self, value: object, path: str) -> dict[str, object]:
        """Read a mapping with text keys; absent (null) is empty."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problem(path, f"must be a mapping, is {kind_of(value)}")
            return {}
        return dict(self._text_keys(value, path))

    def _text_keys(self, value: Mapping[object, object], path: str) -> Iterator[tuple[str, object]]:
        for key, item in value.items():
            if isinstance(key, str):
                yield key, item
            else:
                self.problem(join(path, str(key)), f"the key is {kind_of(key)}; put it in quotes")

    def items(self, value: object, path: str) -> list[tuple[str, object]]:
        """Read a list as (path, item) pairs; absent (null) is empty."""
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self.problem(path, f"must be a list, is {kind_of(value)}")
            return []
        return [(f"{path}[{index}]", item) for index, item in enumerate(value)]

    def text(self, value: object, path: str) -> str | None:
        """Read a text; a number or a boolean is the YAML trap of a missing pair of quotes."""
        if isinstance(value, str):
            return value
        advice = "; put it in quotes" if isinstance(value, bool | int | float) else ""
        self.problem(path, f"must be a text, is {kind_of(value)}{advice}")
        return None

    def texts(self, value: object, path: str) -> tuple[str, ...]:
        """Read a list of texts."""
        read = [self.text(item, item_path) for item_path, item in self.items(value, path)]
        return tuple(text for text in read if text is not None)

    def text_map(self, value: object, path: str) -> dict[str, str]:
        """Read a mapping of texts to texts."""
        read = {key: self.text(item, join(path, key)) for key, item in self.mapping(value, path).items()}
        return {key: text for key, text in read.items() if text is not None}

    def truth(self, value: object, path: str) -> bool:
        """Read a boolean; absent is False."""
        if value is None or isinstance(value, bool):
            return bool(value)
        self.problem(path, f"must be true or false, is {kind_of(value)}")
        return False

    def choice(self, value: object, path: str, default: Choice) -> Choice:
        """Read one value of an enumeration, case-sensitively; absent is the default."""
        if value is None:
            return default
        choices = {str(choice.value): choice for choice in type(default)}
        if isinstance(value, str) and value in choices:
            return choices[value]
        said = shown(value) if isinstance(value, str) else kind_of(value)
        hint = did_you_mean(value, choices) if isinstance(value, str) else ""
        self.problem(path, f"must be one of {', '.join(choices)}, is {said}{hint}")
        return default

    def known_only(self, fields: Mapping[str, object], path: str, known: Collection[str]) -> None:
        """Note each field that is not known: under a selection a typo would widen or narrow it."""
        for name in fields:
            if name not in known:
                fix = did_you_mean(name, known) or f"; known are {', '.join(known)}"
                self.problem(join(path, name), f"unknown field{fix}")
