"""What each user asked of an API server, request by request: the server's audit log.

Where the counters say how many, this says who, what and where. Administrators (``system:masters``) and the server
itself are left out, so that what remains is the service under test. A request is written when its answer is done, a
watch when it begins.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

CHANGES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "userGroups": ["system:masters"]},
        {"level": "None", "users": ["system:apiserver", "system:anonymous"]},
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request: who, what, where, and the answer's HTTP code; ``ended`` is when it was done, since the epoch."""

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    uri: str
    code: int
    ended: float

    @property
    def changes(self) -> bool:
        """Whether the request tried to change something."""
        return self.verb in CHANGES


class AuditLog:
    """The audit log of one API server, read from a mark on."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> int:
        """Return where the log ends now, to read from there later."""
        return self._path.stat().st_size if self._path.exists() else 0

    def since(self, mark: int = 0) -> list[Entry]:
        """Return what was asked after a mark, oldest first; a line still being written is left for the next look."""
        with self._path.open("rb") as log:
            log.seek(mark)
            whole_lines = log.read().rpartition(b"\n")[0].splitlines()
        events = (json.loads(line) for line in whole_lines)
        return [
            _entry(event) for event in events if (event["verb"] == "watch") == (event["stage"] == "ResponseStarted")
        ]


def _entry(event: dict[str, object]) -> Entry:
    user, about, status = (_part(event, key) for key in ("user", "objectRef", "responseStatus"))
    subresource = about.get("subresource")
    return Entry(
        user=str(user["username"]),
        verb=str(event["verb"]),
        resource=f"{about.get('resource', '')}/{subresource}" if subresource else str(about.get("resource", "")),
        namespace=str(about.get("namespace", "")),
        name=str(about.get("name", "")),
        uri=str(event["requestURI"]),
        code=int(str(status.get("code", 0))),
        ended=datetime.fromisoformat(str(event["stageTimestamp"])).timestamp(),
    )


def _part(event: dict[str, object], key: str) -> dict[str, object]:
    part = event.get(key)
    return part if isinstance(part, dict) else {}
