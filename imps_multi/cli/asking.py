"""Asking the running instance, or leaving word for the next one: what ``sync`` and ``approve`` have in common."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from imps_multi.cli.output import say

if TYPE_CHECKING:
    from imps_multi.config.load import Loaded
    from imps_multi.hubs.control import Request

FINE, WRONG, CANNOT, UNREACHABLE = 0, 1, 2, 3


def ask_or_store(config: Path, command: str, argument: str) -> int:
    """Ask the running instance; with none running, store the request. Return the exit code."""
    from imps_multi.config.load import InvalidConfiguration, load
    from imps_multi.config.state import state_root
    from imps_multi.hubs.control import Request

    if not argument.strip():
        say(f"{command} what? Its name is empty")
        return CANNOT
    try:
        loaded = load(config, os.environ)
        root = Path() if loaded.configuration.hub.in_a_cluster else state_root(loaded)
    except InvalidConfiguration as error:
        say(str(error))
        return CANNOT
    configuration = loaded.configuration
    if configuration.hub.in_a_cluster:
        return _ask_cluster(loaded, Request(command, argument))
    return _ask(root, Request(command, argument), configuration.hub.directory)


def _ask_cluster(loaded: "Loaded", request: "Request") -> int:
    """Ask on the objects of the hub; the instance that runs there, or the next pass, sees it."""
    import anyio

    from imps_multi.app.asking_hub import ask_approve, ask_sync
    from imps_multi.app.hub_parts import HubUnreachable
    from imps_multi.config.load import InvalidConfiguration
    from imps_multi.ports import PortError

    try:
        asked = anyio.run(ask_approve if request.command == "approve" else ask_sync, loaded, request.argument)
    except InvalidConfiguration as error:
        say(str(error))
        return CANNOT
    except HubUnreachable as error:
        say(str(error))
        return UNREACHABLE
    except PortError as error:
        say(str(error))
        return WRONG
    say(asked.message)
    return FINE if asked.ok else WRONG


def _ask(root: Path, request: "Request", directory: Path | None) -> int:
    import anyio

    from imps_multi.hubs.control import ask

    try:
        answer = anyio.run(ask, root, request)
    except TimeoutError:
        say(f"the running instance does not answer on the socket in {root}")
        return UNREACHABLE
    except OSError as error:
        say(f"the running instance cannot be asked on the socket in {root}: {error.strerror or error}")
        return UNREACHABLE
    if answer is None:
        return _store(root, request, directory)
    say(answer.message)
    return FINE if answer.ok else WRONG


def _store(root: Path, request: "Request", directory: Path | None) -> int:
    from imps_multi.cli.stored_knowledge import unknown_policy, unknown_set
    from imps_multi.hubs.control import store_request
    from imps_multi.hubs.state_directory import StateRefused, prepare

    argument = request.argument
    unknown = unknown_set(argument, root) if request.command == "approve" else unknown_policy(argument, root, directory)
    if unknown:
        say(unknown)
        return WRONG
    try:
        prepare(root)
        store_request(root, request)
    except StateRefused as error:
        say(str(error))
        return CANNOT
    except OSError as error:
        say(f"{root} cannot be written: {error.strerror or error}")
        return CANNOT
    say(f"no instance is running; {request.command} {request.argument} is stored for its next pass")
    return FINE
