"""Runs the demonstration: borrows what it needs, starts the real service, has the story told, ends in order.

The only file here that knows the application. Exit codes: 0 everything that was announced happened, 1 something did
not, 130 interrupted before the end of the story.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import anyio
import structlog

from imps_multi.app.commands import run_on_loop, serve
from imps_multi.config.load import load
from imps_multi.config.state import state_root
from imps_multi.demo.invitation import invitation
from imps_multi.demo.scene import Scene
from imps_multi.demo.scenery import CLUSTERS, OTHERS, SECRET, SELECTED
from imps_multi.demo.screen import Kind, Screen, choose
from imps_multi.demo.stage import Pace, Stage
from imps_multi.demo.story import STORY, Act, Told, perform, summary
from imps_multi.demo.surroundings import LOG, OwnDirectory, logging_into, own_environment
from imps_multi.demo.witness import Witness
from imps_multi.hubs.state_directory import StateLock
from imps_multi.runtime.shutdown import StopSignal, stop_on_signals

__all__ = ["Plan", "run_demo", "run_plan"]

INTERRUPTED = 130
REFRESH_SECONDS = 0.2
ENDING_SECONDS = 15.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be shown, and how fast. ``prepare`` is called with the stage before the service starts."""

    keep: bool = False
    pace: Pace = field(default_factory=Pace)
    acts: tuple[Act, ...] = STORY
    prepare: Callable[[Stage], None] = lambda _stage: None


@dataclass(slots=True)
class Run:
    """How a run went, as far as it got."""

    told: Told | None = None
    interrupted: bool = False
    trouble: str = ""
    """What ended it, when nothing should have."""

    @property
    def code(self) -> int:
        """The exit code."""
        if self.interrupted:
            return INTERRUPTED
        return 1 if self.trouble or self.told is None or self.told.failed else 0


def run_demo(keep: bool) -> int:  # noqa: FBT001, called by the command line with a keyword
    """Show what the service does, in about a minute; with ``keep`` stay until interrupted. Return the exit code."""
    return run_plan(Plan(keep=keep))


def run_plan(plan: Plan) -> int:
    """Show what is planned; return the exit code."""
    began = time.monotonic()
    screen = choose(lambda: time.monotonic() - began)
    run = Run()
    with OwnDirectory() as directory, own_environment(directory.path):
        with logging_into(directory.path / LOG), screen.live():
            _run(plan, directory.path, screen, run)
        directory.kept = run.code == 1
        _tell_end(screen, run, directory.path)
    return run.code


def _run(plan: Plan, root: Path, screen: Screen, run: Run) -> None:
    try:
        run_on_loop(lambda: _show(plan, root, screen, run))
    except* KeyboardInterrupt:
        run.interrupted = True  # before the service listened to signals, or for the second time
    except* BrokenPipeError:
        _drop_stdout()
        run.interrupted = True
    except* Exception as error:  # whatever it is, the reader gets a sentence, and the log the traceback
        log.critical("The demonstration failed", exc_info=error)
        run.trouble = f"the demonstration itself failed: {_innermost(error)!r}"


async def _show(plan: Plan, root: Path, screen: Screen, run: Run) -> None:
    stop = StopSignal()
    screen.tell(Kind.TITLE, "imps-multi: image pull secrets, kept right in every selected namespace of every cluster")
    screen.tell(Kind.SAY, _introduction(plan.pace))
    async with Stage(root, plan.pace) as stage, aiohttp.ClientSession(trust_env=False) as session:
        scene = Scene(stage, screen, Witness(stage.status_url))
        plan.prepare(stage)
        async with anyio.create_task_group() as group:
            group.start_soon(_display, scene, screen, session)
            group.start_soon(_stop_when_hung_up, stop)
            group.start_soon(_tell, plan, scene, run, stop)
            group.start_soon(_insist, stop, run, group.cancel_scope)
            await _serve(stage.config, stop, run)
            group.cancel_scope.cancel()


async def _serve(config: Path, stop: StopSignal, run: Run) -> None:
    """Run the service until it is told to stop; nothing else should end it."""
    try:
        loaded = await anyio.to_thread.run_sync(load, config, os.environ)
        lock = StateLock(state_root(loaded))
        await anyio.to_thread.run_sync(lock.acquire)
        try:
            await serve(loaded, observe=False, stop=stop)
        finally:
            lock.release()
        if not stop.is_set:
            run.trouble = "the service ended by itself"
    except Exception as error:  # the service is on trial here: its failure is the story's end
        log.critical("The service failed", exc_info=error)
        run.trouble = f"the service failed: {_innermost(error)}"
    run.interrupted = run.told is None and not run.trouble
    stop.set("the service ended")


async def _tell(plan: Plan, scene: Scene, run: Run, stop: StopSignal) -> None:
    """Tell the story until its end or until stopped; with ``keep``, stay."""

    async def leave_when_stopped() -> None:
        await stop.wait()
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(leave_when_stopped)
        run.told = await perform(scene, plan.acts)
        scene.title = "the story is over"
        scene.sum_up(summary(scene.stage))
        if plan.keep:
            scene.title = "everything stays up until Ctrl-C"
            scene.quote(invitation(scene.stage))
            await anyio.sleep_forever()
        stop.set("the story is over")


async def _display(scene: Scene, screen: Screen, session: aiohttp.ClientSession) -> None:
    """Keep table and status fresh, for ever."""
    while True:
        await scene.witness.look(session)
        screen.show(scene.frame())
        await anyio.sleep(REFRESH_SECONDS)


async def _insist(stop: StopSignal, run: Run, scope: anyio.CancelScope) -> None:
    """End the service the hard way if it does not end when it is told to."""
    await stop.wait()
    await anyio.sleep(ENDING_SECONDS)
    run.trouble = run.trouble or f"the service did not end within {ENDING_SECONDS:.0f} s"
    scope.cancel()


async def _stop_when_hung_up(stop: StopSignal) -> None:
    await stop_on_signals(stop, signals=(signal.SIGHUP,))


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _drop_stdout() -> None:
    """Write to nobody from here on: whoever read has left."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _introduction(pace: Pace) -> str:
    return (
        f"A directory as hub, {len(CLUSTERS)} clusters of {len(SELECTED | OTHERS)} namespaces and an ECR whose tokens "
        f"live {pace.lifetime:.0f} s, all in this process. One policy wants the Secret {SECRET} in {len(SELECTED)} "
        "namespaces of each cluster: an ECR token and a Docker Hub login in one. Every tick below was checked in the "
        "clusters' own stores."
    )


def _tell_end(screen: Screen, run: Run, root: Path) -> None:
    if run.interrupted:
        screen.tell(Kind.SAY, "Interrupted; everything is taken down.")
        return
    if run.trouble:
        screen.tell(Kind.FAILED, run.trouble)
    if run.told is not None and run.told.failed:
        screen.tell(Kind.FAILED, f"Did not happen as announced: {', '.join(run.told.failed)}.")
    if run.code:
        screen.tell(Kind.SAY, f"The service's log is {root / LOG}; everything that it read is kept beside it.")
    else:
        screen.tell(Kind.DONE, "Everything that was announced happened.")
