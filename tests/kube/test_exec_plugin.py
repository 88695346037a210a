"""Exec plugins: what they are told, what their answers become, and how they are ended."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import anyio
import msgspec
import pytest

from imps_multi.kube import exec_plugin
from imps_multi.kube.connection import ExecSpec, KeyPair
from imps_multi.kube.credentials import Login
from imps_multi.kube.exec_plugin import ExecPlugin, ExecPlugins, renewal, run
from imps_multi.kube.gate import Gate
from imps_multi.ports import Reason, Transient
from tests.kube.scripted import MARKER

pytestmark = pytest.mark.anyio

V1 = "client.authentication.k8s.io/v1"


class Plugin:
    """A plugin written in Python, and how often it ran."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = 1_000_000.0

    def spec(self, body: str, **fields: str) -> ExecSpec:
        script = self.directory / "plugin.py"
        runs = f"open({str(self.directory / 'runs')!r}, 'a').write('x')"
        script.write_text(f"import sys, os, json, time\n{runs}\n{body}\n")
        arguments = ("-I", "-S", str(script))
        return ExecSpec(api_version=V1, command=sys.executable, args=arguments, env=(("SECRET", MARKER),), **fields)

    def answering(self, **status: str) -> ExecSpec:
        return self.spec(f"print(json.dumps({credential(**status)!r}))")

    def plugin(self, spec: ExecSpec) -> ExecPlugin:
        return ExecPlugin(spec, gate=Gate(4, hold=5), clock=lambda: self.now)

    @property
    def runs(self) -> int:
        marks = self.directory / "runs"
        return len(marks.read_text()) if marks.exists() else 0


def credential(*, version: str = V1, **status: str | None) -> dict[str, object]:
    return {"kind": "ExecCredential", "apiVersion": version, "status": status}


def at(moment: float) -> str:
    return datetime.fromtimestamp(moment, tz=UTC).isoformat()


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


async def failure(action: Callable[[], object]) -> str:
    with pytest.raises(Transient) as caught, anyio.fail_after(10):
        await action()  # type: ignore[misc]  # every action here is a coroutine function
    assert caught.value.reason is Reason.EXEC_PLUGIN
    assert MARKER not in str(caught.value)
    return str(caught.value)


async def test_its_token_is_the_log_in(plugin: Plugin) -> None:
    assert await plugin.plugin(plugin.answering(token=MARKER)).login() == Login(f"Bearer {MARKER}")


async def test_its_client_certificate_is_the_log_in(plugin: Plugin) -> None:
    login = await plugin.plugin(plugin.answering(clientCertificateData="C", clientKeyData="K")).login()
    assert login == Login("", KeyPair(b"C", b"K"))


async def test_it_is_told_what_is_asked_for(plugin: Plugin) -> None:
    spec = plugin.spec("print(os.environ['KUBERNETES_EXEC_INFO'], os.environ['SECRET'])", cluster='{"server":"s"}')
    told, secret = (await run(spec)).decode().split()
    assert secret == MARKER
    assert msgspec.json.decode(told) == {
        "kind": "ExecCredential",
        "apiVersion": V1,
        "spec": {"interactive": False, "cluster": {"server": "s"}},
    }


async def test_it_runs_once_for_all_who_ask_and_is_remembered(plugin: Plugin) -> None:
    running = plugin.plugin(plugin.answering(token=MARKER))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(running.login)
    await running.login()
    assert plugin.runs == 1


async def test_it_runs_again_shortly_before_the_end(plugin: Plugin) -> None:
    running = plugin.plugin(plugin.answering(token=MARKER, expirationTimestamp=at(plugin.now + 900)))
    await running.login()
    plugin.now += 839
    await running.login()
    assert plugin.runs == 1
    plugin.now += 2
    await running.login()
    assert plugin.runs == 2


async def test_it_runs_again_after_a_401_unless_it_just_did(plugin: Plugin) -> None:
    running = plugin.plugin(plugin.answering(token=MARKER))
    login = await running.login()
    await running.renew(login)
    assert plugin.runs == 2
    await running.renew(Login("Bearer an older one"))
    assert plugin.runs == 2


@pytest.mark.parametrize(
    ("expires_at", "expected"), [(None, None), (1900.0, 1840.0), (1100.0, 1090.0), (1001.0, 1005.0), (500.0, 1005.0)]
)
def test_a_renewal_is_early_but_never_at_once(expires_at: float | None, expected: float | None) -> None:
    assert renewal(expires_at, 1000.0) == expected


async def test_contexts_with_the_same_plugin_share_it() -> None:
    plugins = ExecPlugins()
    spec = ExecSpec(api_version=V1, command="a")
    first = plugins.plugin(spec)
    assert plugins.plugin(ExecSpec(api_version=V1, command="a")) is first
    assert plugins.plugin(ExecSpec(api_version=V1, command="a", cluster="{}")) is not first


async def test_400_kb_on_stderr_do_not_hang_it(plugin: Plugin) -> None:
    answer = f"print(json.dumps({credential(token=MARKER)!r}))"
    spec = plugin.spec(f"sys.stderr.write('e' * 400_000)\nsys.stderr.flush()\n{answer}")
    with anyio.fail_after(10):
        assert await plugin.plugin(spec).login() == Login(f"Bearer {MARKER}")


