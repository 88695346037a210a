"""The program as a process: started by its command line, told by signals, asked over HTTP, judged by its exit code.

The one place that knows how the program is started. What a process prints goes to files under the site, which tests
search afterwards. Feeds the tests.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import yaml

from tests.e2e.site import Site
from tests.e2e.waiting import Watch, until
from tests.realcluster.client import Manifest

ROOT = Path(__file__).parents[2]
PASS_WITHIN = 90.0
STOP_WITHIN = 25.0  # a kubelet gives thirty


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a process left behind."""

    code: int
    out: str
    err: str
    seconds: float


def command(site: Site, *words: str, environment: Mapping[str, str] | None = None) -> Finished:
    """Run one command to its end."""
    watch = Watch()
    done = subprocess.run(  # noqa: S603 - the program under test
        _line(*words),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PASS_WITHIN,
        check=False,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    site.output_file(words[0], "out").write_text(out)
    site.output_file(words[0], "err").write_text(err)
    return Finished(code=done.returncode, out=out, err=err, seconds=watch.seconds)


def run_once(site: Site, *, observe: bool = False, environment: Mapping[str, str] | None = None) -> Finished:
    """Make one pass."""
    words = ("run", "--config", str(site.config), "--once", *(("--observe",) if observe else ()))
    return command(site, *words, environment=environment)


def plan(site: Site) -> dict[str, Any]:
    """Say what a run would write now."""
    finished = command(site, "plan", "--config", str(site.config), "-o", "json")
    assert finished.out, finished.err
    decoded: dict[str, Any] = json.loads(finished.out)
    return decoded


def sync(site: Site, policy: str) -> None:
    """Have a policy's credentials minted anew."""
    finished = command(site, "sync", policy, "--config", str(site.config))
    assert finished.code == 0, finished.err


def approve(site: Site, held_id: str) -> Finished:
    """Let a held set go."""
    return command(site, "approve", held_id, "--config", str(site.config))


def printed_role(site: Site) -> list[Manifest]:
    """Return what a user would apply to a target cluster: all that the service may do there."""
    finished = command(site, "rbac", "--role", "target", "--config", str(site.config))
    assert finished.code == 0, finished.err
    return list(yaml.safe_load_all(finished.out))


def printed_hub_role(site: Site) -> list[Manifest]:
    """Return what a user would apply to the hub's cluster."""
    finished = command(site, "rbac", "--role", "hub", "--config", str(site.config))
    assert finished.code == 0, finished.err
    return list(yaml.safe_load_all(finished.out))


class Program:
    """``run`` as a process; a context manager that ends it whatever happens."""

    def __init__(self, site: Site, *, observe: bool = False) -> None:
        self._site = site
        self.out, self.err = (site.output_file("run", kind) for kind in ("out", "err"))
        self._observe = observe
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def resident(self) -> float:
        """Its resident memory in MB."""
        resident: int = psutil.Process(self.pid).memory_info().rss
        return resident / 1e6

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self._process = subprocess.Popen(  # noqa: S603 - the program under test
                _line("run", "--config", str(self._site.config), *(("--observe",) if self._observe else ())),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        until(self.is_ready, "the program is ready")

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and how long it took."""
        assert self._process is not None
        watch = Watch()
        self._process.terminate()
        code = self._process.wait(STOP_WITHIN)
        return code, watch.seconds

    def kill(self) -> None:
        """Send SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def log(self) -> list[dict[str, Any]]:
        """Return what it has logged so far."""
        return [json.loads(line) for line in self.err.read_text().splitlines() if line.startswith("{")]

    def logged(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the log lines of one event with these fields."""
        return [
            line
            for line in self.log()
            if line.get("event") == event and all(line.get(key) == value for key, value in fields.items())
        ]

    def is_ready(self) -> bool:
        """Ask /readyz."""
        assert self.running, f"the program ended: {self.err.read_text()[-2000:]}"
        try:
            self._get("health", "/readyz")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def status(self) -> dict[str, Any]:
        """Return /api/v1/status."""
        decoded: dict[str, Any] = json.loads(self._get("status", "/api/v1/status"))
        return decoded

    def cluster(self, name: str) -> dict[str, Any]:
        """Return one cluster of the status."""
        return next(one for one in self.status()["clusters"] if one["name"] == name)

    def policy(self, name: str) -> dict[str, Any]:
        """Return one policy's status; empty where there is no such policy."""
        shown = self.status()["policies"]
        return next((one["status"] for one in shown if one["name"] == name), {})

    def ready_condition(self, policy: str) -> tuple[str, str]:
        """Return status and reason of a policy's Ready condition; empty ones where there is none."""
        conditions = self.policy(policy).get("conditions", [])
        return next(((one["status"], one["reason"]) for one in conditions if one["type"] == "Ready"), ("", ""))

    def page(self) -> str:
        """Return /metrics."""
        return self._get("metrics", "/metrics")

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        samples = re.findall(rf"^{re.escape(name)}(\{{[^}}]*\}})? (\S+)", self.page(), re.MULTILINE)
        return sum(float(value) for shown, value in samples if all(one in shown for one in wanted))

    def in_sync(self, policy: str, count: int) -> bool:
        """Say whether a policy has so many targets, and all of them as they should be."""
        targets = self.policy(policy).get("targets", {})
        return bool(targets and targets["inSync"] == targets["desired"] == count)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_WITHIN)
            if process.poll() is None:
                process.kill()
                process.wait()

    def _get(self, what: str, path: str) -> str:
        url = f"http://127.0.0.1:{self._site.ports[what]}{path}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            body: bytes = answer.read()
        return body.decode()


def _line(*words: str) -> list[str]:
    return [sys.executable, "-m", "imps_multi", *words]
