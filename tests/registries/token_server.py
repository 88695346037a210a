"""An HTTP or HTTPS server on loopback that notes every request and answers what a test says."""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

from .loopback import QuietHandler, serving


@dataclass(frozen=True)
class Heard:
    """One request. ``headers`` by their names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as a form."""
        return {key: values[0] for key, values in parse_qs(self.body.decode(), keep_blank_values=True).items()}


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class TokenServer:
    """What was asked, and how it answers."""

    answer: Callable[[Heard], Said] = lambda _heard: Said()
    heard: list[Heard] = field(default_factory=list)
    url: str = ""
    port: int = 0


def said(status: int = 200, /, **content: object) -> Said:
    """Answer a JSON object."""
    return Said(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


@contextmanager
def token_server(tls: ssl.SSLContext | None = None) -> Iterator[TokenServer]:
    """Serve while the context lasts."""
    server = TokenServer()

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.heard.append(heard := Heard(self.command, self.path, headers, body))
            answer = server.answer(heard)
            self.answer(answer.status, answer.body, **answer.headers)

    with serving(Handler, tls) as server.url:
        server.port = int(server.url.rpartition(":")[2])
        yield server
