"""``status``: asked of an instance, else of the hub's policies; how it ends."""

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from msgspec import structs

from imps_multi.cli import status as module
from imps_multi.cli import status_watch
from imps_multi.cli.status import exit_code
from imps_multi.model.status import (
    Condition,
    ConfigurationView,
    HeldStatus,
    HubView,
    PolicyStatus,
    PolicyView,
    ServiceStatus,
)
from imps_multi.telemetry.status_client import NoAnswer, ask_status, checked_url, url_of
from imps_multi.telemetry.status_json import encode_status
from tests.cli.running import invoke
from tests.cli.site import Site, policy


def policy_view(ready: str = "True", reason: str = "AllSynced") -> PolicyView:
    """Make a policy's view."""
    return PolicyView("team-a", 1, "pull", PolicyStatus(conditions=[Condition("Ready", ready, reason, "m", "t", 1)]))


HUB = HubView(id="mgmt", synced=True, whole=True)
FINE = ServiceStatus("1.0", HUB, policies=[policy_view()])


class Instance:
    """What answers in place of an instance."""

    def __init__(self) -> None:
        self.code = 200
        self.body = encode_status(FINE)
        self.paths: list[str] = []
        instance = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                instance.paths.append(self.path)
                self.send_response(instance.code)
                self.end_headers()
                self.wfile.write(instance.body)

            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def instance() -> Iterator[Instance]:
    made = Instance()
    thread = Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_an_instance_is_asked(instance: Instance) -> None:
    result = invoke("status", "--url", instance.url)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "POLICY   READY   TARGETS   EXPIRES   REASON"
    assert result.stderr == "0 of 0 clusters up; 1 of 1 policies ready; 0 of 0 targets in sync\n"
    assert instance.paths == ["/api/v1/status"]


def test_as_json_it_is_what_the_instance_said(instance: Instance) -> None:
    assert json.loads(invoke("status", "--url", f"{instance.url}/api/v1/status", "-o", "json").stdout) == json.loads(
        instance.body
    )


@pytest.mark.parametrize(("code", "body"), [(200, b"{}"), (200, b"<html>"), (404, b"")])
def test_what_is_no_instance_is_said_to_be_none(instance: Instance, code: int, body: bytes) -> None:
    instance.code, instance.body = code, body
    with pytest.raises(NoAnswer, match="is no instance of imps-multi"):
        ask_status(instance.url)


def test_where_nothing_answers_it_ends_with_three_and_says_what_to_do() -> None:
    with socket.socket() as taken:  # nobody else gets the port, and nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = invoke("status", "--url", url)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith(f"no instance answers at {url}: Connection refused\nStart one with ")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:8082", "http://127.0.0.1:8082"),
        (":9", "http://127.0.0.1:9"),
        ("0.0.0.0:9", "http://127.0.0.1:9"),
        ("[::]:9", "http://[::1]:9"),
        ("host.example:9", "http://host.example:9"),
        ("127.0.0.1:0", None),
        ("", None),
    ],
)
def test_the_address_that_is_listened_on_says_where_to_ask(address: str, url: str | None) -> None:
    assert url_of(address) == url


@pytest.mark.parametrize("text", ["ftp://a", "http://", "http://a:0", "http://a:x"])
def test_what_is_no_url_is_a_usage_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"no URL|Port"):
        checked_url(text)
    assert invoke("status", "--url", text).exit_code == 2


def test_a_configuration_says_where_to_ask(instance: Instance, tmp_path: Path) -> None:
    port = instance.server.server_port
    text = f'hub: {{id: a, directory: .}}\nclusters: []\ntelemetry: {{statusAddress: ":{port}"}}\n'
    (tmp_path / "c.yaml").write_text(text)
    assert invoke("status", "-c", str(tmp_path / "c.yaml")).exit_code == 0
    assert invoke("status", "-c", str(tmp_path / "none.yaml")).exit_code == 2


def test_an_instance_that_goes_on_with_the_last_good_configuration_is_asked(instance: Instance, tmp_path: Path) -> None:
    port = instance.server.server_port
    text = f'hub: {{id: a, directry: .}}\nclusters: []\ntelemetry: {{statusAddress: ":{port}"}}\n'
    (tmp_path / "c.yaml").write_text(text)
    result = invoke("status", "-c", str(tmp_path / "c.yaml"))
    assert (result.exit_code, instance.paths) == (0, ["/api/v1/status"])
    assert "directry: unknown field" in result.stderr
    instance.server.server_close()
    assert invoke("status", "-c", str(tmp_path / "c.yaml")).exit_code == 2


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (FINE, 0),
        (structs.replace(FINE, policies=[policy_view("False", "Conflict")]), 1),
        (structs.replace(FINE, policies=[policy_view("Unknown", "TargetUnreachable")]), 3),
        (structs.replace(FINE, policies=[policy_view("Unknown", "Suspended")]), 0),
        (structs.replace(FINE, hub=HubView("a", synced=True, whole=False)), 1),
        (structs.replace(FINE, held=[HeldStatus("h", 1, "why")]), 1),
        (structs.replace(FINE, configuration=ConfigurationView(last_reload_successful=False)), 1),
    ],
)
def test_it_ends_with_what_is_wrong_before_what_is_away(found: ServiceStatus, code: int) -> None:
    assert exit_code(found) == code


def test_changes_are_printed_as_they_come_and_an_interruption_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same status twice is printed once; so is that nothing answers."""
    told: list[ServiceStatus | Exception] = [
        FINE,
        FINE,
        module.Unreached("nobody"),
        module.Unreached("nobody"),
        structs.replace(FINE, policies=[policy_view("False", "Conflict")]),
    ]

    def ask() -> ServiceStatus:
        if not told:
            raise KeyboardInterrupt
        one = told.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(module, "asking", lambda _config, _url: ask)
    monkeypatch.setattr(status_watch, "EVERY", 0.0)
    result = invoke("status", "--watch")
    assert result.exit_code == 130
    assert [line.split()[1] for line in result.stdout.splitlines() if line.startswith("team-a")] == ["True", "False"]
    assert result.stderr.count("nobody") == 1


def test_without_an_instance_the_policies_of_a_hub_in_a_cluster_are_shown(site: Site) -> None:
    config = (
        "hub: {id: mgmt, kubeconfig: ./fleet.kubeconfig, context: cluster-000}\n"
        "clusters:\n  - {kubeconfig: ./fleet.kubeconfig, contexts: ['*']}\n"
        'telemetry: {statusAddress: "127.0.0.1:0"}\n'
    )
    (site.root / "in-cluster.yaml").write_text(config)
    import yaml

    made = yaml.safe_load(policy())
    made["status"] = {"status": "Ready", "conditions": [{"type": "Ready", "status": "True", "reason": "AllSynced"}]}
    site.call("POST", "/apis/images.banzaicloud.io/v1alpha1/imagepullsecrets", made)
    done = site.run("status", "-c", "in-cluster.yaml", "-o", "json")
    assert "this is what the hub's policies show" in done.stderr
    assert [one["name"] for one in json.loads(done.stdout)["policies"]] == ["team-a"]
    assert site.run("status").returncode == 3  # the hub of that configuration is a directory
