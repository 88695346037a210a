"""The process's own Azure identities over real HTTP: the workload's token and the machine's managed identity."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imps_multi.ports import Forbidden, Invalid, PortError, Provider, Reason, Throttled, Transient, Unauthorized
from imps_multi.registries.providers import Providers

from .azure_mints import mint, own, refused
from .fake_azure import CLIENT, NOW, SERVICE, TENANT, FakeAzure, cluster_token, fake_azure
from .secrets import MARK, listed
from .token_server import Said, said

OTHER = "33333333-3333-3333-3333-333333333333"
ACCOUNT = "system:serviceaccount:imps-multi:imps-multi"

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no identity of this machine's own."""
    for name in ("CLIENT_ID", "TENANT_ID", "FEDERATED_TOKEN_FILE", "AUTHORITY_HOST", "POD_IDENTITY_AUTHORITY_HOST"):
        monkeypatch.delenv(f"AZURE_{name}", raising=False)
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def azure() -> Iterator[FakeAzure]:
    with fake_azure() as fake:
        yield fake


@pytest.fixture
def provider() -> Provider:
    return Providers(lambda: NOW, listed).provider_for("azure")


@pytest.fixture
def machine(azure: FakeAzure, monkeypatch: pytest.MonkeyPatch) -> FakeAzure:
    """Have the managed identity's endpoint where the process's own settings say."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", azure.machine.url)
    return azure


@pytest.fixture
def workload(azure: FakeAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], object]:
    """Have what the workload identity's webhook gives a pod; returns what writes the token's file anew."""
    path = tmp_path / "token"
    path.write_text(cluster_token(ACCOUNT))
    azure.subjects[OTHER] = ACCOUNT
    azure.pullers.add(OTHER)
    for name, value in {
        "AZURE_FEDERATED_TOKEN_FILE": str(path),
        "AZURE_CLIENT_ID": OTHER,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_AUTHORITY_HOST": f"{azure.entra.url}/",
    }.items():
        monkeypatch.setenv(name, value)
    return path.write_text


@pytest.mark.usefixtures("workload")
async def test_a_workload_shows_its_token_where_its_own_settings_say(azure: FakeAzure, provider: Provider) -> None:
    await mint(provider, own(azure))
    (login,), (exchange,) = azure.entra.heard, azure.registry.heard
    assert (login.form["client_id"], login.form["client_assertion"]) == (OTHER, cluster_token(ACCOUNT))
    assert exchange.form["tenant"] == TENANT
    assert "client_assertion" not in exchange.form


async def test_a_workload_s_token_is_read_anew(
    azure: FakeAzure, workload: Callable[[str], object], provider: Provider
) -> None:
    await mint(provider, own(azure))
    workload(f"{cluster_token(ACCOUNT)}\n")
    azure.subjects[OTHER] = "system:serviceaccount:imps-multi:other"
    error = await refused(provider, own(azure))
    assert "AADSTS700213, no federated credential of the application fits the token's subject" in str(error)
    workload(cluster_token("system:serviceaccount:imps-multi:other"))
    await mint(provider, own(azure))


@pytest.mark.usefixtures("workload")
async def test_a_source_may_name_another_client_of_the_workload(azure: FakeAzure, provider: Provider) -> None:
    azure.subjects[CLIENT] = ACCOUNT
    await mint(provider, own(azure, clientID=CLIENT))
    assert azure.entra.heard[0].form["client_id"] == CLIENT


@pytest.mark.usefixtures("workload")
async def test_a_workload_without_settings_says_which_are_missing(
    azure: FakeAzure, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_CLIENT_ID")
    error = await refused(provider, own(azure))
    assert str(error) == "the process's own workload identity: AZURE_CLIENT_ID not set"
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent/token")
    error = await refused(provider, own(azure, clientID=CLIENT))
    assert isinstance(error, Unauthorized)
    assert "its token's file cannot be read (FileNotFoundError)" in str(error)


async def test_a_workload_that_is_asked_for_and_is_not_there_is_no_managed_identity(
    machine: FakeAzure, provider: Provider
) -> None:
    error = await refused(provider, own(machine, identity="workload"))
    assert "AZURE_FEDERATED_TOKEN_FILE and AZURE_TENANT_ID and AZURE_CLIENT_ID not set" in str(error)
    assert not machine.machine.heard


async def test_the_machine_s_identity_asks_for_the_registry_s_audience(machine: FakeAzure, provider: Provider) -> None:
    await mint(provider, own(machine))
    (asked,) = machine.machine.heard
    assert "client_id" not in asked.path
    assert asked.headers["metadata"] == "true"
    assert "tenant" not in machine.registry.heard[0].form


@pytest.mark.usefixtures("workload")
async def test_a_machine_s_identity_can_be_asked_for_and_named(machine: FakeAzure, provider: Provider) -> None:
    """A process may have both; azure-identity by itself would take the workload's."""
    machine.assigned.append(CLIENT)
    await mint(provider, own(machine, identity="managed", clientID=CLIENT))
    assert f"client_id={CLIENT}" in machine.machine.heard[0].path
    assert not machine.entra.heard


async def test_an_app_service_is_asked_as_it_says(
    azure: FakeAzure, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{azure.machine.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", SERVICE)
    azure.assigned.append(CLIENT)
    await mint(provider, own(azure, clientID=CLIENT))
    assert azure.machine.heard[0].path.startswith("/msi/token?")


async def test_an_identity_that_is_not_assigned_is_said(machine: FakeAzure, provider: Provider) -> None:
    error = await refused(provider, own(machine, clientID=OTHER))
    assert isinstance(error, Unauthorized)
    assert "there is no managed identity here, or not the one that clientID names" in str(error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Said(404), Transient),
        (Said(410), Transient),
        (Said(500), Transient),
        (Said(429, b"{}", {"Retry-After": "7"}), Throttled),
        (Said(410, b"{}", {"Retry-After": "7"}), Throttled),
        (Said(200, MARK.encode()), Invalid),
        (said(access_token=7), Invalid),
    ],
)
async def test_each_answer_of_the_machine_is_asked_for_once(
    machine: FakeAzure, provider: Provider, answer: Said, kind: type[PortError]
) -> None:
    machine.instead["machine"] = answer
    error = await refused(provider, own(machine))
    assert type(error) is kind
    assert str(error).startswith("the managed identity's token for ")
    assert len(machine.machine.heard) == 1


async def test_a_machine_without_identity_is_transient(
    azure: FakeAzure, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")
    error = await refused(provider, own(azure))
    assert isinstance(error, Transient)
    assert error.reason is Reason.UNREACHABLE


async def test_the_machine_is_asked_without_being_listed(machine: FakeAzure) -> None:
    await mint(Providers(lambda: NOW, lambda: (machine.host,)).provider_for("azure"), own(machine))


@pytest.mark.usefixtures("machine")
async def test_the_process_s_own_token_goes_to_no_registry_that_is_not_listed(azure: FakeAzure) -> None:
    provider = Providers(lambda: NOW, tuple).provider_for("azure")
    assert isinstance(await refused(provider, own(azure)), Forbidden)
    assert not azure.registry.heard
