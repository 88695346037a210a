"""``clusters``: the fleet as configured, with what an instance says of it."""

import json
from pathlib import Path

import pytest

from imps_multi.cli import clusters as module
from imps_multi.model.status import ClusterView, HubView, ServiceStatus
from imps_multi.telemetry import status_client
from tests.cli.running import invoke

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: x, cluster: {server: "https://x.example:6443"}}]
users: [{name: u, user: {token: MARKED-s3cr3t}}]
contexts: [{name: a, context: {cluster: x, user: u}}, {name: b, context: {cluster: x, user: u}}]
"""
CONFIG = """\
hub: {id: mgmt, directory: .}
clusters:
  - {kubeconfig: ./k, contexts: ["*"], labels: {env: prod, tier: one}, overrides: [{contexts: [b], paused: true}]}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "k").write_text(KUBECONFIG)
    (tmp_path / "c.yaml").write_text(CONFIG)
    return str(tmp_path / "c.yaml")


def answer(monkeypatch: pytest.MonkeyPatch, hub: str) -> None:
    """Have an instance of a hub answer."""
    views = [ClusterView("a", "uid", {}, "Degraded", "Timeout", "no answer", version="v1.34.0")]
    told = ServiceStatus("1", HubView(hub, synced=True, whole=True), clusters=views)
    monkeypatch.setattr(status_client, "ask_status", lambda _url: told)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no instance answer."""

    def ask(_url: str) -> ServiceStatus:
        raise status_client.NoAnswer("nobody")

    monkeypatch.setattr(status_client, "ask_status", ask)


@pytest.mark.usefixtures("alone")
def test_without_an_instance_versions_are_empty_and_states_unknown(config: str) -> None:
    result = invoke("clusters", "-c", config)
    assert (result.exit_code, result.stderr) == (0, "2 clusters; no running instance tells their state\n")
    assert result.stdout.splitlines() == [
        "NAME   SERVER                   LABELS              VERSION   STATE     REASON",
        "a      https://x.example:6443   env=prod,tier=one             unknown",
        "b      https://x.example:6443   env=prod,tier=one             unknown",
    ]


def test_an_instance_of_the_same_hub_tells_version_and_state(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "mgmt")
    lines = invoke("clusters", "-c", config).stdout.splitlines()
    assert (
        " ".join(lines[1].split()) == "a https://x.example:6443 env=prod,tier=one v1.34.0 Degraded Timeout: no answer"
    )
    answer(monkeypatch, "another")
    assert "v1.34.0" not in invoke("clusters", "-c", config).stdout


@pytest.mark.usefixtures("alone")
def test_wide_and_data_have_settings_and_place(config: str) -> None:
    line = invoke("clusters", "-c", config, "-o", "wide").stdout.splitlines()[2]
    assert f"always         paused     {config}:3:5" in line
    row = json.loads(invoke("clusters", "-c", config, "-o", "json").stdout)[1]
    assert (row["name"], row["settings"], row["labels"]) == ("b", ["paused"], {"env": "prod", "tier": "one"})


@pytest.mark.usefixtures("alone")
def test_what_cannot_be_listed_says_why(config: str) -> None:
    assert invoke("clusters", "-c", f"{config}x").exit_code == 2
    assert invoke("clusters", "-c", config, "--url", "http://127.0.0.1:1").exit_code == module.UNREACHABLE
