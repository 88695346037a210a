"""Tells of children that spent their restarts, and of those that run again; told of every change by a supervisor."""

from imps_multi.ports import Signals
from imps_multi.runtime.supervisor import ChildStatus, Phase


class Quarantine:
    """Who of one kind is in quarantine now."""

    def __init__(self, kind: str, signals: Signals) -> None:
        self._kind = kind
        self._signals = signals
        self._inside: set[str] = set()

    def see(self, status: ChildStatus) -> None:
        """Take in a child's new status."""
        inside = status.phase is Phase.QUARANTINED
        if inside and status.name not in self._inside:
            self._inside.add(status.name)
            self._signals.quarantined(self._kind, status.name, active=True)
        elif not inside and status.name in self._inside:
            self._inside.discard(status.name)
            self._signals.quarantined(self._kind, status.name, active=False)
