import json
import socket
from collections.abc import Mapping

import aiohttp
import anyio
import pytest

from imps_multi.model.names import PolicyName
from imps_multi.model.status import (
    ClusterView,
    HeldStatus,
    HubView,
    PolicyStatus,
    PolicyView,
    ServiceStatus,
)
from imps_multi.telemetry.address import Address, parse_address
from imps_multi.telemetry.health import answer
from imps_multi.telemetry.metrics import Metrics
from imps_multi.telemetry.server import AddressError, HttpServers, Service, services

pytestmark = pytest.mark.anyio

STATUS = ServiceStatus(
    version="1.2.3",
    hub=HubView(id="mgmt", synced=True, whole=True),
    clusters=[
        ClusterView(name="prod-1", uid="u", labels={"env": "prod"}, state="Up", last_contact="2026-01-01T00:00:00Z")
    ],
    policies=[PolicyView(name=PolicyName("p"), generation=1, secret_name="pull", status=PolicyStatus())],
    held=[HeldStatus(id="abc", deletions=3, why="too many", policy="p", clusters=["prod-1"])],
)


def wanted(
    metrics: str = "127.0.0.1:0", health: str = "127.0.0.1:0", status: str = "127.0.0.1:0", *, not_ready: str = ""
) -> list[Service]:
    return services(
        metrics_address=metrics,
        health_address=health,
        status_address=status,
        metrics=Metrics(),
        live=lambda: {"event-loop": ""},
        ready=lambda: {"configuration": "", "hub": not_ready},
        status=lambda: STATUS,
    )


async def get(address: Address, path: str, *, method: str = "GET") -> tuple[int, Mapping[str, str], str]:
    async with aiohttp.ClientSession() as session, session.request(method, f"http://{address}{path}") as answered:
        return answered.status, answered.headers, await answered.text()


async def test_all_services_answer_on_one_shared_address() -> None:
    with anyio.fail_after(10):
        async with HttpServers(wanted()) as servers:
            (address,) = {one for bound in servers.bound.values() for one in bound}
            for path in ("/metrics", "/healthz", "/livez", "/readyz", "/api/v1/status", "/"):
                status, headers, _ = await get(address, path)
                assert (path, status) == (path, 200)
                assert headers["Server"] == "imps-multi"
                assert headers["Cache-Control"] == "no-store"


async def test_services_on_addresses_of_their_own_answer_nothing_else_and_an_empty_one_is_off() -> None:
    with anyio.fail_after(10):
        async with HttpServers(wanted(health="localhost:0", status="")) as servers:
            assert sorted(servers.bound) == ["telemetry.healthAddress", "telemetry.metricsAddress"]
            assert (await get(servers.bound["telemetry.metricsAddress"][0], "/metrics"))[0] == 200
            assert (await get(servers.bound["telemetry.metricsAddress"][0], "/livez"))[0] == 404


async def test_an_ipv6_address_can_be_listened_on() -> None:
    with anyio.fail_after(10):
        async with HttpServers(wanted(metrics="[::1]:0", health="", status="")) as servers:
            (address,) = servers.bound["telemetry.metricsAddress"]
            assert str(address).startswith("[::1]:")
            assert (await get(address, "/metrics"))[0] == 200


async def test_metrics_speak_openmetrics_when_asked() -> None:
    with anyio.fail_after(10):
        async with HttpServers(wanted()) as servers:
            url = f"http://{servers.bound['telemetry.metricsAddress'][0]}/metrics"
            accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
            async with aiohttp.ClientSession() as session, session.get(url, headers=accept) as answered:
                assert answered.headers["Content-Type"].startswith("application/openmetrics-text")
                assert (await answered.text()).endswith("# EOF\n")


async def test_the_status_is_camel_case_json_with_every_field_and_no_null_in_a_policy() -> None:
    with anyio.fail_after(10):
        async with HttpServers(wanted()) as servers:
            _, headers, text = await get(servers.bound["telemetry.statusAddress"][0], "/api/v1/status")
    assert headers["Content-Type"] == "application/json"
    body = json.loads(text)
    assert sorted(body) == ["clusters", "configuration", "credentials", "held", "hub", "policies", "version"]
    assert body["clusters"][0]["nextAttempt"] is None
    assert body["clusters"][0]["lastContact"] == "2026-01-01T00:00:00Z"
    assert body["policies"][0]["secretName"] == "pull"
    assert body["policies"][0]["status"]["managedNamespacesTotal"] == 0
    assert body["held"] == [{"id": "abc", "deletions": 3, "why": "too many", "policy": "p", "clusters": ["prod-1"]}]
    assert "null" not in json.dumps(body["policies"])


async def test_nothing_can_be_changed_through_the_status_address() -> None:
    with anyio.fail_after(10):
        async with HttpServers(wanted()) as servers:
            address = servers.bound["telemetry.statusAddress"][0]
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                assert (await get(address, "/api/v1/status", method=method))[0] == 405


async def test_readiness_fails_until_the_hub_is_synced_and_liveness_does_not() -> None:
    with anyio.fail_after(10):
        async with HttpServers(wanted(not_ready="not synced yet")) as servers:
            address = servers.bound["telemetry.healthAddress"][0]
            assert (await get(address, "/livez"))[0] == 200
            status, _, text = await get(address, "/readyz")
    assert status == 503
    assert text == "[+]configuration ok\n[-]hub failed: not synced yet\nreadyz check failed\n"


def test_details_are_told_when_asked_for() -> None:
    assert answer("livez", {"event-loop": ""}, verbose=False) == (200, "ok")
    assert answer("livez", {"event-loop": ""}, verbose=True) == (200, "[+]event-loop ok\nlivez check passed\n")


async def test_an_address_that_is_taken_is_named_with_its_setting_and_nothing_stays_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, anyio.fail_after(10):
        port = taken.getsockname()[1]
        servers = HttpServers(wanted(health=f"127.0.0.1:{port}"))
        with pytest.raises(AddressError, match=rf"^telemetry.healthAddress: 127.0.0.1:{port}: something else listens"):
            await servers.__aenter__()
        free = servers.bound["telemetry.metricsAddress"][0]
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(free, "/metrics")


async def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(AddressError, match=r'telemetry\.statusAddress: "8082" is no address'):
        await HttpServers(wanted(status="8082")).__aenter__()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":8080", None, 8080),
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("[::1]:0", "::1", 0),
        ("my-host.example:80", "my-host.example", 80),
    ],
)
def test_addresses_are_read_and_written_alike(text: str, host: str | None, port: int) -> None:
    assert parse_address(text) == Address(host, port)
    assert str(Address(host, port)) == text


@pytest.mark.parametrize("text", ["8080", "host", "host:", "::1:80", "a:65536", "a b:1", "[::1]", "http://a:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        parse_address(text)


def test_the_empty_address_is_off() -> None:
    assert parse_address("") is None
