"""``doctor`` on clusters in another process: what it finds, what it shows, how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from imps_multi.cli.doctor import permissions
from imps_multi.cli.role import rules
from tests.cli.running import invoke
from tests.cli.site import Site, standing


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three clusters of which each test may break one."""
    with standing(tmp_path_factory.mktemp("doctor"), clusters=3, namespaces=1) as made:
        yield made


@pytest.fixture(autouse=True)
def _mended(site: Site) -> Iterator[None]:
    yield
    site.fault("cluster-001", fault="allow")
    site.fault("cluster-002", fault="heal")


def test_exactly_the_permissions_of_the_printed_role_are_asked_for() -> None:
    asked = {(one.group, one.resource, one.verb, one.name) for one in permissions(["pull", "b"])}
    granted = {
        (group, resource, verb, name)
        for rule in rules(["pull", "b"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }
    assert asked == granted


def test_where_all_is_right_each_subject_has_one_line(site: Site) -> None:
    done = site.run("doctor")
    assert (done.returncode, done.stderr.splitlines()[-1].endswith(" ok")) == (0, True)
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["SUBJECT", "STATE", "FINDING"]
    assert [row.split("   ")[0] for row in rows] == [
        "hub mgmt",
        "source registry-access/dockerhub",
        "cluster cluster-000",
        "cluster cluster-001",
        "cluster cluster-002",
    ]
    assert "permissions: all 13" in rows[2]


def test_what_is_refused_and_what_is_away_are_told_apart(site: Site) -> None:
    site.fault("cluster-002", fault="refuse")
    away = site.run("check", "-o", "json")
    assert away.returncode == 3
    assert [one["subject"] for one in json.loads(away.stdout) if one["state"] == "unreachable"] == [
        "cluster cluster-002"
    ]
    site.fault("cluster-001", fault="deny", verb="delete", resource="secrets")
    both = site.run("doctor")
    assert both.returncode == 1
    renew = "imps-multi rbac --role target -c imps-multi.yaml"
    assert both.stdout.splitlines()[1].endswith(f"may not delete secrets/registry-pull; apply the role: {renew}")
    site.fault("cluster-001", fault="deny", verb="patch", resource="secrets")
    several = site.run("doctor").stdout.splitlines()
    assert several[1].split("   ")[-1].startswith("permission (one of 2): may not delete ")
    assert several[2].startswith("cluster cluster-002 ")


def test_an_imps_that_leads_in_a_cluster_is_found(site: Site) -> None:
    lease = {
        "metadata": {"name": "73de1ad9.banzaicloud.io", "namespace": "default"},
        "spec": {"holderIdentity": "imps", "renewTime": "2999-01-01T00:00:00.000000Z"},
    }
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    site.call("POST", leases, lease)
    done = site.run("doctor", "--kubeconfig", "fleet.kubeconfig", "--context", "*-000")
    assert done.returncode == 1
    assert "IMPS: an IMPS operator leads there" in done.stdout
    site.call("DELETE", f"{leases}/73de1ad9.banzaicloud.io")


def test_a_kubeconfig_alone_is_enough(site: Site) -> None:
    done = site.run("doctor", "--kubeconfig", "fleet.kubeconfig", "--context", "*-001", "--secret-name", "pull")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2)
    assert "permissions: all 13" in done.stdout
    none = site.run("doctor", "--kubeconfig", "fleet.kubeconfig", "--context", "prod")
    assert (none.returncode, none.stderr) == (2, "no context of fleet.kubeconfig matches prod\n")


def test_a_hub_in_a_cluster_without_its_definition_and_namespace_is_found(site: Site) -> None:
    hub = "{id: mgmt, kubeconfig: ./fleet.kubeconfig, context: cluster-000, namespace: no-such}"
    (site.root / "in-cluster.yaml").write_text(
        f"hub: {hub}\nclusters: [{{name: a, kubeconfig: ./fleet.kubeconfig, context: cluster-001}}]\n"
    )
    done = site.run("doctor", "-c", "in-cluster.yaml")
    assert done.returncode == 1
    assert "CRD: ImagePullSecret is not installed" in done.stdout
    assert "make it: kubectl create namespace no-such" in done.stdout


def test_a_broken_hub_is_found(site: Site) -> None:
    broken = site.root / "hub" / "broken.yaml"
    broken.write_text("a: [")
    done = site.run("doctor", "-o", "wide")
    broken.unlink()
    assert done.returncode == 1
    assert "hub/broken.yaml:2:1" in done.stdout.splitlines()[1]


def test_with_nothing_to_look_at_it_says_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("doctor")
    assert (result.exit_code, result.stderr) == (
        2,
        "there is no imps-multi.yaml here; give --config FILE, or --kubeconfig FILE\n",
    )
    assert invoke("doctor", "--context", "a").exit_code == 2
    assert invoke("doctor", "--kubeconfig", "none").exit_code == 2
