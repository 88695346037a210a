"""Takes up changes of the configuration, the kubeconfigs and what they point to, while the service runs.

An invalid change keeps the last good configuration in force and ends nothing. Files are parsed in a thread.
"""

import os
from pathlib import Path

import anyio.to_thread
from msgspec import Struct

from imps_multi.app.assembly import Assembly
from imps_multi.app.members import Members, everything_wrong, members
from imps_multi.config.load import InvalidConfiguration, Loaded, load
from imps_multi.config.reload import FollowedFiles


class Refused(Struct, frozen=True):
    """A configuration that cannot be used, and the further files that may make it usable."""

    error: InvalidConfiguration
    files: frozenset[Path] = frozenset()


async def keep_reloading(assembly: Assembly, followed: FollowedFiles | None = None) -> None:
    """Reload whenever one of the files changed, for ever."""
    followed = followed or FollowedFiles()
    files = frozenset(assembly.files)
    try:
        while True:
            while await followed.follow(files):  # what was read before it was followed is read again
                files = await _reload_whole(assembly, followed)
            await followed.changed()
            files = await _reload_whole(assembly, followed)
    finally:
        followed.close()


async def _reload_whole(assembly: Assembly, followed: FollowedFiles) -> frozenset[Path]:
    """Load again until no file is written to meanwhile: what was read may be half of it."""
    files = await _reload(assembly)
    while not await followed.stood_still():
        files = await _reload(assembly)
    return files


async def _reload(assembly: Assembly) -> frozenset[Path]:
    """Load again, and return the files to follow from now on."""
    match await anyio.to_thread.run_sync(_read, assembly):
        case Refused() as refused:
            assembly.refuse(refused.error)
            return frozenset(assembly.files) | refused.files
        case loaded, fleet:
            if not (assembly.reload.successful and _same(assembly, loaded, fleet)):
                assembly.adopt(loaded, fleet)
    return frozenset(assembly.files)


def _read(assembly: Assembly) -> tuple[Loaded, Members] | Refused:
    try:
        loaded = load(assembly.loaded.path, os.environ)
    except InvalidConfiguration as error:
        return Refused(everything_wrong(error, assembly.shared))
    try:
        return loaded, members(loaded, assembly.shared)
    except InvalidConfiguration as error:
        configuration = loaded.configuration
        named = [configuration.hub.kubeconfig, *(entry.kubeconfig for entry in configuration.clusters)]
        return Refused(error, frozenset(path.absolute() for path in named if path is not None))


def _same(assembly: Assembly, loaded: Loaded, fleet: Members) -> bool:
    """Say whether nothing differs from what is in force."""
    in_force = assembly.ports.members.value
    return (
        loaded.configuration == assembly.loaded.configuration
        and fleet.files == assembly.files
        and (fleet.hub.fingerprint if fleet.hub is not None else "") == assembly.hub_fingerprint
        and [(one.settings, one.fingerprint) for one in fleet.members]
        == [(one.settings, one.fingerprint) for one in in_force]
    )
