"""What the state directory and the hub's directory know while nothing runs: policies, and held sets that were shown.

Blocking. Says why a request can come to nothing, so that a slip of the pen is told at once and not by the next pass.
"""

import time
from collections.abc import Iterable
from pathlib import Path

from imps_multi.hubs.durable import read_items
from imps_multi.hubs.manifest_files import read_directory
from imps_multi.model.brake import APPROVABLE
from imps_multi.model.matching import nearest_name
from imps_multi.model.names import POLICY_KIND
from imps_multi.model.stored_ledger import LEDGER, decode_ledger
from imps_multi.model.stored_policy import decode_policy
from imps_multi.ports import Section

LISTED = 10


def unknown_policy(name: str, root: Path, directory: Path | None) -> str:
    """Say that there is no such policy; empty where it is known, or where that cannot be told."""
    try:
        files = read_directory(directory) if directory is not None else []
    except OSError:
        return ""
    manifests = [manifest.object for file in files for manifest in file.manifests]
    known = {one.name for one in manifests if one.kind == POLICY_KIND} | set(_stored(root))
    if not known or name in known or any(problem.fatal for file in files for problem in file.problems):
        return ""
    near = nearest_name(name, known)
    hint = f" (did you mean {near}?)" if near else ""
    return f"there is no policy {name}{hint}; known are {_listed(known)}"


def unknown_set(held_id: str, root: Path) -> str:
    """Say that no such set was shown in the last 24 hours; empty where it was, or where nothing is known at all."""
    content = _items(root, Section.HELD).get(LEDGER)
    if content is None:
        return ""
    ledger, growth = decode_ledger(content)
    times = {**{key: one.at for key, one in ledger.shown.items()}, **{key: one.at for key, one in growth.shown.items()}}
    known = {key for key, at in times.items() if time.time() - at < APPROVABLE}
    if held_id in known:
        return ""
    return f"no run showed a held set {held_id} in the last 24 hours; known are {_listed(known) or 'none'}"


def _stored(root: Path) -> Iterable[str]:
    for content in _items(root, Section.POLICIES).values():
        stored = decode_policy(content)
        if stored is not None:
            yield stored.policy.name


def _items(root: Path, section: Section) -> dict[str, bytes]:
    return dict(found for _, found in read_items(root / section.value) if isinstance(found, tuple))


def _listed(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:LISTED]) + (", …" if len(listed) > LISTED else "")
