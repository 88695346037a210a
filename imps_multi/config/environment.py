"""``${NAME}`` in a configuration's strings comes from the environment, ``$$`` is a dollar. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_REFERENCE: Final = re.compile(r"\$\$|\$\{(?P<name>[^}]*)\}?")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Step = str | int
Problems = list[tuple[tuple[Step, ...], str]]


def expanded(value: Any, environment: Mapping[str, str], problems: Problems, at: tuple[Step, ...] = ()) -> Any:
    """Return the value with every string expanded; what cannot be is noted with its path."""
    match value:
        case str():
            problems.extend((at, problem) for problem in _mistakes(value, environment))
            return _REFERENCE.sub(lambda found: _replaced(found, environment), value)
        case dict():
            return {key: expanded(item, environment, problems, (*at, str(key))) for key, item in value.items()}
        case list():
            return [expanded(item, environment, problems, (*at, index)) for index, item in enumerate(value)]
        case _:
            return value


def _mistakes(text: str, environment: Mapping[str, str]) -> Iterator[str]:
    for found in _REFERENCE.finditer(text):
        name = found["name"]
        if name is None:
            continue
        if _NAME.fullmatch(name) is None or not found[0].endswith("}"):
            yield "has ${ without the name of an environment variable and }; write $$ for a dollar"
        elif name not in environment:
            yield f"environment variable {name} is not set; write $$ for a dollar"


def _replaced(found: re.Match[str], environment: Mapping[str, str]) -> str:
    return "$" if found["name"] is None else environment.get(found["name"], "")
