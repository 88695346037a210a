"""An HTTP proxy on loopback that lets nothing through and notes where it was to connect."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from .loopback import QuietHandler, serving


@contextmanager
def connect_proxy() -> Iterator[tuple[str, list[str]]]:
    """Give the proxy's URL, and the list of host:port that it is asked for."""
    asked: list[str] = []

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(502)

    with serving(Handler) as url:
        yield url, asked
