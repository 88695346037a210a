import io
import json
import logging
import re
import warnings
from datetime import datetime

import pytest
import structlog

from imps_multi.telemetry.logs import LibraryHandler, configure_logging

MARK = "MARKED-s3cr3t"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Refusing(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, f"No space left on device for {text}")

    def flush(self) -> None:
        raise BrokenPipeError


def fail(hidden: str) -> None:
    raise RuntimeError(f"login with password={hidden}")


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_of_json_with_utc_time_level_and_event_first() -> None:
    out = io.StringIO()
    configure_logging("json", "info", stream=out)
    structlog.get_logger().info("Hub was read", policies=3, target_cluster="prod-1")
    (line,) = lines(out)
    assert list(line) == ["time", "level", "event", "policies", "target_cluster"]
    assert (line["level"], line["event"], line["policies"]) == ("info", "Hub was read", 3)
    assert str(line["time"]).endswith("Z")
    assert datetime.fromisoformat(str(line["time"])).utcoffset() is not None


def test_auto_is_json_into_a_pipe_and_for_people_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, people in ((io.StringIO(), False), (Terminal(), True)):
        configure_logging("auto", "info", stream=stream)
        structlog.get_logger().info("Hub was read", policies=3)
        assert stream.getvalue().startswith("{") is not people
    assert "\x1b[" in stream.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Terminal()
    configure_logging("auto", "info", stream=plain)
    structlog.get_logger().info("Hub was read", policies=3)
    assert re.match(r"\S+Z \[info +\] Hub was read +policies=3\n", plain.getvalue())


def test_less_than_the_level_is_not_said_and_a_new_level_reaches_old_loggers() -> None:
    out = io.StringIO()
    log = structlog.get_logger()
    configure_logging("json", "warning", stream=out)
    log.info("Quiet")
    configure_logging("json", "debug", stream=out)
    log.debug("Loud")
    assert [line["event"] for line in lines(out)] == ["Loud"]


def test_a_traceback_is_text_without_variables_and_without_secrets() -> None:
    out = io.StringIO()
    configure_logging("json", "info", stream=out)
    try:
        fail(MARK)
    except RuntimeError:
        structlog.get_logger().exception("Actor failed")
    (line,) = lines(out)
    assert "RuntimeError: login with password=[redacted]" in str(line["exception"])
    assert MARK not in out.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_planted_secret_gets_out_at_debug(log_format: str) -> None:
    out = io.StringIO()
    configure_logging(log_format, "debug", stream=out)
    log = structlog.get_logger()
    log.debug("Read", password=MARK, nested={"token": MARK}, text=f'"auth":"{MARK}"', raw=MARK.encode())
    try:
        fail(MARK)
    except RuntimeError:
        log.exception("Failed")
        logging.getLogger("botocore").exception("Response %s", {"password": MARK})
    logging.getLogger("botocore").debug("password %s", MARK)
    assert out.getvalue()
    assert MARK not in out.getvalue()


def test_libraries_are_heard_from_warning_on_in_the_same_form() -> None:
    out = io.StringIO()
    configure_logging("json", "debug", stream=out)
    logger = logging.getLogger("aiohttp.server")
    logger.info("Quiet")
    logger.warning("Odd request from %s", "127.0.0.1")
    logger.error("Error handling request")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("Old call", UserWarning, stacklevel=1)
    said = lines(out)
    assert [line["event"] for line in said] == ["Library reported"] * 3
    assert [line["level"] for line in said] == ["warning", "error", "warning"]
    assert said[0]["message"] == "Odd request from 127.0.0.1"
    assert said[0]["logger"] == "aiohttp.server"
    assert "Old call" in str(said[2]["message"])


def test_a_library_whose_arguments_do_not_fit_its_text_is_heard_all_the_same() -> None:
    out = io.StringIO()
    configure_logging("json", "info", stream=out)
    LibraryHandler().emit(logging.LogRecord("odd", logging.ERROR, "here.py", 1, "bad %d", ("argument",), None))
    assert [line["message"] for line in lines(out)] == ["bad %d"]


def test_configuring_twice_does_not_say_things_twice() -> None:
    out = io.StringIO()
    configure_logging("json", "info", stream=out)
    configure_logging("json", "info", stream=out)
    logging.getLogger("asyncio").error("Once")
    assert len(lines(out)) == 1


def test_a_format_or_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no such"):
        configure_logging("logfmt", "info")
    with pytest.raises(ValueError, match="no such"):
        configure_logging("json", "trace")


def test_a_log_that_cannot_be_written_ends_nobody() -> None:
    configure_logging("json", "info", stream=Refusing())
    structlog.get_logger().info("Hub was read")
