"""An HTTP proxy on loopback that asks for a login, connects, and carries whatever is said from then on."""

import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Thread

from .loopback import QuietHandler, serving

USER, PASSWORD = "jane", "pr0xy:w@rd"
_LOGIN = f"Basic {b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


@dataclass
class TunnelProxy:
    """Where it listens, and to which host:port it connected whom."""

    url: str
    tunnels: list[str] = field(default_factory=list)
    refused: int = 0


@contextmanager
def tunnel_proxy() -> Iterator[TunnelProxy]:
    """Serve while the context lasts."""
    proxy = TunnelProxy("")

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            if self.headers.get("Proxy-Authorization") != _LOGIN:
                proxy.refused += 1
                self.answer(407, b"", **{"Proxy-Authenticate": 'Basic realm="proxy"'})
                return
            proxy.tunnels.append(self.path)
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=10) as there:
                self.send_response(200)
                self.end_headers()
                back = Thread(target=_carry, args=(there, self.connection))
                back.start()
                _carry(self.connection, there)
                back.join()
            self.close_connection = True

    with serving(Handler) as url:
        proxy.url = url
        yield proxy


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until the end, and then the end."""
    try:
        while chunk := source.recv(65536):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
