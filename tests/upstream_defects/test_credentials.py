"""Defects of credentials: what IMPS loses, mixes up, mints too often or too late, and what ends it."""

import base64
import json
from collections.abc import Iterator

import anyio
import pytest

from imps_multi.model.credential import MintSource
from imps_multi.ports import Transient
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.rules import AmbientRule
from imps_multi.sandbox.ecr_faults import Nonsense
from tests.actors.fakes import LIFE, minted
from tests.actors.fakes import policy as fake_policy
from tests.actors.stage import HOUR, ready, settled, status_of
from tests.actors.stage import Stage as Actors
from tests.actors.stage import spaces as many
from tests.e2e.gate import Gate
from tests.e2e.manifests import docker_source
from tests.e2e.program import sync
from tests.e2e.targets import KEY, by_namespace
from tests.e2e.waiting import until
from tests.realcluster.client import Manifest
from tests.realcluster.ports import free_port
from tests.registries.secrets import KEYS, MARK, ROLE
from tests.registries.secrets import ecr as ecr_secret
from tests.upstream_defects.stage import ACCOUNT_HOST, Stage, Writes, ecr, spaces, team

FIPS, DUAL_STACK = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "123456789012.dkr-ecr.us-east-1.on.aws"
READ = interpreter(ambient=AmbientRule(everybody=True), endpoints=())


@pytest.fixture
def weak(stage: Stage) -> Iterator[Stage]:
    """Give the stage, and heal its weak registry afterwards."""
    yield stage
    stage.weak.wait_for(stage.weak.ecr.faults.heal)


@pytest.mark.real
def test_d01_a_source_that_fails_takes_no_login_away(weak: Stage) -> None:
    """IMPS leaves a failing source out of the merge and writes what is left to every target."""
    good = docker_source("d01-docker", host="d01.example.com", password="d01-password")
    minted_one = ecr("d01-ecr", weak.weak, region="eu-west-2")
    weak.serve("d01-docker", good)
    weak.serve("d01", team("d01", "d01-ecr", "d01-docker"), minted_one, namespaces=spaces("d01"))
    weak.await_synced("d01", 6)
    before, writes = weak.logins("d01-"), Writes(weak, "d01-")
    weak.weak.call(weak.weak.ecr.faults.fail, "ThrottlingException")
    weak.serve("d01-docker", {**good, "stringData": {KEY: '{"auths": {'}})
    sync(weak.site, "d01")
    weak.await_reason("d01", "SourceError")
    until(lambda: {one["name"] for one in failing(weak, "d01")} == {"d01-ecr", "d01-docker"}, "both failures are told")
    assert [set(one) for one in before] == [{"d01.example.com", ACCOUNT_HOST.format("123456789012", "eu-west-2")}] * 6
    assert (weak.logins("d01-"), writes.seen()) == (before, [])
    weak.serve("d01-docker", good)


def failing(stage: Stage, policy: str) -> list[dict[str, str]]:
    """Return the credentials of a policy that say why they fail."""
    return [one for one in stage.program.policy(policy)["credentials"] if one.get("reason")]


@pytest.mark.anyio
async def test_d02_an_expired_token_is_never_called_ready(actors: Actors) -> None:
    """IMPS serves a token past its end as a success, with a negative validity."""
    actors.cluster("a", *many(3))
    actors.hub.put(fake_policy(sources=("ecr",)), minted())
    async with actors.running() as service:
        await settled(service)
        assert (ready(service)[0], status_of(service).status) == ("True", "Ready")
        actors.provider.error = Transient("503")
        await anyio.sleep(LIFE + 60)
        assert ready(service)[0] == "False"
        assert status_of(service).status == "Failed"


@pytest.mark.anyio
async def test_d03_a_token_is_kept_while_nobody_asks_for_it(actors: Actors) -> None:
    """IMPS forgets a token five seconds after it was minted, mints at each pass and rewrites every target."""
    cluster = actors.cluster("a", *many(3))
    actors.hub.put(fake_policy(sources=("ecr",)), minted())
    async with actors.running() as service:
        await settled(service)
        await anyio.sleep(0.4 * LIFE)
        assert (len(actors.provider.mints), len(cluster.writes)) == (1, 3)
        await anyio.sleep(LIFE)
        assert 3 <= len(actors.provider.mints) <= 4
        assert len(cluster.writes) == 3 * len(actors.provider.mints)


