"""Sets up logging, once, from the configuration: structlog for our own records, the standard library's for others'.

Everything goes to standard error, as JSON or for people, with RFC 3339 times in UTC and every secret cut. Libraries are
heard from warning on, whatever our own level: at debug some of them print requests with credentials in them.
"""

import logging
import os
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from imps_multi.redaction import LONGEST_TRACEBACK, redact_fields, redact_text

FORMATS: Final = ("auto", "json", "console")
LEVELS: Final = ("debug", "info", "warning", "error")

_NUMBERS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_ORDER: Final = ("time", "level", "event")


def configure_logging(log_format: str = "auto", level: str = "info", *, stream: TextIO | None = None) -> None:
    """Set up logging for the process; calling it again changes it. ``auto`` is for people on a terminal, else JSON.

    Raises:
        ValueError: no such format or level.
    """
    if log_format not in FORMATS or level not in LEVELS:
        raise ValueError(f"no such log format or level: {log_format}, {level}")
    out = stream if stream is not None else sys.stderr
    terminal = out.isatty()
    people = log_format == "console" or (log_format == "auto" and terminal)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            traceback_text,
            redaction,
            _for_people(colors=terminal and "NO_COLOR" not in os.environ) if people else json_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_NUMBERS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Enduring(out))),
        cache_logger_on_first_use=False,  # so that a changed configuration reaches every logger
    )
    _hear_libraries()


class _Enduring:
    """Writes to a stream that may refuse: a full disk, or a reader that has gone, must not end the service."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._out.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._out.flush()


def traceback_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Turn ``exc_info`` into the text of a traceback, without any variable's value."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return event


def redaction(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cut secrets from every field, and what is too long."""
    trace = event.pop("exception", None)
    cut: EventDict = redact_fields(event)
    if trace is not None:
        cut["exception"] = redact_text(str(trace), longest=LONGEST_TRACEBACK)
    return cut


def json_line(_logger: WrappedLogger, _method: str, event: Mapping[str, Any]) -> str:
    """Render one line of JSON: time, level and event first."""
    ordered = {key: event[key] for key in _ORDER if key in event}
    return msgspec.json.encode(ordered | {key: event[key] for key in event if key not in ordered}).decode()


def _for_people(*, colors: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colors,
        timestamp_key="time",
        pad_event_to=34,
        exception_formatter=structlog.dev.plain_traceback,  # the pretty one prints variables
    )


def _hear_libraries() -> None:
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, LibraryHandler)]:
        root.removeHandler(handler)
    root.addHandler(LibraryHandler())
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


class LibraryHandler(logging.Handler):
    """Hands the records of libraries to structlog, so that they are cut and rendered as ours are."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record under a constant event, with its logger's name and message as fields."""
        level = "error" if record.levelno >= logging.ERROR else "warning"
        fields: MutableMapping[str, object] = {"logger": record.name, "message": _message(record)}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        getattr(structlog.get_logger(), level)("Library reported", **fields)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit the text must not end whoever logs
        return str(record.msg)
