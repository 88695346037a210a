"""A TCP port in front of an API server that is mute, open, or loses what it had: what a network does to a cluster.

TLS passes through untouched. Runs on threads; feeds the tests of trouble.
"""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

CHUNK = 1 << 16


class Gate:
    """One port; a context manager. Mute at first: it accepts and says nothing. Open: it hands bytes to and fro."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = False
        self._age = 0
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def open(self) -> None:
        """Let connections that come from now on through."""
        self._open = True

    def forget(self) -> None:
        """Lose every connection there is, as a firewall does: nobody is told, and no byte comes through any more."""
        self._age += 1

    def _accept(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(visitor)
            if self._open:
                self._through(visitor)

    def _through(self, visitor: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._target))
        self._sockets.append(server)
        for source, sink in ((visitor, server), (server, visitor)):
            thread = threading.Thread(target=self._pump, args=(source, sink, self._age), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, age: int) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if age == self._age:
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
