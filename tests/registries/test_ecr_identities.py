"""Who asks for the token: chains of roles, each with a trust that the sandbox checks, and the process's profiles."""

import gc
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from imps_multi.model.credential import MintedToken, MintSource
from imps_multi.ports import Forbidden, Invalid, Unauthorized
from imps_multi.registries.aws_clients import MOST_CLIENTS
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.ecr import EcrProvider
from imps_multi.registries.rules import AmbientRule
from imps_multi.sandbox.ecr import SandboxEcr
from imps_multi.sandbox.identities import Trust
from imps_multi.sandbox.sigv4 import Credential

from .secrets import MARK, ecr, listed

FIRST, SECOND, LAST = (f"arn:aws:iam::{n * 12}:role/r{n}" for n in "123")

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sandbox(anyio_backend: str) -> AsyncIterator[SandboxEcr]:
    assert anyio_backend == "asyncio"
    async with SandboxEcr() as endpoint:
        yield endpoint


@pytest.fixture
def provider(sandbox: SandboxEcr) -> EcrProvider:
    return EcrProvider(lambda: sandbox._now().timestamp(), listed)


async def mint(provider: EcrProvider, sandbox: SandboxEcr, **data: str) -> MintedToken:
    urls = {"ecrEndpointURL": sandbox.url, "stsEndpointURL": sandbox.url}
    source = interpreter(ambient=AmbientRule(everybody=True), endpoints=("127.0.0.1",))(ecr(**urls, **data))
    assert isinstance(source, MintSource), source
    with anyio.fail_after(20):
        return await provider.mint(source.identity)


def keys(sandbox: SandboxEcr) -> dict[str, str]:
    return {"accessKeyID": sandbox.credential.access_key, "secretKey": sandbox.credential.secret_key}


def guard(sandbox: SandboxEcr, external_id: str = "") -> None:
    """Let each role be taken on by the one before it alone, under one session name; the last asks for more."""
    user = f"arn:aws:iam::{sandbox.account}:user/imps"
    first, second = (f"arn:aws:sts::{n * 12}:assumed-role/r{n}/team-a" for n in "12")
    sandbox.identities.trust |= {
        FIRST: Trust(by=user, session_name="team-a"),
        SECOND: Trust(by=first, session_name="team-a"),
        LAST: Trust(by=second, session_name="team-a", external_id=external_id),
    }


@pytest.mark.parametrize(
    "way",
    [{"roleChain": f"{FIRST}, {SECOND}, {LAST}"}, {"roleChain": f"{FIRST},{SECOND}", "roleArn": LAST}],
)
async def test_the_roles_of_a_chain_are_taken_on_one_after_the_other(
    sandbox: SandboxEcr, provider: EcrProvider, way: dict[str, str]
) -> None:
    guard(sandbox, external_id="tenant:7")
    token = await mint(provider, sandbox, **keys(sandbox), **way, sessionName="team-a", externalID="tenant:7")
    assert sandbox.is_valid(token.password)
    assert [each.account for each in sandbox.issued] == ["3" * 12]
    assert sandbox.calls["AssumeRole"] == 3


@pytest.mark.parametrize(
    ("more", "step"),
    [
        ({"roleChain": f"{SECOND},{FIRST},{LAST}", "externalID": "tenant:7"}, 1),
        ({"roleChain": f"{FIRST},{LAST},{SECOND}", "externalID": "tenant:7"}, 2),
        ({"roleChain": f"{FIRST},{SECOND},{LAST}", "externalID": "tenant:8"}, 3),
        ({"roleChain": f"{FIRST},{SECOND},{LAST}"}, 3),
        ({"roleChain": f"{FIRST},{SECOND},{LAST}", "externalID": "tenant:7", "sessionName": "other"}, 1),
    ],
)
async def test_a_chain_that_breaks_says_at_which_role(
    sandbox: SandboxEcr, provider: EcrProvider, more: dict[str, str], step: int
) -> None:
    guard(sandbox, external_id="tenant:7")
    with pytest.raises(Forbidden, match=rf"STS AssumeRole \(role {step} of 3\) in eu-west-1: AccessDenied"):
        await mint(provider, sandbox, **keys(sandbox), **{"sessionName": "team-a", **more})
    assert sandbox.mints == 0


