"""The pytest fixtures of the bed; ``tests/conftest.py`` loads this module as a plugin.

``real_clusters`` is what most tests want: three clusters, empty. The servers start when the first test asks for them
and serve the whole session.
"""

import os
from collections.abc import Iterator

import pytest

from tests.realcluster.bed import RealBed
from tests.realcluster.binaries import find
from tests.realcluster.cluster import RealCluster

NAMES = ("east", "north", "west")
ENVIRON = dict(os.environ)  # as it was before any fixture moved HOME


@pytest.fixture(scope="session")
def real_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBed]:
    """Give the bed, with no cluster started yet."""
    binaries = find(ENVIRON)
    if binaries is None:
        pytest.fail("There is no kube-apiserver yet: run `make test`, or `python -m tests.realcluster.binaries` once.")
    bed = RealBed(binaries, tmp_path_factory.mktemp("realcluster"))
    yield bed
    bed.stop()


@pytest.fixture
def real_clusters(real_bed: RealBed) -> tuple[RealCluster, RealCluster, RealCluster]:
    """Give three running, empty clusters; whatever an earlier test left in them or did to them is undone."""
    first, second, third = real_bed.clusters(*NAMES)
    for cluster in (first, second, third):
        cluster.wipe()
    return first, second, third


@pytest.fixture
def real_cluster(real_bed: RealBed) -> RealCluster:
    """Give one running, empty cluster, the first of ``real_clusters``."""
    (cluster,) = real_bed.clusters(NAMES[0])
    cluster.wipe()
    return cluster
