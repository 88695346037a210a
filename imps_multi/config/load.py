"""Reads the configuration file: every error at once, each with its line and column and what to do.

Blocking; called at start, by ``validate`` and by the reload in a thread. Relative paths resolve against the file,
``${NAME}`` in a string comes from the environment, and ``$$`` is a dollar.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from msgspec import Struct
from pydantic import BaseModel, ValidationError

from imps_multi.config.environment import expanded
from imps_multi.config.forms import misformed
from imps_multi.config.model import Configuration
from imps_multi.config.unsupported import RESERVED, unsupported
from imps_multi.marked_yaml import Document, Mistake, Unreadable, legible
from imps_multi.model.fields import did_you_mean, join, near_field
from imps_multi.model.hub import Place

Step = str | int
LARGEST: Final = 16 * 1024 * 1024
LONGEST_PATH: Final = 200
_MESSAGES: Final = {
    "missing": "is required",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "string_type": "must be a text; put it in quotes",
    "path_type": "must be a text; put it in quotes",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "invalid_key": "a key must be a text; put it in quotes",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
"""What is said instead of pydantic's own words, by the kind of its error."""
_CHOICE: Final = re.compile("'([^']*)'")
"""Of a list of choices in pydantic's words."""
_OF_KEY: Final = "[key]"
"""What pydantic adds to the path of a mapping's key, where the key is wrong and not the value."""


