"""Exec credential plugins: a command that prints an ExecCredential, as client-go runs it.

kubernetes_asyncio's runner reads stdout to its end before stderr, so that a talkative plugin hangs it, and has no time
limit; this one drains both pipes, ends the plugin and its children after 20 s or when nobody wants the answer any more,
and runs once for all who ask at the same time. What the plugin prints on stdout is a credential and is never repeated.
Fed by ``connection.ExecSpec``; feeds ``transport`` through ``credentials.CredentialSource``.
"""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from subprocess import DEVNULL, PIPE
from typing import Final
from weakref import WeakValueDictionary

import anyio
import anyio.abc
import msgspec
from msgspec import Struct

from imps_multi.kube.connection import ExecSpec, KeyPair
from imps_multi.kube.credentials import Login, bearer, is_token
from imps_multi.kube.excerpt import LIMIT, excerpt
from imps_multi.kube.gate import Gate
from imps_multi.ports import Clock, Reason, Transient
from imps_multi.runtime.single_flight import SingleFlight

TIME_LIMIT: Final = 20.0
AT_A_TIME: Final = 4
HOLD: Final = 5.0
"""A plugin that runs longer than this is waiting, not working, and no longer counts as one of the four."""
LARGEST_ANSWER: Final = 1 << 20
LARGEST_MARGIN: Final = 60.0
MARGIN_PART: Final = 0.1
"""A log-in is renewed before its end: by this part of its life, at most by the largest margin."""
SHORTEST_PAUSE: Final = 5.0
"""Seconds between two runs that nobody but the expiry asks for, whatever expiry the plugin names."""


