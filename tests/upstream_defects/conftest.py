"""One running service for the whole room, and virtual time for what needs hours."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import structlog
import trio.testing

from tests.actors.stage import Stage as Actors
from tests.e2e.manifests import docker_source, policy
from tests.e2e.program import Program, printed_role
from tests.e2e.registry import Registry
from tests.e2e.site import SERVICE, Site
from tests.realcluster.bed import RealBed
from tests.upstream_defects.stage import Stage


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Time passes only when nothing else can happen."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def actors() -> Actors:
    """Give a service on fakes, with nothing in its hub and no cluster."""
    return Actors()


@pytest.fixture(autouse=True)
def _logged() -> Iterator[None]:
    """Keep what services in this process log away from the output."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(scope="package")
def stage(real_bed: RealBed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give the running service with its two clusters."""
    clusters = real_bed.clusters("east", "north")
    site = Site(tmp_path_factory.mktemp("defects"))
    site.put("first.yaml", docker_source("first", password="first-password"))
    site.put("first-policy.yaml", policy("first", sources=["first"], namespaces={"names": ["default"]}))
    site.reach(clusters)
    site.configure()
    for cluster in clusters:
        cluster.wipe()
        cluster.authorize(SERVICE, printed_role(site))
    with ExitStack() as held:
        strong, weak = held.enter_context(Registry()), held.enter_context(Registry())
        program = held.enter_context(Program(site))
        yield Stage(clusters=clusters, site=site, registry=strong, weak=weak, program=program)
