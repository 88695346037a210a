"""What ``run`` runs: the service for as long as it is wanted, or one pass.

Each returns an exit code: 0 fine, 1 something that was reached is wrong, 2 it cannot start, 3 something could not be
reached. Talks on stderr.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import anyio
import structlog

from imps_multi.app.assembly import Assembly
from imps_multi.app.garbage import calm_collector, keep_giving_back
from imps_multi.app.held import keep_held_shown, show_once, take_up_once
from imps_multi.app.hub_parts import HubUnreachable
from imps_multi.app.members import everything_wrong
from imps_multi.app.reloading import keep_reloading
from imps_multi.app.requests import handlers, take_up_stored
from imps_multi.app.settling import wait_settled
from imps_multi.config.load import InvalidConfiguration, Loaded, load
from imps_multi.config.state import state_root
from imps_multi.hubs.control import serve_control
from imps_multi.hubs.state_directory import StateLock, StateRefused
from imps_multi.kube.shared import Shared
from imps_multi.kube.state_secrets import StateUnusable
from imps_multi.model.decommission import NO_TROUBLE
from imps_multi.model.names import HubId
from imps_multi.model.policy_status import exit_code
from imps_multi.runtime.shutdown import StopSignal, stop_on_signals
from imps_multi.telemetry.logs import configure_logging
from imps_multi.telemetry.loop_lag import LoopProbe
from imps_multi.telemetry.server import AddressError, HttpServers, services

T = TypeVar("T")

CANNOT_START = 2
UNREACHABLE = 3
FAILED = 1

log = structlog.get_logger()


def run_service(config: Path, *, observe: bool) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    return _start(config, lambda loaded: serve(loaded, observe=observe), lock=not observe)


def run_once(config: Path, *, observe: bool) -> int:
    """Make one pass; return the exit code."""
    return _start(config, lambda loaded: one_pass(loaded, observe=observe), lock=not observe)


async def serve(loaded: Loaded, *, observe: bool, stop: StopSignal | None = None) -> int:
    """Serve until stopped."""
    assembly = await _assemble(loaded, observe=observe)
    try:
        return await _serve(assembly, stop or StopSignal(), observe=observe)
    finally:
        await assembly.aclose()


async def _serve(assembly: Assembly, stopping: StopSignal, *, observe: bool) -> int:
    service, telemetry = assembly.service, assembly.loaded.configuration.telemetry
    if assembly.hub_in_cluster is not None and not observe:
        await assembly.hub_in_cluster.check_store()
    probe = LoopProbe(assembly.metrics.instruments.lagged)
    wanted = services(
        metrics_address=telemetry.metrics_address,
        health_address=telemetry.health_address,
        status_address=telemetry.status_address,
        metrics=assembly.metrics,
        live=lambda: {"event-loop": "" if probe.alive else "the event loop does not turn"},
        ready=lambda: {"hub": "" if service.ready else "the hub was not read yet, or the service ends"},
        status=service.reporter.compute,
    )
    async with HttpServers(wanted), anyio.create_task_group() as outer:
        outer.start_soon(stop_on_signals, stopping)
        outer.start_soon(assembly.audit.run)
        outer.start_soon(probe.run)
        outer.start_soon(keep_reloading, assembly)
        outer.start_soon(keep_giving_back)
        if not observe and assembly.hub_in_cluster is None:
            await outer.start(serve_control, assembly.state_root, handlers(service))
            outer.start_soon(take_up_stored, assembly.state_root, service)  # it waits for the service to have loaded
        elif assembly.hub_in_cluster is not None and not observe:
            outer.start_soon(keep_held_shown, service, assembly.hub_in_cluster.held)
        await service.run(stopping)
        await assembly.audit.flush()
        outer.cancel_scope.cancel()
    return 0


async def one_pass(loaded: Loaded, *, observe: bool) -> int:
    """Read, mint, write what is due, and return how everything stands."""
    assembly = await _assemble(loaded, observe=observe)
    try:
        await _prepare(assembly, observe=observe)
        return await _pass(assembly, observe=observe)
    finally:
        await assembly.aclose()


async def _prepare(assembly: Assembly, *, observe: bool) -> None:
    """See to it that a hub in a cluster answers, and that its store can be used where it is written."""
    if assembly.hub_in_cluster is not None:
        await assembly.hub_in_cluster.reach()
        if not observe:
            await assembly.hub_in_cluster.check_store()
        await assembly.hub_in_cluster.check_readable()


async def _pass(assembly: Assembly, *, observe: bool) -> int:
    service, stop = assembly.service, StopSignal()
    async with anyio.create_task_group() as outer:
        outer.start_soon(stop_on_signals, stop)
        outer.start_soon(service.run, stop)
        held = assembly.hub_in_cluster.held if assembly.hub_in_cluster is not None else None
        if not observe:
            await (take_up_stored(assembly.state_root, service) if held is None else take_up_once(service, held))
        await wait_settled(service, stop)
        status = service.reporter.compute()
        if not observe and held is not None:
            await show_once(status, held)
        stop.set("the pass is over")
        await service.ended.wait()
        outer.cancel_scope.cancel()
    await assembly.audit.flush()
    for view in status.policies:
        log.info("Policy", name=view.name, targets=view.status.targets.summary, reason=view.status.reason)
    for cluster in status.clusters:
        if cluster.reason in NO_TROUBLE:
            log.info("Cluster", target_cluster=cluster.name, reason=cluster.reason, message=cluster.message)
    if not status.hub.whole or status.held:  # what is held may be of a policy that is gone
        return FAILED
    return exit_code(view.status for view in status.policies)


def _start(config: Path, serve_it: Callable[[Loaded], Awaitable[int]], *, lock: bool) -> int:
    try:
        loaded = load_whole(config)
    except InvalidConfiguration as error:
        return _refuse(error)
    telemetry = loaded.configuration.telemetry
    configure_logging(telemetry.log_format, telemetry.log_level)
    locked = lock and not loaded.configuration.hub.in_a_cluster
    try:
        held: AbstractContextManager[object] = StateLock(state_root(loaded)) if locked else nullcontext()
        with held:
            calm_collector()
            return run_on_loop(lambda: serve_it(loaded))
    except (InvalidConfiguration, StateRefused, StateUnusable, AddressError) as error:
        return _refuse(error)
    except HubUnreachable as error:
        sys.stderr.write(f"{error}\n")
        return UNREACHABLE
    except BaseExceptionGroup as group:
        log.critical("The service failed and ends", exc_info=group)
        return FAILED


def load_whole(config: Path) -> Loaded:
    """Load a configuration; of an invalid one, look at the kubeconfigs of its right entries too.

    Raises:
        InvalidConfiguration: with everything that is wrong.
    """
    try:
        return load(config, os.environ)
    except InvalidConfiguration as error:
        raise everything_wrong(error, Shared(hub=HubId(""))) from None


async def _assemble(loaded: Loaded, *, observe: bool) -> Assembly:
    return await anyio.to_thread.run_sync(lambda: Assembly(loaded, observe=observe, read_only=observe))


def run_on_loop(main: Callable[[], Awaitable[T]]) -> T:
    """Run on uvloop where it is there: an idle TLS watch costs a fifth of the memory on it."""
    try:
        import uvloop  # noqa: F401  # only whether it is there
    except ImportError:
        return anyio.run(main)
    return anyio.run(main, backend_options={"use_uvloop": True})


def _refuse(error: BaseException) -> int:
    sys.stderr.write(f"{error}\n")
    return CANNOT_START
