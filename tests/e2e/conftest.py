"""The stage of the end-to-end tests: real clusters that a whole module shares, and an installation for each module."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.registry import Registry
from tests.e2e.site import Site
from tests.realcluster.bed import RealBed
from tests.realcluster.cluster import RealCluster
from tests.realcluster.fixtures import NAMES

Clusters = tuple[RealCluster, ...]


@pytest.fixture(scope="module")
def bring(real_bed: RealBed) -> Iterator[Callable[..., Clusters]]:
    """Give running, empty clusters by name; those beyond the usual three are ended with the module."""
    brought: list[RealCluster] = []

    def clusters(*names: str) -> Clusters:
        found = real_bed.clusters(*names)
        for cluster in found:
            cluster.wipe()
        brought.extend(found)
        return found

    yield clusters
    for cluster in brought:
        if cluster.name not in NAMES:
            cluster.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Give an installation with nothing in it yet."""
    return Site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """Give an ECR of which nobody has asked anything."""
    with Registry() as running:
        yield running