class _ExecStatus(Struct, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _ExecCredential(Struct, rename="camel"):
    kind: str
    api_version: str
    status: _ExecStatus | None = None


_ANSWER: Final = msgspec.json.Decoder(_ExecCredential)


class Answer(Struct, frozen=True):
    """What a plugin gave. ``expires_at``: wall clock, None where it said nothing."""

    login: Login
    expires_at: float | None


class ExecPlugin:
    """One plugin with one set of arguments: its last answer, and the one run at a time that renews it."""

    def __init__(self, spec: ExecSpec, *, gate: Gate, clock: Clock) -> None:
        self._spec = spec
        self._gate = gate
        self._clock = clock
        self._answer: Answer | None = None
        self._renew_at: float | None = None
        self._running = SingleFlight(self._run)

    async def login(self) -> Login:
        """Return the last answer while it is good, else run the plugin."""
        if self._answer is not None and (self._renew_at is None or self._clock() < self._renew_at):
            return self._answer.login
        return await self._running()

    async def renew(self, stale: Login | None) -> Login:
        """Run the plugin, unless it ran since ``stale``."""
        if self._answer is not None and self._answer.login != stale:
            return self._answer.login
        return await self._running()

    async def _run(self) -> Login:
        async with self._gate.passing():
            output = await run(self._spec)
        answer = read_answer(self._spec, output)
        self._answer, self._renew_at = answer, renewal(answer.expires_at, self._clock())
        return answer.login


def renewal(expires_at: float | None, now: float) -> float | None:
    """Return when to run again: shortly before the end, but not at once; None for after a 401 only."""
    if expires_at is None:
        return None
    margin = min(LARGEST_MARGIN, MARGIN_PART * (expires_at - now))
    return max(expires_at - margin, now + SHORTEST_PAUSE)


class ExecPlugins:
    """The plugins of a process: contexts that name the same command in the same way share its answer."""

    def __init__(self, *, clock: Clock = time.time) -> None:
        self._plugins: WeakValueDictionary[ExecSpec, ExecPlugin] = WeakValueDictionary()
        self._gate = Gate(AT_A_TIME, hold=HOLD)
        self._clock = clock

    def plugin(self, spec: ExecSpec) -> ExecPlugin:
        """Return the plugin of this spec."""
        plugin = self._plugins.get(spec)
        if plugin is None:
            plugin = self._plugins[spec] = ExecPlugin(spec, gate=self._gate, clock=self._clock)
        return plugin


def execution_info(spec: ExecSpec) -> str:
    """Return KUBERNETES_EXEC_INFO: an ExecCredential that tells the plugin what is asked for."""
    cluster = {"cluster": msgspec.Raw(spec.cluster.encode())} if spec.cluster else {}
    info = {"kind": "ExecCredential", "apiVersion": spec.api_version, "spec": {"interactive": False, **cluster}}
    return msgspec.json.encode(info).decode()


async def run(spec: ExecSpec, *, time_limit: float = TIME_LIMIT, environment: Mapping[str, str] | None = None) -> bytes:
    """Run a plugin to its end and return what it printed. Raises Transient (ExecPlugin)."""
    inherited = os.environ if environment is None else environment
    variables = {**inherited, **dict(spec.env), "KUBERNETES_EXEC_INFO": execution_info(spec)}
    try:
        # A session of its own, so that the plugin's children can be ended with it.
        process = await anyio.open_process(
            [spec.command, *spec.args], stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=variables, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise _failed(spec, _why_not_started(spec.command, error)) from error
    try:
        with anyio.fail_after(time_limit):
            output, complaint = await _drained(process)
            code = await process.wait()
    except TimeoutError:
        _kill(process)
        raise _failed(spec, f"it did not end within {time_limit:.0f} s") from None
    except BaseException:
        _kill(process)
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await process.aclose()
    if code:
        raise _failed(spec, f"it ended with {code}: {complaint or 'nothing on stderr'}")
    if len(output) > LARGEST_ANSWER:
        raise _failed(spec, f"it printed more than {LARGEST_ANSWER} bytes")
    return output


async def _drained(process: anyio.abc.Process) -> tuple[bytes, str]:
    """Read both pipes to their ends side by side, keeping no more than is of use."""
    output, complaint = bytearray(), bytearray()
    async with anyio.create_task_group() as readers:
        readers.start_soon(_keep, process.stdout, output, LARGEST_ANSWER)
        readers.start_soon(_keep, process.stderr, complaint, 4 * LIMIT)
    return bytes(output), excerpt(complaint.decode("utf-8", "replace"))


async def _keep(pipe: anyio.abc.ByteReceiveStream | None, kept: bytearray, most: int) -> None:
    assert pipe is not None
    async for chunk in pipe:
        if len(kept) <= most:
            kept += chunk


def _kill(process: anyio.abc.Process) -> None:
    """End a plugin that is not wanted any more, and every child that holds its pipes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def read_answer(spec: ExecSpec, output: bytes) -> Answer:
    """Read an ExecCredential. Raises Transient (ExecPlugin) that says what is wrong, without a word of it."""
    try:
        credential = _ANSWER.decode(output)
    except msgspec.DecodeError as error:
        raise _failed(spec, f"what it printed is no ExecCredential: {excerpt(str(error))}") from None
    if credential.kind != "ExecCredential" or credential.api_version != spec.api_version:
        raise _failed(spec, f"what it printed is no ExecCredential of {spec.api_version}")
    status = credential.status or _ExecStatus()
    token, certificate, key = status.token, status.client_certificate_data, status.client_key_data
    if token and not is_token(token):
        raise _failed(spec, "its token cannot stand in a header")
    if bool(certificate) != bool(key):
        raise _failed(spec, "clientCertificateData and clientKeyData come together or not at all")
    if not token and not certificate:
        raise _failed(spec, "it gave neither a token nor a client certificate")
    pair = KeyPair(certificate.encode(), key.encode()) if certificate and key else None
    expiry = status.expiration_timestamp
    return Answer(Login(bearer(token) if token else "", pair), expiry.timestamp() if expiry else None)


def _why_not_started(command: str, error: OSError | ValueError) -> str:
    words = (error.strerror if isinstance(error, OSError) else None) or "its arguments or environment are not valid"
    sought = " on this process's PATH" if isinstance(error, FileNotFoundError) and os.sep not in command else ""
    return f"it cannot be started: {excerpt(words)}{sought}"


def _failed(spec: ExecSpec, words: str) -> Transient:
    hint = f" ({excerpt(spec.install_hint)})" if spec.install_hint and "started" in words else ""
    return Transient(f"exec plugin {excerpt(spec.command)}: {words}{hint}", reason=Reason.EXEC_PLUGIN)
