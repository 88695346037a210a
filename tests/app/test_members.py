"""From a configuration to the fleet and its hub: which context is meant, and which cluster is the hub's own."""

from pathlib import Path

import pytest

from imps_multi.app.assembly import rules
from imps_multi.app.members import everything_wrong, hub_connection, members
from imps_multi.config.load import InvalidConfiguration, Loaded, load
from imps_multi.kube.shared import Shared
from imps_multi.model.names import HubId
from imps_multi.model.policy import InvalidPolicy, Policy
from imps_multi.model.policy_parse import parse_policy

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: {current}
clusters:
  - {{name: mgmt, cluster: {{server: "https://127.0.0.1:1"}}}}
  - {{name: prod, cluster: {{server: "https://127.0.0.1:2"}}}}
users: [{{name: u, user: {{token: t}}}}]
contexts:
  - {{name: mgmt, context: {{cluster: mgmt, user: u}}}}
  - {{name: prod, context: {{cluster: prod, user: u}}}}
"""
MANIFEST = {
    "apiVersion": "images.banzaicloud.io/v1alpha1",
    "kind": "ImagePullSecret",
    "metadata": {"name": "a"},
    "spec": {
        "registry": {"credentials": [{"name": "s", "namespace": "n"}]},
        "target": {"secret": {"name": "pull"}},
    },
}


@pytest.fixture
def shared() -> Shared:
    return Shared(hub=HubId("a"))


def loaded(tmp_path: Path, hub: str, *, current: str = "prod", clusters: str = "['*']") -> Loaded:
    (tmp_path / "k").write_text(KUBECONFIG.format(current=current))
    path = tmp_path / "c.yaml"
    path.write_text(f"hub: {{id: a, {hub}}}\nclusters:\n  - {{kubeconfig: k, contexts: {clusters}}}\n")
    return load(path, {})


def test_the_hub_is_the_named_context_or_the_current_one(tmp_path: Path) -> None:
    for hub, server in (("kubeconfig: k, context: mgmt", 1), ("kubeconfig: k", 2)):
        connection = hub_connection(loaded(tmp_path, hub))
        assert connection is not None
        assert connection.server == f"https://127.0.0.1:{server}"
    assert hub_connection(loaded(tmp_path, "directory: d")) is None


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("https://127.0.0.1:2", "127.0.0.1:2"),
        ("https://1A2B.gr7.eu-west-1.eks.amazonaws.com", "1A2B.gr7.eu-west-1.eks.amazonaws.com"),
        ("https://[fd00::1]:6443/k8s/clusters/c-1", "[fd00::1]:6443"),
    ],
)
def test_the_hosts_in_use_are_the_fleet_s_and_the_hub_s_as_requests_to_them_are_counted(
    tmp_path: Path, shared: Shared, server: str, host: str
) -> None:
    """Whatever is counted of a host that is not in use is dropped after a while."""
    given = loaded(tmp_path, "kubeconfig: k, context: mgmt", clusters="[prod]")
    (tmp_path / "k").write_text(KUBECONFIG.format(current="prod").replace("https://127.0.0.1:2", server))
    assert members(given, shared).hosts == {"127.0.0.1:1", host}


@pytest.mark.parametrize(
    ("hub", "current", "expected"),
    [
        (
            "kubeconfig: k, context: mgnt",
            "prod",
            '1:29: hub.context: k: there is no context "mgnt" (did you mean "mgmt"?)',
        ),
        ("kubeconfig: k", '""', "1:14: hub.kubeconfig: k: has no current-context"),
        ("kubeconfig: nowhere", "prod", "1:14: hub.kubeconfig: nowhere: cannot be read"),
        ("inCluster: true", "prod", "hub.inCluster: "),
    ],
)
def test_a_hub_that_cannot_be_is_told_with_its_place(
    tmp_path: Path, shared: Shared, hub: str, current: str, expected: str
) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        members(loaded(tmp_path, hub, current=current), shared)
    assert expected in str(caught.value).replace(f"{tmp_path}/", "")


def test_a_policy_without_clusters_is_for_the_hubs_own_cluster_where_it_is_in_the_fleet(
    tmp_path: Path, shared: Shared
) -> None:
    policy = parse_policy(MANIFEST)
    assert isinstance(policy, Policy)
    within = loaded(tmp_path, "kubeconfig: k, context: mgmt")
    fleet = members(within, shared)
    assert fleet.home == ("mgmt",)
    assert {str(one.settings.name): one.settings.home for one in fleet.members} == {"mgmt": True, "prod": False}
    qualified = rules(within.configuration, fleet.home).qualify(policy)
    assert isinstance(qualified, Policy)
    assert qualified.clusters is not None
    assert qualified.clusters.names == ("mgmt",)
    outside = loaded(tmp_path, "kubeconfig: k, context: mgmt", clusters="[prod]")
    home = members(outside, shared).home
    assert home == ()
    assert isinstance(rules(outside.configuration, home).qualify(policy), InvalidPolicy)


def test_what_the_hub_is_reached_by_is_followed(tmp_path: Path, shared: Shared) -> None:
    (tmp_path / "h").write_text(KUBECONFIG.format(current="mgmt").replace("token: t", "tokenFile: secret/token"))
    files = members(loaded(tmp_path, "kubeconfig: h"), shared).files
    assert {tmp_path / "h", tmp_path / "k", tmp_path / "secret" / "token"} <= set(files)


def test_nothing_is_said_of_what_stands_in_for_a_hub_that_is_not_right(tmp_path: Path, shared: Shared) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("hub: {id: a, directry: d}\nclusters:\n  - {kubeconfig: k, contexts: ['*']}\n")
    with pytest.raises(InvalidConfiguration) as caught:
        load(path, {})
    found = everything_wrong(caught.value, shared).problems
    assert [problem.path for problem in found] == ["hub.directry", "clusters[0].kubeconfig"]
