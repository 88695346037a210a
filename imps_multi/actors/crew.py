"""The workers of one cluster: as many as there is work for, within its limit.

A fleet is at rest most of the time, and a worker that waits costs four kilobytes. Some take nothing but what is urgent
and stay; one waits for any work; the others are hired when there is work and nobody waits for it, and go when others
do. Made for each session by ``cluster``; what they do is in ``working``.
"""

from anyio.abc import TaskGroup

from imps_multi.actors.contact import Lost
from imps_multi.actors.station import Station
from imps_multi.actors.working import keep_working
from imps_multi.runtime.keyed_queue import Lane

EXPRESS_SHARE = 8
"""One worker in so many takes nothing but what is urgent: one at least, unless it is the only one."""


class Crew:
    """The workers of a session; ``group`` is where they live."""

    def __init__(self, here: Station, lost: Lost, group: TaskGroup) -> None:
        self._here = here
        self._lost = lost
        self._group = group
        most = here.member.settings.max_in_flight
        self._express = min(max(1, most // EXPRESS_SHARE), most - 1)
        self._places = most - self._express
        self.hands = 0
        """Those who take any work."""

    def begin(self) -> None:
        """Have as many as are needed at rest."""
        for _ in range(self._express):
            self._group.start_soon(keep_working, self._here, self._lost, Lane.URGENT)
        self.hire()

    def hire(self) -> None:
        """Have one more, if there is room."""
        if self.hands < self._places:
            self.hands += 1
            self._group.start_soon(self._work)

    async def _work(self) -> None:
        try:
            await keep_working(self._here, self._lost)
        finally:
            self.hands -= 1
