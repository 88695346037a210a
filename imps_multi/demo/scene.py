"""What a scene of the story can do: tell, wait within a bound, check. A check that fails ends its scene.

Knows nothing of any particular scene. Feeds the screen with lines and, through `frame`, with the table.
"""

from collections.abc import Callable, Iterable

import anyio

from imps_multi.demo.scenery import CLUSTERS
from imps_multi.demo.screen import Kind, Screen
from imps_multi.demo.stage import Stage
from imps_multi.demo.table import Frame, Row
from imps_multi.demo.witness import Witness

__all__ = ["DidNotHappenError", "Scene", "duration"]

LOOK_SECONDS = 0.01
CHECK_SECONDS = 0.1
"""Between two looks at whole clusters: they are decoded each time."""


class DidNotHappenError(Exception):
    """Something that was announced did not come about; the message says what."""


class Scene:
    """The story's hands and eyes.

    Attributes:
        title: The scene that is on.
    """

    def __init__(self, stage: Stage, screen: Screen, witness: Witness) -> None:
        self.stage = stage
        self.witness = witness
        self.title = "setting up"
        self._screen = screen

    def begin(self, title: str) -> None:
        """Announce a scene."""
        self.title = title
        self._screen.tell(Kind.SCENE, title)

    def say(self, text: str) -> None:
        """Tell what is done or waited for."""
        self._screen.tell(Kind.SAY, text)

    def done(self, text: str) -> None:
        """Tell what was seen to have happened."""
        self._screen.tell(Kind.DONE, text)

    def failed(self, text: str) -> None:
        """Tell what was not."""
        self._screen.tell(Kind.FAILED, text)

    def sum_up(self, text: str) -> None:
        """Tell what it came to."""
        self._screen.tell(Kind.SCENE, text)

    def quote(self, lines: Iterable[str]) -> None:
        """Print lines to be copied."""
        self._screen.quote(lines)

    def check(self, fact: bool, otherwise: str) -> None:  # noqa: FBT001, a fact is what it checks
        """See that something holds.

        Raises:
            DidNotHappenError: it does not.
        """
        if not fact:
            raise DidNotHappenError(otherwise)

    async def until(
        self, fact: Callable[[], bool], otherwise: str, *, seconds: float | None = None, every: float = LOOK_SECONDS
    ) -> float:
        """Wait until something holds, by default as long as patience goes; return how many seconds it took.

        Raises:
            DidNotHappenError: it did not come about in time.
        """
        bound = self.stage.pace.patience if seconds is None else seconds
        began = anyio.current_time()
        while not fact():
            if anyio.current_time() - began > bound:
                raise DidNotHappenError(f"{otherwise} (waited {bound:.0f} s)")
            await anyio.sleep(every)
        return anyio.current_time() - began

    async def pause(self) -> None:
        """Let the reader catch up."""
        await anyio.sleep(self.stage.pace.pause)

    def frame(self) -> Frame:
        """Look at everything, for the table."""
        ecr = self.stage.ecr
        newest = len(ecr.issued)
        return Frame(
            rows=tuple(self._row(name) for name in CLUSTERS),
            scene=self.title,
            token=newest,
            life_left=self.stage.life_left(newest) if newest else 0.0,
            lifetime=self.stage.pace.lifetime,
            mints=ecr.mints,
        )

    def _row(self, name: str) -> Row:
        picture = self.stage.picture(name)
        state, reason = self.witness.state(name)
        return Row(
            cluster=name,
            wanted=picture.wanted,
            right=picture.right,
            older=picture.older,
            token=picture.token,
            life_left=self.stage.life_left(picture.token) if picture.token else 0.0,
            state=state,
            reason=reason,
            writes=self.stage.clusters[name].requests.write_count,
        )


def duration(seconds: float) -> str:
    """Say how long something took, as people do."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