@pytest.mark.real
def test_d04_two_roles_behind_one_key_never_share_a_token(stage: Stage) -> None:
    """IMPS caches by key and region, so the role that comes second gets the token of the first."""
    roles = {account: f"arn:aws:iam::{account}:role/pull" for account in ("111111111111", "222222222222")}
    sources = [
        ecr(f"d04-{account}", stage.registry, region="eu-west-3", accountID=account, roleArn=role)
        for account, role in roles.items()
    ]
    stage.serve("d04", team("d04", *(f"d04-{one}" for one in roles)), *sources, namespaces=spaces("d04", 1))
    stage.await_synced("d04", 2)
    owner = {issued.password: issued.account for issued in stage.registry.ecr.issued}
    for found in stage.logins("d04-"):
        delivered = {host: owner[password] for host, (_, password) in found.items()}
        assert delivered == {ACCOUNT_HOST.format(account, "eu-west-3"): account for account in roles}


def test_d04_the_name_of_an_identity_tells_roles_apart_and_gives_no_key_away() -> None:
    """IMPS's cache key leaves the role out and holds the secret key in plain text."""
    other = ROLE.replace("pull", "push")
    identities = [identity(**KEYS), identity(**KEYS, roleArn=ROLE), identity(**KEYS, roleArn=other)]
    assert len(set(identities)) == 3
    assert MARK not in "".join(identities)


def identity(**data: str) -> str:
    source = READ(ecr_secret(**data))
    assert isinstance(source, MintSource), source
    return source.identity.key


@pytest.mark.real
def test_d05_a_region_that_hangs_holds_nobody_else(stage: Stage) -> None:
    """IMPS holds one lock over every call to AWS, so that one slow region blocks every policy."""
    with Gate(free_port()) as mute:
        hanging = ecr("d05-hanging", stage.registry, ecrEndpointURL=mute.url.replace("https", "http"))
        stage.serve("d05-hanging", team("d05-hanging", "d05-hanging"), hanging, namespaces=["d05-hanging-0"])
        until(lambda: stage.program.policy("d05-hanging"), "the hanging source is being asked")
        good = ecr("d05", stage.registry, region="eu-central-1")
        stage.serve("d05", team("d05", "d05", namespaces={"names": ["d05-0"]}), good, namespaces=["d05-0"])
        stage.await_synced("d05", 2)
        assert stage.program.policy("d05-hanging")["targets"]["inSync"] == 0
        stage.site.drop("d05-hanging.yaml")


@pytest.mark.anyio
async def test_d06_a_registry_that_fails_is_not_asked_every_five_seconds(actors: Actors) -> None:
    """IMPS asks AWS every five seconds for as long as a refresh fails: some 4 300 times in six hours."""
    actors.cluster("a", *many(1))
    actors.hub.put(fake_policy(sources=("ecr",)), minted())
    async with actors.running() as service:
        await settled(service)
        actors.provider.error = Transient("503")
        await anyio.sleep(0.45 * LIFE)
        asked = len(actors.provider.mints)
        await anyio.sleep(6 * HOUR)
        assert 60 <= len(actors.provider.mints) - asked <= 200


@pytest.mark.parametrize(
    ("data", "hosts"),
    [
        ({"region": "cn-north-1"}, ["123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"]),
        ({"region": "us-iso-east-1"}, ["123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov"]),
        ({"region": "eusc-de-east-1"}, ["123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu"]),
        (
            {"accountIDs": "210987654321"},
            ["123456789012.dkr.ecr.eu-west-1.amazonaws.com", "210987654321.dkr.ecr.eu-west-1.amazonaws.com"],
        ),
        (
            {"registryHosts": f"{FIPS},{DUAL_STACK}"},
            [FIPS, DUAL_STACK],
        ),
        ({"registryHosts": "*.dkr.ecr.eu-west-1.amazonaws.com"}, ["*.dkr.ecr.eu-west-1.amazonaws.com"]),
    ],
)
def test_d07_the_host_of_a_registry_is_not_always_under_amazonaws_com(data: dict[str, str], hosts: list[str]) -> None:
    """IMPS writes ACCOUNT.dkr.ecr.REGION.amazonaws.com in every partition, one host for each source."""
    source = READ(ecr_secret(**KEYS, **data))
    assert isinstance(source, MintSource), source
    assert list(source.registries) == hosts


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"roleArn": ROLE},
        {"roleArn": ROLE, "externalID": "tenant:7", "sessionName": "team-a"},
        {**KEYS, "sessionToken": "a-session-token"},
    ],
)
def test_d08_keys_that_live_for_ever_are_not_demanded(data: dict[str, str]) -> None:
    """IMPS refuses a source without accessKeyID and secretKey, and knows no external ID and no session."""
    source = READ(ecr_secret(**data))
    assert isinstance(source, MintSource), source
    assert source.identity.request == {"region": "eu-west-1", **data}