async def test_a_failing_one_shows_the_beginning_of_its_stderr_and_nothing_of_stdout(plugin: Plugin) -> None:
    body = f"print({MARKER!r})\nsys.stderr.write('no\\x1b[31m log-in\\n' + 'x' * 1000)\nsys.exit(3)"
    said = await failure(plugin.plugin(plugin.spec(body)).login)
    assert said.startswith(f"exec plugin {sys.executable}: it ended with 3: no [31m log-in xxx")
    assert len(said) < 400
    assert "\x1b" not in said


async def test_a_failing_one_that_quotes_its_token_does_not_tell_it(plugin: Plugin) -> None:
    said = await failure(plugin.plugin(plugin.spec(f"sys.exit('no log-in with token={MARKER}')")).login)
    assert said.endswith("it ended with 1: no log-in with token=[redacted]")


async def test_a_missing_one_shows_the_install_hint(plugin: Plugin) -> None:
    spec = ExecSpec(api_version=V1, command="/no/such/plugin", install_hint="brew install it")
    said = await failure(plugin.plugin(spec).login)
    assert said == ("exec plugin /no/such/plugin: it cannot be started: No such file or directory (brew install it)")
    said = await failure(plugin.plugin(ExecSpec(api_version=V1, command="no-such-plugin")).login)
    assert said == "exec plugin no-such-plugin: it cannot be started: No such file or directory on this process's PATH"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (MARKER, "what it printed is no ExecCredential: JSON is malformed"),
        (f'{{"token": "{MARKER}"}}', "what it printed is no ExecCredential: Object missing required field `kind`"),
        (credential(version="client.authentication.k8s.io/v1beta1", token=MARKER), f"is no ExecCredential of {V1}"),
        (credential(), "it gave neither a token nor a client certificate"),
        (credential(clientKeyData=MARKER), "clientCertificateData and clientKeyData come together or not at all"),
        (credential(token=f"{MARKER}\n"), "its token cannot stand in a header"),
        (credential(token=MARKER, expirationTimestamp=MARKER), "what it printed is no ExecCredential: Invalid RFC3339"),
    ],
)
async def test_a_useless_answer_is_said_without_a_word_of_it(plugin: Plugin, answer: object, expected: str) -> None:
    text = answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()
    assert expected in await failure(plugin.plugin(plugin.spec(f"print({text!r})")).login)


async def test_a_failure_is_not_remembered(plugin: Plugin) -> None:
    running = plugin.plugin(plugin.spec("sys.exit(1)"))
    await failure(running.login)
    plugin.answering(token=MARKER)
    assert await running.login() == Login(f"Bearer {MARKER}")


def hanging(plugin: Plugin) -> ExecSpec:
    """Return a plugin that starts a child, says both pids, and waits with it, both holding the pipes."""
    told = str(plugin.directory / "pids")
    os.mkfifo(told)
    body = f"child = os.fork()\nif child:\n    open({told!r}, 'w').write(f'{{os.getpid()}} {{child}}')\ntime.sleep(100)"
    return plugin.spec(body)


async def pids(plugin: Plugin) -> list[int]:
    """Wait until the plugin has said its own and its child's."""
    told = os.open(plugin.directory / "pids", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with anyio.fail_after(10):
            await anyio.wait_readable(told)
        return [int(pid) for pid in os.read(told, 100).split()]
    finally:
        os.close(told)


async def ended(processes: list[int]) -> None:
    """Wait until these have ended, also where they are no children of ours."""
    for pid in processes:
        with suppress(ProcessLookupError):
            process = os.pidfd_open(pid)
            try:
                with anyio.fail_after(10):
                    await anyio.wait_readable(process)
            finally:
                os.close(process)


async def test_a_hanging_one_is_ended_with_its_children_at_the_time_limit(plugin: Plugin) -> None:
    spec = hanging(plugin)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(failure, lambda: run(spec, time_limit=1.0))
            processes = await pids(plugin)
    await ended(processes)


async def test_a_hanging_one_is_said_to_have_hung(plugin: Plugin) -> None:
    said = await failure(lambda: run(plugin.spec("time.sleep(100)"), time_limit=1.0))
    assert said.endswith("it did not end within 1 s")


async def test_a_cancelled_one_is_ended_with_its_children(plugin: Plugin) -> None:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(plugin.plugin(hanging(plugin)).login)
            processes = await pids(plugin)
            tasks.cancel_scope.cancel()
    await ended(processes)


async def test_hanging_ones_give_their_place_to_others(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(1, hold=0.2)
    started = anyio.Event()

    async def stuck(_: ExecSpec) -> bytes:
        started.set()
        await anyio.sleep_forever()
        raise AssertionError

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            with monkeypatch.context() as patch:
                patch.setattr(exec_plugin, "run", stuck)
                slow = ExecPlugin(ExecSpec(api_version=V1, command="slow"), gate=gate, clock=lambda: 0.0)
                tasks.start_soon(slow.login)
                await started.wait()
            quick = ExecPlugin(plugin.answering(token=MARKER), gate=gate, clock=lambda: 0.0)
            assert await quick.login() == Login(f"Bearer {MARKER}")
            tasks.cancel_scope.cancel()
    assert gate.free == 1


def test_the_environment_of_the_process_is_handed_on(monkeypatch: pytest.MonkeyPatch, plugin: Plugin) -> None:
    monkeypatch.setenv("HANDED_ON", "yes")
    spec = plugin.spec("print(os.environ['HANDED_ON'])")
    assert anyio.run(run, spec) == b"yes\n"
    assert "KUBERNETES_EXEC_INFO" not in os.environ
