"""Reads the configuration file: every error at once, each with its line and column and what to do.

Blocking; called at start, by ``validate`` and by the reload in a thread. Relative paths resolve against the file,
``${NAME}`` in a string comes from the environment, and ``$$`` is a dollar.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from msgspec import Struct
from pydantic import BaseModel, ValidationError

from imps_multi.config.environment import expanded
from imps_multi.config.model import Configuration
from imps_multi.config.unsupported import RESERVED, unsupported
from imps_multi.marked_yaml import Document, Unreadable, documents
from imps_multi.model.fields import join, near_field
from imps_multi.model.hub import Place

Step = str | int
_MESSAGES: Final = {
    "missing": "is required",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "string_type": "must be a text; put it in quotes",
    "path_type": "must be a text; put it in quotes",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
"""What is said instead of pydantic's own words, by the kind of its error."""


class ConfigProblem(Struct, frozen=True, order=True):
    """One error. ``path`` is empty where the text itself is wrong."""

    place: Place
    path: str
    message: str

    def __str__(self) -> str:
        """Return ``FILE:LINE:COLUMN: path.to.field: what is wrong``."""
        return f"{self.place}: {self.path}: {self.message}" if self.path else f"{self.place}: {self.message}"


class InvalidConfiguration(Exception):
    """The file cannot be used."""

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


class Loaded(Struct, frozen=True):
    """A valid configuration, and how to find the place of a path in its file."""

    configuration: Configuration
    document: Document
    path: Path

    def place(self, path: str) -> Place:
        """Return where a field stands."""
        return self.document.place(path)


def load(path: Path, environment: Mapping[str, str]) -> Loaded:
    """Read and check the whole file.

    Raises:
        InvalidConfiguration: with every problem.
    """
    document = _document(path)
    found: list[tuple[tuple[Step, ...], str]] = []
    value = expanded(document.value, environment, found)
    found += unsupported(value)
    configuration, errors = _validate(value)
    known = {steps for steps, _ in found}
    found += [(steps, message) for steps, message in errors if steps not in known]
    if configuration is None or found:
        raise InvalidConfiguration(_placed(document, steps, message) for steps, message in found)
    return Loaded(_resolved(configuration, path.absolute().parent), document, path)


def _placed(document: Document, steps: Sequence[Step], message: str) -> ConfigProblem:
    return ConfigProblem(document.place(steps), _path(steps) or "(file)", message)


def _document(path: Path) -> Document:
    try:
        found = documents(path.read_bytes(), str(path))
    except OSError as error:
        problem = ConfigProblem(Place(str(path)), "", f"cannot be read: {error.strerror or type(error).__name__}")
        raise InvalidConfiguration([problem]) from None
    except Unreadable as error:
        raise InvalidConfiguration(ConfigProblem(one.place, "", one.message) for one in error.mistakes) from None
    if len(found) != 1 or not isinstance(found[0].value, dict):
        message = (
            "must be one YAML mapping with hub and clusters; `imps-multi schema config` prints what may stand in it"
        )
        raise InvalidConfiguration([ConfigProblem(Place(str(path), 1, 1), "", message)])
    return found[0]


def _validate(value: Mapping[str, Any]) -> tuple[Configuration | None, list[tuple[tuple[Step, ...], str]]]:
    try:
        given = {key: item for key, item in value.items() if key not in RESERVED}
        return Configuration.model_validate(given, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, [(one["loc"], _message(one)) for one in error.errors(include_url=False, include_input=False)]


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
    return _MESSAGES.get(kind) or message.replace("Input should be", "must be")


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
    return path


def _resolved(configuration: Configuration, base: Path) -> Configuration:
    """Resolve every path against the file's directory."""

    def absolute(path: Path | None) -> Path | None:
        return None if path is None else base / path.expanduser()

    hub = configuration.hub
    audit = configuration.telemetry.audit_log
    log = audit if audit in ("", "stdout") else str(base / Path(audit).expanduser())
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