@pytest.mark.real
def test_d09_of_two_sources_for_one_registry_the_first_wins_every_time(stage: Stage) -> None:
    """IMPS merges in the order of a Go map: the winner changes from pass to pass, and the targets with it."""
    first, second = (docker_source(f"d09-{n}", host="d09.example.com", password=f"password-{n}") for n in (1, 2))
    stage.serve("d09-second", second)
    stage.serve("d09", team("d09", "d09-1", "d09-2"), first, namespaces=spaces("d09"))
    stage.await_synced("d09", 6)
    writes = Writes(stage, "d09-")
    for turn in range(3):
        changed = docker_source("d09-2", host="d09.example.com", password=f"another-{turn}")
        stage.serve("d09-second", changed)
        sync(stage.site, "d09")
    stage.serve("d09x", team("d09x", "d09-1"), namespaces=spaces("d09x", 1))
    stage.await_synced("d09x", 2)  # so the changes before were taken up too
    assert stage.logins("d09-") == [{"d09.example.com": ("robot", "password-1")}] * 6
    assert writes.seen() == []


@pytest.mark.real
def test_d10_no_field_of_a_docker_config_is_lost(stage: Stage) -> None:
    """IMPS drops identitytoken, registrytoken and email, blanks the user of an auth, and refuses a dockercfg."""
    auth = base64.b64encode(b"user:word").decode()
    auths = {
        "identity.example.com": {"auth": base64.b64encode(b"0000:").decode(), "identitytoken": "an-identity"},
        "token.example.com": {"registrytoken": "a-registry-token"},
        "mail.example.com": {"auth": auth, "email": "me@example.com"},
    }
    new = {**docker_source("d10-new", password="x"), "stringData": {KEY: json.dumps({"auths": auths})}}
    legacy = {
        **docker_source("d10-legacy", password="x"),
        "type": "kubernetes.io/dockercfg",
        "stringData": {".dockercfg": json.dumps({"legacy.example.com": {"auth": auth}})},
    }
    stage.serve("d10", team("d10", "d10-new", "d10-legacy"), new, legacy, namespaces=spaces("d10", 1))
    stage.await_synced("d10", 2)
    login = {"username": "user", "password": "word", "auth": auth}
    assert config(by_namespace(stage.east)["d10-0"]) == {
        "identity.example.com": {**auths["identity.example.com"], "username": "0000", "password": ""},
        "token.example.com": auths["token.example.com"],
        "mail.example.com": {**login, "email": "me@example.com"},
        "legacy.example.com": login,
    }


def config(secret: Manifest) -> Manifest:
    decoded: Manifest = json.loads(base64.b64decode(secret["data"][KEY]))["auths"]
    return decoded


@pytest.mark.real
def test_d11_no_answer_of_a_registry_ends_the_service(weak: Stage) -> None:
    """IMPS dereferences a missing expiry, indexes past a token without a colon, and dies of either."""
    source = ecr("d11", weak.weak, region="eu-north-1")
    weak.serve("d11", team("d11", "d11"), source, namespaces=spaces("d11", 1))
    weak.await_synced("d11", 2)
    pid = weak.program.pid
    for nonsense in Nonsense:
        weak.weak.call(weak.weak.ecr.faults.talk_nonsense, nonsense)
        asks_again(weak, "d11", nonsense.value)
    weak.weak.wait_for(weak.weak.ecr.faults.heal)
    sync(weak.site, "d11")
    until(lambda: set(passwords(weak, "d11-")) == {weak.weak.newest}, "a good token is delivered afterwards")
    assert (weak.program.pid, weak.program.running) == (pid, True)
    assert weak.program.metric("imps_actor_restarts_total") == 0


def asks_again(stage: Stage, policy: str, what: str) -> None:
    mints = stage.weak.mints
    sync(stage.site, policy)
    until(lambda: stage.weak.mints > mints, f"the registry was asked and gave: {what}")


def passwords(stage: Stage, prefix: str) -> list[str]:
    return [password for found in stage.logins(prefix) for _, password in found.values()]