@pytest.fixture
def profiles(sandbox: SandboxEcr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two profiles of two users beside an environment that names a third."""
    path = tmp_path / "credentials"
    for name, account in (("one", "1" * 12), ("two", "2" * 12)):
        user = Credential(f"AKIA{name.upper()}", f"secret-{name}")
        sandbox.identities.add_user(user, account=account)
        with path.open("a") as file:
            file.write(f"[{name}]\naws_access_key_id={user.access_key}\naws_secret_access_key={user.secret_key}\n")
    (tmp_path / "config").write_text(
        f"[profile pull]\nrole_arn={LAST}\nsource_profile=one\nexternal_id=x:1\nrole_session_name=from-file\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", sandbox.credential.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", sandbox.credential.secret_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sandbox.url)
    return path


@pytest.mark.usefixtures("profiles")
async def test_each_profile_s_own_key_asks(sandbox: SandboxEcr, provider: EcrProvider) -> None:
    for more in ({"profile": "one"}, {"profile": "two"}, {}):
        await mint(provider, sandbox, **more)
    assert [each.account for each in sandbox.issued] == ["1" * 12, "2" * 12, sandbox.account]


@pytest.mark.usefixtures("profiles")
async def test_a_profile_of_a_role_takes_it_on_as_the_file_says(sandbox: SandboxEcr, provider: EcrProvider) -> None:
    sandbox.identities.trust[LAST] = Trust(
        by=f"arn:aws:iam::{'1' * 12}:user/imps", external_id="x:1", session_name="from-file"
    )
    await mint(provider, sandbox, profile="pull")
    assert [each.account for each in sandbox.issued] == ["3" * 12]


@pytest.mark.usefixtures("profiles")
async def test_a_profile_is_where_a_chain_begins(sandbox: SandboxEcr, provider: EcrProvider) -> None:
    sandbox.identities.trust[FIRST] = Trust(by=f"arn:aws:iam::{'2' * 12}:user/imps")
    await mint(provider, sandbox, profile="two", roleChain=FIRST, roleArn=LAST)
    assert [each.account for each in sandbox.issued] == ["3" * 12]


def swap_names(path: Path) -> None:
    path.write_text(path.read_text().replace("[one]", "[old]").replace("[two]", "[one]"))


async def test_a_rotated_profile_is_taken_up(sandbox: SandboxEcr, provider: EcrProvider, profiles: Path) -> None:
    await mint(provider, sandbox, profile="one")
    swap_names(profiles)
    await mint(provider, sandbox, profile="one")
    assert [each.account for each in sandbox.issued] == ["1" * 12, "2" * 12]


async def test_a_profile_that_names_another_role_is_taken_up(
    sandbox: SandboxEcr, provider: EcrProvider, profiles: Path
) -> None:
    sandbox.identities.trust |= {role: Trust(by=f"arn:aws:iam::{'1' * 12}:user/imps") for role in (LAST, SECOND)}
    config = profiles.with_name("config")
    for role in (LAST, LAST, SECOND):
        config.write_text(f"[profile pull]\nrole_arn={role}\nsource_profile=one\n")
        await mint(provider, sandbox, profile="pull")
    assert [each.account for each in sandbox.issued] == ["3" * 12, "3" * 12, "2" * 12]


async def test_those_who_ask_the_same_endpoint_at_the_same_time_sign_with_their_own_keys(
    sandbox: SandboxEcr, provider: EcrProvider
) -> None:
    users = [Credential(f"AKIA{number:016}", f"secret-{number}", f"session-{number}" * 2) for number in range(12)]
    for number, user in enumerate(users):
        sandbox.identities.add_user(user, account=f"{number:012}")
    tokens: dict[str, str] = {}

    async def ask(number: int, user: Credential) -> None:
        data = {"accessKeyID": user.access_key, "secretKey": user.secret_key, "sessionToken": user.session_token}
        tokens[(await mint(provider, sandbox, **data)).password] = f"{number:012}"

    async with anyio.create_task_group() as group:
        for number, user in enumerate(users):
            group.start_soon(ask, number, user)
    assert {each.password: each.account for each in sandbox.issued} == tokens


async def test_many_regions_do_not_keep_a_client_each(sandbox: SandboxEcr, provider: EcrProvider) -> None:
    for number in range(MOST_CLIENTS + 4):
        await mint(provider, sandbox, **keys(sandbox), region=f"eu-west-{number}")
    assert len(provider._clients._made) == MOST_CLIENTS
    assert len({each.region for each in sandbox.issued}) == MOST_CLIENTS + 4


@pytest.mark.usefixtures("profiles")
async def test_a_profile_that_is_not_there_is_said_and_no_other_identity_asks(
    sandbox: SandboxEcr, provider: EcrProvider
) -> None:
    with pytest.raises(Unauthorized, match=r"\(a profile\) in eu-west-1: .*ProfileNotFound"):
        await mint(provider, sandbox, profile="nowhere")
    assert not sandbox.calls


async def test_profiles_that_cannot_be_read_are_said(
    sandbox: SandboxEcr, provider: EcrProvider, profiles: Path
) -> None:
    await anyio.Path(profiles).write_text(f"[default\n{MARK} = x\n")
    with pytest.raises(Invalid, match="own AWS files cannot be read") as caught:
        await mint(provider, sandbox, profile="nowhere")
    assert MARK not in str(caught.value)


@pytest.mark.usefixtures("profiles")
async def test_a_profile_costs_no_session_s_memory(sandbox: SandboxEcr, provider: EcrProvider) -> None:
    """A session that reads its data itself keeps 9 MB."""
    await mint(provider, sandbox, profile="pull")
    tracemalloc.start()
    try:
        for name in ("one", "pull", "two", "pull"):
            await mint(provider, sandbox, profile=name)
        gc.collect()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
    assert peak < 4_000_000
