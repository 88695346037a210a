"""A hub as it would be with some manifests changed."""

from collections.abc import Mapping

import pytest

from imps_multi.hubs.overlay import OverlaidHub
from imps_multi.model.hub import HubObject, HubReading, Place
from tests.actors.fakes import FakeHub, policy, static

pytestmark = pytest.mark.anyio


def made(name: str, file: str, **metadata: str) -> HubObject:
    """Make a policy whose manifest has some metadata."""
    content = {**policy(name).content, "metadata": {"name": name, **metadata}}
    return HubObject("ImagePullSecret", "", name, Place(file, 1, 1), content)


def metadata(reading: HubReading, name: str) -> Mapping[str, str]:
    """Return the metadata of a policy in a reading."""
    (found,) = (one for one in reading.objects if (one.kind, one.name) == ("ImagePullSecret", name))
    return found.content["metadata"]  # type: ignore[no-any-return]  # contents are anything


async def test_a_changed_object_takes_the_place_of_the_one_there_and_a_new_one_joins() -> None:
    below = FakeHub()
    below.put(made("a", "hub/a.yaml"), made("b", "hub/b.yaml"), static())
    reading = await OverlaidHub(below, [made("a", "new.yaml"), made("c", "new.yaml")]).read()
    assert sorted((one.kind, one.name, one.place.file) for one in reading.objects) == [
        ("ImagePullSecret", "a", "new.yaml"),
        ("ImagePullSecret", "b", "hub/b.yaml"),
        ("ImagePullSecret", "c", "new.yaml"),
        ("Secret", "static", "hub/static.yaml"),
    ]


async def test_what_a_server_gives_is_kept_unless_the_change_says_otherwise() -> None:
    below = FakeHub()
    below.put(made("a", "x", uid="u-1", creationTimestamp="2024-01-01T00:00:00Z", resourceVersion="7"))
    reading = await OverlaidHub(below, [made("a", "y", uid="u-2")]).read()
    assert metadata(reading, "a") == {"name": "a", "uid": "u-2", "creationTimestamp": "2024-01-01T00:00:00Z"}


async def test_a_hub_that_is_not_whole_stays_so() -> None:
    below = FakeHub()
    below.put(made("a", "x"))
    below.spoil()
    reading = await OverlaidHub(below, [made("a", "y")]).read()
    assert (reading.whole, len(reading.problems)) == (False, 1)


async def test_the_sources_that_are_named_are_read_from_the_hub_below() -> None:
    below = FakeHub()
    OverlaidHub(below, []).need(frozenset())
    assert below.needed == frozenset()
