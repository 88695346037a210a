"""What is delivered logs in where it is checked: a real registry with passwords, and one with a token server."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests import kubelet
from tests.e2e.logins import FIRST, KINDS, ONE, OTHER, PUSHER, SECOND, TEAMS, Accounts, Stage
from tests.e2e.program import Program, printed_role, sync
from tests.e2e.pulls import Puller, keyrings
from tests.e2e.registry import Registry
from tests.e2e.site import SERVICE, Site
from tests.e2e.waiting import until
from tests.kubelet import Login
from tests.realcluster.cluster import RealCluster
from tests.realcluster.fixtures import ENVIRON
from tests.realcluster.process import Guardian
from tests.realregistry.package import find
from tests.realregistry.runtime import Image, RefusedError, pull
from tests.realregistry.server import DockerRegistry, PasswordFile
from tests.realregistry.tokens import TokenServer

pytestmark = pytest.mark.real


def docker_registry() -> Path:
    binary = find(ENVIRON)
    if binary is None:
        pytest.fail("There is no docker-registry yet: run `make test`, or `python -m tests.realregistry.package` once.")
    return binary


@pytest.fixture(scope="module")
def bare_stage(
    bring: Callable[..., tuple[RealCluster, ...]],
    site: Site,
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    (cluster,) = bring("east")
    cluster.create_namespaces(TEAMS)
    first, second = (tmp_path_factory.mktemp(name) for name in ("passwords", "tokens"))
    passwords, accounts, binary, guardian = (
        PasswordFile(first / "htpasswd"),
        Accounts(registry),
        docker_registry(),
        Guardian(),
    )
    passwords.allow({PUSHER.username: PUSHER.password, FIRST.username: FIRST.password})
    with (
        closing(guardian),
        TokenServer(second, accounts.rule, accounts.access_tokens) as tokens,
        DockerRegistry(binary, first, auth=passwords.auth(), guardian=guardian) as by_password,
        DockerRegistry(binary, second, auth=tokens.auth(), guardian=guardian) as by_token,
    ):
        yield Stage(
            cluster=cluster,
            site=site,
            ecr=registry,
            passwords=passwords,
            by_password=by_password,
            accounts=accounts,
            tokens=tokens,
            by_token=by_token,
        )


@pytest.fixture(scope="module")
def stage(bare_stage: Stage) -> Iterator[Stage]:
    site, cluster = bare_stage.site, bare_stage.cluster
    bare_stage.push()
    bare_stage.fill_hub()
    site.reach([cluster])
    site.configure()
    cluster.authorize(SERVICE, printed_role(site))
    with Program(site) as program:
        until(lambda: program.in_sync("everyone", len(TEAMS)), "every namespace has its Secret")
        yield bare_stage


def refused(image: Image, login: Login) -> bool:
    try:
        pull(image, [login])
    except RefusedError:
        return True
    return False


def rotated(stage: Stage, kind: str, *, old: Login, new: Callable[[], Login], withdraw: Callable[[], None]) -> None:
    """Rotate with both valid for a while; see every pull of that time taken, and the old one refused afterwards."""
    image = stage.image(kind)
    with Puller(stage.cluster, [image]) as puller:
        until(lambda: puller.everywhere(image, old, TEAMS), "every namespace pulls with the old credential")
        fresh = new()
        until(lambda: puller.everywhere(image, fresh, TEAMS), "every namespace pulls with the new credential")
        with puller.between_pulls():
            withdraw()
            before = dict(puller.pulled)
        assert refused(image, old)
        until(lambda: puller.pulled[TEAMS[-1], image, fresh] > before[TEAMS[-1], image, fresh], "another turn of pulls")
    assert puller.refused == []


def test_every_namespace_pulls_and_nobody_else_does(stage: Stage) -> None:
    for kind in KINDS:
        image = stage.image(kind)
        for ring in keyrings(stage.cluster).values():
            assert stage.manifests[kind] == pull(image, kubelet.logins(str(image), [ring]))
        with pytest.raises(RefusedError):
            pull(image, [])


def test_a_password_rotates_without_a_refused_pull(stage: Stage) -> None:
    def new() -> Login:
        stage.passwords.allow({FIRST.username: FIRST.password, SECOND.username: SECOND.password})
        stage.static("passwords", SECOND)
        return SECOND

    rotated(
        stage,
        "passwords",
        old=FIRST,
        new=new,
        withdraw=lambda: stage.passwords.allow({SECOND.username: SECOND.password}),
    )


def test_a_login_at_a_token_server_rotates_without_a_refused_pull(stage: Stage) -> None:
    def new() -> Login:
        stage.accounts.teams.add(OTHER)
        stage.static("tokens", OTHER)
        return OTHER

    rotated(stage, "tokens", old=ONE, new=new, withdraw=lambda: stage.accounts.teams.discard(ONE))


def test_a_minted_token_is_renewed_by_itself_without_a_refused_pull(stage: Stage) -> None:
    """At half of its life, by the registry's own clock; what a token lives at AWS is twelve hours."""
    stage.ecr.live(20.0)
    before = stage.ecr.newest
    sync(stage.site, "everyone")
    until(lambda: stage.ecr.newest != before, "a token that lives twenty seconds was asked for")
    old = Login("AWS", stage.ecr.newest)

    def new() -> Login:
        stage.ecr.live(12 * 3600.0)
        until(lambda: stage.ecr.newest != old.password, "another token was asked for")
        assert stage.ecr.ecr.is_valid(old.password)
        return Login("AWS", stage.ecr.newest)

    def withdraw() -> None:
        issued = stage.ecr.ecr.issued
        issued[:] = [one for one in issued if one.password != old.password]

    rotated(stage, "minted", old=old, new=new, withdraw=withdraw)


def test_a_token_of_an_oauth2_client_rotates_without_a_refused_pull(stage: Stage) -> None:
    issued = stage.accounts.access_tokens
    old = Login("oauth2accesstoken", issued[-1])

    def new() -> Login:
        sync(stage.site, "everyone")
        until(lambda: issued[-1] != old.password, "another token was asked for")
        return Login("oauth2accesstoken", issued[-1])

    rotated(stage, "oauth2", old=old, new=new, withdraw=lambda: issued.remove(old.password))


def test_a_credential_withdrawn_before_the_next_is_there_is_refused_everywhere(stage: Stage) -> None:
    """What the tests above would see if an overlap were not enough."""
    image = stage.image("passwords")
    with Puller(stage.cluster, [image]) as puller:
        with puller.between_pulls():
            stage.passwords.allow({PUSHER.username: PUSHER.password})
        until(lambda: len({line.partition(":")[0] for line in puller.refused}) == len(TEAMS), "every pull is refused")
