"""Fixtures of the commands' tests."""

from collections.abc import Iterator

import pytest

from tests.cli.site import Site, standing


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two clusters of four namespaces, a hub with one policy, and its configuration."""
    with standing(tmp_path_factory.mktemp("site")) as made:
        yield made
