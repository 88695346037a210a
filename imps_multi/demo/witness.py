"""What the service says of itself, read over HTTP from its status address as anybody would.

Only for what no store can show: whether a cluster counts as degraded, what is in conflict, what is held.
"""

from typing import Final

import aiohttp
import msgspec

from imps_multi.model.status import ServiceStatus

_TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0)


class Witness:
    """The newest answer of the status API; `None` until there was one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.status: ServiceStatus | None = None

    async def look(self, session: aiohttp.ClientSession) -> None:
        """Ask once; without an answer what was said last stands."""
        try:
            async with session.get(self._url, timeout=_TIMEOUT) as response:
                self.status = msgspec.json.decode(await response.read(), type=ServiceStatus)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
            return

    def state(self, cluster: str) -> tuple[str, str]:
        """Return how a cluster stands, and why."""
        views = self.status.clusters if self.status is not None else []
        return next(((view.state, view.reason) for view in views if view.name == cluster), ("Starting", ""))

    def conflicts(self) -> int:
        """How many targets are taken by somebody else's Secret."""
        return sum(view.status.targets.conflict for view in self.status.policies) if self.status is not None else 0

    def held(self) -> tuple[str, int] | None:
        """Return the id and the size of a held set, if there is one."""
        held = self.status.held if self.status is not None else []
        return (held[0].id, held[0].deletions) if held else None
