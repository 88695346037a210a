import io
from pathlib import Path

import anyio
import pytest

from imps_multi.demo.scene import DidNotHappenError, Scene, duration
from imps_multi.demo.screen import PlainScreen
from imps_multi.demo.stage import Pace, Stage
from imps_multi.demo.story import Act, perform
from imps_multi.demo.witness import Witness

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The sandbox runs on asyncio."""
    return "asyncio"


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def scene(tmp_path: Path, out: io.StringIO, anyio_backend: str) -> Scene:
    assert anyio_backend == "asyncio"
    stage = Stage(tmp_path, Pace(pause=0.0, patience=0.05))
    return Scene(stage, PlainScreen(out, lambda: 0.0), Witness(""))


async def works(scene: Scene) -> None:
    await scene.until(lambda: True, "never")
    scene.done("It happened.")


async def breaks(scene: Scene) -> None:
    scene.check(False, "the sky is green")


async def never_comes(scene: Scene) -> None:
    await scene.until(lambda: False, "the bus did not come")


async def test_a_scene_that_fails_is_told_and_the_story_goes_on(scene: Scene, out: io.StringIO) -> None:
    told = await perform(scene, (Act("First", breaks), Act("Second", works)))
    assert (told.failed, told.happened) == (("First",), ("Second",))
    assert "FAILED: the sky is green" in out.getvalue() or "✗ the sky is green" in out.getvalue()
    assert "It happened." in out.getvalue()


async def test_nothing_comes_after_an_essential_scene_that_failed(scene: Scene, out: io.StringIO) -> None:
    told = await perform(scene, (Act("First", breaks, essential=True), Act("Second", works)))
    assert (told.failed, told.happened) == (("First",), ())
    assert "Second" not in out.getvalue()


async def test_what_does_not_come_is_waited_for_within_a_bound(scene: Scene, out: io.StringIO) -> None:
    with anyio.fail_after(5):
        told = await perform(scene, (Act("Waiting", never_comes),))
    assert told.failed == ("Waiting",)
    assert "the bus did not come" in out.getvalue()


async def test_scenes_are_announced_with_their_number(scene: Scene, out: io.StringIO) -> None:
    await perform(scene, (Act("First", works), Act("Second", works)))
    assert "1. First" in out.getvalue()
    assert "2. Second" in out.getvalue()


async def test_a_wait_tells_how_long_it_took(scene: Scene) -> None:
    assert 0 <= await scene.until(lambda: True, "never") < 1


async def test_before_the_first_token_nothing_is_complete(scene: Scene) -> None:
    assert not scene.stage.complete()
    assert [row.token for row in scene.frame().rows] == [0, 0, 0]


async def test_the_stage_shows_what_happens_to_it(scene: Scene) -> None:
    stage = scene.stage
    stage.label("prod-eu", "app-12")
    assert stage.total == 43
    assert stage.picture("prod-eu").wanted == 15
    with pytest.raises(DidNotHappenError):
        scene.check(stage.complete("prod-eu"), "nothing is there")


@pytest.mark.parametrize(("seconds", "words"), [(0.0123, "12 ms"), (0.9, "900 ms"), (1.26, "1.3 s"), (12.0, "12.0 s")])
async def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words
