"""``rbac --role hub``: what may be done in the hub's cluster, in as few namespaces as the configuration allows."""

from pathlib import Path
from typing import Any

import yaml

from tests.cli.running import invoke

CONFIG = """\
hub: {{id: mgmt, inCluster: true, namespace: pulls}}
clusters: []
sources: {{namespaces: {namespaces}}}
"""


def printed(*words: str) -> tuple[str, list[dict[str, Any]]]:
    result = invoke("rbac", "--role", "hub", *words)
    assert result.exit_code == 0, result.stderr
    return result.stdout, list(yaml.safe_load_all(result.stdout))


def refused(*words: str) -> str:
    result = invoke("rbac", "--role", "hub", *words)
    assert result.exit_code == 2
    return result.stderr


def config(tmp_path: Path, namespaces: str) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(namespaces=namespaces))
    return str(path)


def secrets(manifests: list[dict[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """Return the verbs on Secrets by kind of role and namespace."""
    return {
        (one["kind"], one["metadata"].get("namespace", "")): rule["verbs"]
        for one in manifests
        for rule in one.get("rules", ())
        if "secrets" in rule["resources"]
    }


def test_secrets_are_granted_in_the_source_namespaces_and_in_that_of_the_state_alone(tmp_path: Path) -> None:
    _, manifests = printed("--config", config(tmp_path, "[a, b]"))
    assert secrets(manifests) == {
        ("Role", "a"): ["list", "watch"],
        ("Role", "b"): ["list", "watch"],
        ("Role", "pulls"): ["get", "list", "create", "update", "delete"],
    }
    subjects = [one["subjects"] for one in manifests if one["kind"].endswith("Binding")]
    assert len(subjects) == 5
    assert all(
        one == [{"kind": "ServiceAccount", "namespace": "imps-system", "name": "imps-multi"}] for one in subjects
    )
    assert {one["metadata"]["name"] for one in manifests if one["kind"] == "Namespace"} == {"pulls", "imps-system"}


def test_a_glob_makes_it_the_whole_cluster_and_says_how_to_narrow_it(tmp_path: Path) -> None:
    text, manifests = printed("--config", config(tmp_path, '["team-*", a]'))
    assert secrets(manifests).keys() == {("ClusterRole", ""), ("Role", "pulls")}
    assert text.startswith("# sources.namespaces of the configuration has globs (team-*)")


def test_it_can_be_printed_without_a_configuration() -> None:
    _, manifests = printed("--source-namespace", "a", "--service-account", "x/y")
    assert secrets(manifests).keys() == {("Role", "a"), ("Role", "imps-system")}


def test_policies_are_never_changed_and_only_one_definition_is_read() -> None:
    _, manifests = printed("--source-namespace", "a")
    (role,) = (one for one in manifests if one["kind"] == "ClusterRole")
    assert [(rule["resources"], rule["verbs"], rule.get("resourceNames")) for rule in role["rules"]] == [
        (["imagepullsecrets"], ["list", "watch"], None),
        (["imagepullsecrets/status"], ["update"], None),
        (["customresourcedefinitions"], ["get"], ["imagepullsecrets.images.banzaicloud.io"]),
    ]


def test_what_makes_no_role_is_told(tmp_path: Path) -> None:
    assert "give --config FILE" in refused()
    assert '"A_b" is no namespace' in refused("--source-namespace", "A_b")
    path = tmp_path / "d.yaml"
    path.write_text("hub: {id: a, directory: b}\nclusters: []\n")
    assert "needs no role" in refused("--config", str(path))
