"""Debian's docker-registry as a process that keeps images in memory and checks who asks. Feeds the tests of logins."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.realcluster.ports import free_port
from tests.realcluster.process import Guardian, Server, ServerFailedError
from tests.realregistry.http import ask

START_TRIES = 5
# bcrypt, as htpasswd(1) makes it and the registry wants it; the cheapest there is.
HASHES = {
    "pusher-password": "$2b$04$mmyFiT0kLK6YV/OWXGWkAe5WlWniNcOjDlaCIRDacoFEcPBZRI/RW",
    "first-password": "$2b$04$JpaCvscEE3obrJCQwCD.WOSjWwovaYCNSTmHlCIyUBdVom9Xa794W",
    "second-password": "$2b$04$lwF6s1of0.PThbmcY2MGaedCpa1FHvQ8ipLy8yjKx95b8S5ix9lO2",
}


class DockerRegistry:
    """One registry; a context manager. ``auth`` is that part of its configuration."""

    def __init__(self, binary: Path, directory: Path, *, auth: Mapping[str, object], guardian: Guardian) -> None:
        self._binary = binary
        self._config = directory / "registry.json"
        self._auth = auth
        self._server = Server("docker-registry", log=directory / "registry.log", guardian=guardian)
        self.host = ""

    def __enter__(self) -> Self:
        for attempt in range(1, START_TRIES + 1):
            try:
                self._start(free_port())
            except ServerFailedError:
                self._server.kill()
                if attempt == START_TRIES or "address already in use" not in self._server.log_tail():
                    raise
            else:
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    def _start(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        config = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"inmemory": {}},
            "http": {"addr": self.host, "secret": "of this run"},
            "auth": self._auth,
        }
        self._config.write_text(json.dumps(config))
        self._server.start([str(self._binary), "serve", str(self._config)])
        self._server.await_ready(self._answers)

    def _answers(self) -> bool:
        """Say whether it refuses nobody's request: an open registry would prove nothing."""
        try:
            return ask("GET", f"http://{self.host}/v2/").status == 401
        except OSError:
            return False


class PasswordFile:
    """The registry's htpasswd: who may log in now; taken up without a restart."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = 0

    def auth(self) -> dict[str, object]:
        """Return what the registry is to be configured with."""
        return {"htpasswd": {"realm": "test", "path": str(self.path)}}

    def allow(self, users: Mapping[str, str]) -> None:
        """Have exactly these user names and passwords, of which ``HASHES`` has the hashes, let in."""
        beside = self.path.with_suffix(".new")
        beside.write_text("".join(f"{user}:{HASHES[password]}\n" for user, password in users.items()))
        # The registry reads the file again when its time has changed; two changes in one tick must differ too.
        self._written += 1
        os.utime(beside, (self._written, self._written))
        beside.replace(self.path)
