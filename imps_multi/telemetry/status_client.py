"""Asks a running instance for its status. Blocking, over no proxy; feeds the ``status`` and ``clusters`` commands."""

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from imps_multi.model.status import ServiceStatus
from imps_multi.telemetry.address import parse_address
from imps_multi.telemetry.status_json import PATH

PATIENCE: Final = 5.0
"""Seconds for each step."""
SCHEMES: Final = {"http": HTTPConnection, "https": HTTPSConnection}
DEFAULT_URL: Final = "http://127.0.0.1:8082"
EVERYWHERE: Final = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what is listened on, to ask here


class NoAnswer(Exception):
    """No instance answers there; the message says where and why."""


def url_of(status_address: str) -> str | None:
    """Return where an instance with this ``telemetry.statusAddress`` answers on this machine; None: nowhere."""
    address = parse_address(status_address)
    if address is None or not address.port:
        return None
    host = EVERYWHERE.get(address.host, address.host) or ""
    return f"http://[{host}]:{address.port}" if ":" in host else f"http://{host}:{address.port}"


def checked_url(text: str) -> SplitResult:
    """Read a URL.

    Raises:
        ValueError: it is none that can be asked.
    """
    url = urlsplit(text if "://" in text else f"http://{text}")
    if url.scheme not in SCHEMES or not url.hostname or (url.port is not None and not url.port):
        raise ValueError(f'"{text}" is no URL such as {DEFAULT_URL}')
    return url


def ask_status(text: str) -> ServiceStatus:
    """Return the status of the instance at a URL; with a path, of whatever it is behind.

    Raises:
        NoAnswer: none answers there, or what answers is none.
        ValueError: it is no URL.
    """
    url = checked_url(text)
    connection = SCHEMES[url.scheme](url.hostname or "", url.port, timeout=PATIENCE)
    path = url.path.rstrip("/").removesuffix(PATH)
    try:
        connection.request("GET", f"{path}{PATH}", headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise NoAnswer(f"no instance answers at {text}: {_why(error)}") from error
    finally:
        connection.close()
    if answer.status != 200:  # noqa: PLR2004  # it is always 200
        raise NoAnswer(f"what answers at {text} is no instance of imps-multi: {answer.status} {answer.reason}")
    try:
        return msgspec.json.decode(body, type=ServiceStatus)
    except msgspec.DecodeError as error:
        raise NoAnswer(f"what answers at {text} is no instance of imps-multi: its status cannot be read") from error


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