class ConfigProblem(Struct, frozen=True, order=True):
    """One error. ``path`` is empty where the text itself is wrong."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        """Return ``FILE:LINE:COLUMN: path.to.field: what is wrong``."""
        return f"{self.place}: {self.path}: {self.message}" if self.path else f"{self.place}: {self.message}"


class InvalidConfiguration(Exception):
    """The file cannot be used. ``rest`` is what is right in it, in which there may be more to find."""

    def __init__(self, problems: Iterable[ConfigProblem], rest: "Loaded | None" = None) -> None:
        self.problems = tuple(sorted(problems))
        self.rest = rest
        super().__init__("\n".join(map(str, self.problems)))


class Loaded(Struct, frozen=True):
    """A valid configuration, and how to find the place of a path in its file."""

    configuration: Configuration
    document: Document
    path: Path
    left_out: frozenset[int] = frozenset()
    """The entries of ``clusters`` that are not right, of the ``rest`` of an invalid configuration."""

    def place(self, path: str) -> Place:
        """Return where a field stands."""
        return self.document.place(path)


def load(path: Path, environment: Mapping[str, str]) -> Loaded:
    """Read and check the whole file.

    Raises:
        InvalidConfiguration: with every problem.
    """
    document, mistakes = _document(path)
    found: list[tuple[tuple[Step, ...], str]] = []
    value = expanded(document.value, environment, found)
    found += unsupported(value)
    found += misformed(value)
    configuration, errors = _validate(value)
    known = {steps for steps, _ in found}
    found += [(steps, message) for steps, message in errors if steps not in known]
    if configuration is None or found or mistakes:
        placed = [_placed(document, steps, message) for steps, message in found]
        raise InvalidConfiguration([*mistakes, *placed], _rest(value, [steps for steps, _ in found], document, path))
    return Loaded(_resolved(configuration, path.absolute().parent), document, path)


def _placed(document: Document, steps: Sequence[Step], message: str) -> ConfigProblem:
    return ConfigProblem(document.place(steps), _path(steps) or "(file)", message)


def _document(path: Path) -> tuple[Document, list[ConfigProblem]]:
    try:
        found, mistakes = legible(_content(path), str(path))
    except OSError as error:
        problem = ConfigProblem(Place(str(path)), "", f"cannot be read: {error.strerror or error}")
        raise InvalidConfiguration([problem]) from None
    except Unreadable as error:
        raise InvalidConfiguration(_of_text(error.mistakes)) from None
    if len(found) != 1 or not isinstance(found[0].value, dict):
        message = (
            "must be one YAML mapping with hub and clusters; `imps-multi schema config` prints what may stand in it"
        )
        raise InvalidConfiguration([*_of_text(mistakes), ConfigProblem(Place(str(path), 1, 1), "", message)])
    return found[0], _of_text(mistakes)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)  # a device would be read without an end
    if len(content) > LARGEST:
        raise OSError(f"it has more than {LARGEST} bytes")
    return content


def _of_text(mistakes: Iterable[Mistake]) -> list[ConfigProblem]:
    return [ConfigProblem(one.place, _path(one.path), one.message) for one in mistakes]


def _rest(value: Mapping[str, Any], wrong: Iterable[tuple[Step, ...]], document: Document, path: Path) -> Loaded | None:
    """Return what is right: the parts, and of the hub and the entries of the fleet the fields."""
    parts, entries, fields = set[str](), set[int](), set[tuple[Step, ...]]()
    for steps in wrong:
        match steps:
            case ("clusters",):
                return None
            case ("clusters", int(index), *field):
                if field and not _telling((*steps[:2], field[0])):
                    fields.add((*steps[:2], field[0]))
                else:
                    entries.add(index)
            case ("hub", field, *_) if not _telling(("hub", field)):
                fields.add(("hub", field))
            case (str(part), *_):
                parts.add(part)
            case _:
                pass
    kept = {name: _without(part, (name,), fields) for name, part in value.items() if name not in parts}
    kept["hub"] = {"id": "any"} | kept.get("hub", {})
    kept["clusters"] = [
        _ANY_ENTRY if index in entries else _without(entry, ("clusters", index), fields)
        for index, entry in enumerate(kept.get("clusters", []))
    ]
    configuration, _ = _validate(kept)
    if configuration is None:
        return None
    return Loaded(_resolved(configuration, path.absolute().parent), document, path, frozenset(entries))


def _telling(steps: tuple[Step, ...]) -> bool:
    """Say whether nothing can be said of a part without this field, or the one that was meant by it."""
    return near_field(str(steps[-1]), _fields_at(Configuration, steps[:-1])) in _TELLING


def _without(part: Any, at: tuple[Step, ...], fields: Container[tuple[Step, ...]]) -> Any:
    return {name: item for name, item in part.items() if (*at, name) not in fields} if isinstance(part, dict) else part


_TELLING: Final = frozenset(
    {"directory", "stateDirectory", "kubeconfig", "contexts", "excludeContexts", "context", "name", "inCluster"}
)
_ANY_ENTRY: Final = {"name": "any", "inCluster": True}
"""What stands in for an entry that is not right, so that the models take the rest; nobody looks at it."""


def _validate(value: Mapping[str, Any]) -> tuple[Configuration | None, list[tuple[tuple[Step, ...], str]]]:
    try:
        given = {key: item for key, item in value.items() if key not in RESERVED}
        return Configuration.model_validate(given, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, [(_steps(one), _message(one)) for one in error.errors(include_url=False)]


def _steps(error: Any) -> tuple[Step, ...]:
    loc: tuple[Step, ...] = error["loc"]
    if error["type"] == "invalid_key":
        return (*loc[:-1], str(loc[-1]))  # a number there is a key, and no place in a list
    return loc[:-1] if loc and loc[-1] == _OF_KEY else loc


def _message(error: Any) -> str:
    kind, loc = error["type"], error["loc"]
    if kind == "extra_forbidden":
        known = _fields_at(Configuration, loc[:-1])
        near = near_field(str(loc[-1]), known)
        hint = f"did you mean {near}?" if near is not None else f"known here: {', '.join(sorted(known))}"
        return f"unknown field ({hint})"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    message: str = error["msg"]
    meant = _choice_meant(error["input"], error["ctx"]["expected"]) if kind == "literal_error" else ""
    return _MESSAGES.get(kind) or message.replace("Input should be", "must be") + meant


def _choice_meant(given: object, expected: str) -> str:
    return did_you_mean(given, _CHOICE.findall(expected)) if isinstance(given, str) else ""


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the names that may stand at a path of the models."""
    for step in loc:
        if isinstance(step, int):
            continue
        field = next((one for name, one in model.model_fields.items() if step in (name, one.alias)), None)
        inner = next(iter(_models(field.annotation)), None) if field is not None else None
        if inner is None:
            return []
        model = inner
    return [one.alias or name for name, one in model.model_fields.items()]


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _path(steps: Iterable[Step]) -> str:
    path = ""
    for step in steps:
        path = f"{path}[{step}]" if isinstance(step, int) else join(path, step)
        if len(path) > LONGEST_PATH:
            return f"{path[:LONGEST_PATH]}…"
    return path


def _resolved(configuration: Configuration, base: Path) -> Configuration:
    """Resolve every path against the file's directory."""

    def absolute(path: Path | None) -> Path | None:
        return None if path is None else base / _at_home(path)

    hub = configuration.hub
    audit = configuration.telemetry.audit_log
    log = audit if audit in ("", "stdout") else str(base / _at_home(Path(audit)))
    return configuration.model_copy(
        update={
            "hub": hub.model_copy(
                update={
                    "directory": absolute(hub.directory),
                    "state_directory": absolute(hub.state_directory),
                    "kubeconfig": absolute(hub.kubeconfig),
                }
            ),
            "clusters": [
                entry.model_copy(update={"kubeconfig": absolute(entry.kubeconfig)}) for entry in configuration.clusters
            ],
            "telemetry": configuration.telemetry.model_copy(update={"audit_log": log}),
        }
    )


def _at_home(path: Path) -> Path:
    """Take ``~`` for the home directory; where there is none it stays as it is, as in a shell."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path
