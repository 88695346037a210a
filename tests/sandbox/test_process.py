"""The sandbox in a process of its own: what it prints, how it is steered, how it ends."""

import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from anyio.abc import Process

from tests.contract.client import Api
from tests.contract.manifests import secret
from tests.realcluster import pki

pytestmark = pytest.mark.anyio

WITHIN = 30.0


@asynccontextmanager
async def sandbox(*arguments: str) -> AsyncIterator[tuple[Process, dict[str, Any]]]:
    """Run it, and end it by closing its standard input."""
    command = [sys.executable, "-m", "imps_multi.sandbox", *arguments]
    with anyio.fail_after(WITHIN):
        async with await anyio.open_process(command, stderr=None) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            line = b""
            while not line.endswith(b"\n"):
                line += await process.stdout.receive()
            try:
                yield process, json.loads(line)
            finally:
                with anyio.move_on_after(WITHIN, shield=True):
                    await process.stdin.aclose()
                    await process.wait()


async def steer(session: aiohttp.ClientSession, method: str, url: str, body: object = None) -> Any:
    async with session.request(method, url, json=body) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_it_says_where_everything_is_and_ends_with_its_standard_input(session: aiohttp.ClientSession) -> None:
    async with sandbox("--clusters", "2", "--namespaces", "3", "--label", "team=a", "--foreign-secrets", "4") as (
        process,
        told,
    ):
        assert [cluster["name"] for cluster in told["clusters"]] == ["cluster-000", "cluster-001"]
        for cluster in told["clusters"]:
            api = Api(session, url=cluster["url"], token="", tls=None)
            assert (await api.get("/api/v1/namespaces", labelSelector="team=a")).names == [
                "ns-0000",
                "ns-0001",
                "ns-0002",
            ]
            assert len((await api.get("/api/v1/secrets")).names) == 4
            system = await api.get("/api/v1/namespaces/kube-system")
            assert system.body["metadata"]["uid"] == cluster["identity"]
    assert process.returncode == 0


async def test_it_ends_in_order_on_sigterm() -> None:
    async with sandbox() as (process, _told):
        process.terminate()
        assert await process.wait() == 0


async def test_it_is_steered_while_a_cluster_refuses(session: aiohttp.ClientSession) -> None:
    async with sandbox("--namespaces", "1") as (_process, told):
        api = Api(session, url=told["clusters"][0]["url"], token="", tls=None)
        control = f"{told['control']}/cluster-000"
        assert (await api.post("/api/v1/namespaces/ns-0000/secrets", secret())).status == 201
        counters = await steer(session, "GET", control)
        assert (counters["writes"], counters["counts"]["create secrets"]) == (1, 1)
        sums = await steer(session, "GET", f"{told['control']}/counts")
        assert sums == {"counts": counters["counts"], "statuses": counters["statuses"]}  # the others were asked nothing
        await steer(session, "POST", f"{control}/faults", {"fault": "fail", "code": 429, "times": 1, "retry_after": 3})
        assert (await api.get("/api/v1/secrets")).headers["Retry-After"] == "3"
        await steer(session, "POST", f"{control}/faults", {"fault": "refuse"})
        with pytest.raises(aiohttp.ClientConnectorError):
            await api.get("/api/v1/secrets")
        await steer(session, "POST", f"{control}/faults", {"fault": "heal"})
        await steer(session, "POST", f"{control}/clear")
        await steer(session, "POST", f"{control}/namespaces", {"names": ["new"], "labels": {"team": "b"}})
        assert (await api.get("/api/v1/namespaces", labelSelector="team=b")).names == ["new"]
        await steer(session, "POST", f"{control}/objects", [secret(namespace="new")])
        await steer(session, "DELETE", f"{control}/objects/Secret/ns-0000/pull")
        found = await steer(session, "GET", f"{control}/objects/Secret")
        assert [each["metadata"]["namespace"] for each in found] == ["new"]
        seen = await steer(session, "GET", f"{control}/requests")
        assert [(each["verb"], each["resource"]) for each in seen] == [("list", "namespaces")]
        assert (await steer(session, "GET", f"{told['control']}/usage"))["cpuSeconds"] > 0


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/cluster-000/faults", {"fault": "nonsense"}, 404),
        ("/cluster-000/faults", {"fault": "fail", "nonsense": 1}, 400),
        ("/cluster-000/namespaces", {"nonsense": 1}, 400),
        ("/cluster-999/clear", {}, 404),
        ("/cluster-000/nonsense", {}, 404),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(
    session: aiohttp.ClientSession, path: str, body: object, status: int
) -> None:
    async with sandbox() as (_process, told), session.post(told["control"] + path, json=body) as response:
        assert response.status == status


async def test_ecr_is_served_and_steered_too(session: aiohttp.ClientSession) -> None:
    async with sandbox("--ecr", "--lifetime", "60") as (_process, told):
        assert told["ecr"]["accessKeyID"].startswith("AKIA")
        async with session.post(told["ecr"]["url"], data="Action=GetCallerIdentity") as response:
            assert response.status == 403
        await steer(session, "POST", f"{told['control']}/ecr/faults", {"fault": "fail", "code": "ThrottlingException"})
        await steer(session, "POST", f"{told['control']}/ecr/lifetime", 30.0)
        await steer(session, "POST", f"{told['control']}/ecr/withdraw")
        found = await steer(session, "GET", f"{told['control']}/ecr")
        assert (found["calls"], found["issued"]) == ({"GetCallerIdentity": 1}, 0)


async def test_tls_a_token_and_a_kubeconfig(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    authority = pki.Authority("sandbox")
    certificate, key = pki.write(authority.serving(), tmp_path, "serving")
    ca, kubeconfig = tmp_path / "ca.crt", tmp_path / "kubeconfig"
    ca.write_bytes(authority.pem)
    files = ["--tls-cert", str(certificate), "--tls-key", str(key), "--ca", str(ca), "--kubeconfig", str(kubeconfig)]
    async with sandbox("--clusters", "2", "--token", "t0ken", *files) as (_process, told):
        tls = ssl.create_default_context(cafile=told["caFile"])
        url = told["clusters"][1]["url"]
        assert url.startswith("https://")
        assert (await Api(session, url=url, token="t0ken", tls=tls).get("/api/v1/namespaces")).status == 200
        assert (await Api(session, url=url, token="", tls=tls).get("/api/v1/namespaces")).status == 403
        assert (await Api(session, url=url, token="other", tls=tls).get("/api/v1/namespaces")).status == 401
        written = json.loads(kubeconfig.read_text())
        assert [context["name"] for context in written["contexts"]] == ["cluster-000", "cluster-001"]
        assert written["users"][0]["user"] == {"token": "t0ken"}
        assert kubeconfig.stat().st_mode & 0o777 == 0o600
