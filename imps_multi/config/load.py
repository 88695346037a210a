"""Reads the configuration file: every error at once, each with its line and column and what to do.

Blocking; called at start, by ``validate`` and by the reload in a thread. Relative paths resolve against the file,
``${NAME}`` in a string comes from the environment, and ``$$`` is a dollar.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from msgspec import Struct
from pydantic import BaseModel, ValidationError

from imps_multi.config.model import RESERVED, Configuration, unsupported
from imps_multi.marked_yaml import Document, Unreadable, documents
from imps_multi.model.hub import Place

_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|)")


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
    value, problems = _expand(document, environment)
    configuration = _validate(value, document, problems)
    if configuration is None or problems:
        raise InvalidConfiguration(problems)
    later = [ConfigProblem(document.place(where), where, message) for where, message in unsupported(configuration)]
    if later:
        raise InvalidConfiguration(later)
    return Loaded(_resolved(configuration, path.absolute().parent), document, path)


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


def _expand(document: Document, environment: Mapping[str, str]) -> tuple[Any, list[ConfigProblem]]:
    problems: list[ConfigProblem] = []

    def text(value: str, path: str) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[1]
            if match[0] == "$$":
                return "$"
            if name is None:
                return "$"
            if name not in environment:
                problems.append(ConfigProblem(document.place(path), path, f"environment variable {name} is not set"))
            return environment.get(name, "")

        return _REFERENCE.sub(one, value)

    def walk(value: Any, path: str) -> Any:
        match value:
            case str():
                return text(value, path)
            case dict():
                return {key: walk(item, f"{path}.{key}" if path else str(key)) for key, item in value.items()}
            case list():
                return [walk(item, f"{path}[{index}]") for index, item in enumerate(value)]
            case _:
                return value

    return walk(document.value, ""), problems


def _validate(value: Any, document: Document, problems: list[ConfigProblem]) -> Configuration | None:
    reserved = [key for key in value if key in RESERVED]
    problems += [ConfigProblem(document.place(key), key, "is not supported by this version") for key in reserved]
    try:
        return Configuration.model_validate({key: item for key, item in value.items() if key not in reserved})
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            path = _path(one["loc"])
            problems.append(ConfigProblem(document.place(path), path or "(file)", _message(one)))
        return None


def _message(error: Any) -> str:
    kind, loc = error["type"], error["loc"]
    if kind == "extra_forbidden":
        known = _fields_at(Configuration, loc[:-1])
        close = get_close_matches(str(loc[-1]), known, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(known))}"
        return f"unknown field ({hint})"
    if kind == "missing":
        return "is required"
    if kind == "value_error":
        return str(error["ctx"]["error"])
    message: str = error["msg"]
    return message[0].lower() + message[1:]


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


def _path(loc: Iterable[int | str]) -> str:
    path = ""
    for step in loc:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
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
