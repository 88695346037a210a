from pathlib import Path

import yaml

from imps_multi.config.load import load
from imps_multi.demo import scenery
from imps_multi.model.matching import glob_match


def test_each_cluster_has_twenty_namespaces_and_not_all_are_selected() -> None:
    assert len(scenery.SELECTED | scenery.OTHERS) == 20
    assert not scenery.SELECTED & scenery.OTHERS
    assert scenery.NEWCOMER not in scenery.SELECTED | scenery.OTHERS


def test_the_policy_says_which_namespaces_are_selected() -> None:
    wanted = yaml.safe_load(scenery.policy())["spec"]["target"]["namespaces"]
    label = wanted["labels"][0]["matchLabels"]

    def selected(name: str) -> bool:
        named = any(glob_match(glob, name) for glob in wanted["names"])
        return (named or scenery.labels_of(name) == label) and name not in wanted["exclude"]

    assert {name for name in scenery.SELECTED | scenery.OTHERS if selected(name)} == scenery.SELECTED
    assert selected(scenery.NEWCOMER)


def test_the_careless_edit_takes_away_more_than_the_brake_lets_go() -> None:
    before = yaml.safe_load(scenery.policy())["spec"]["target"]["namespaces"]
    after = yaml.safe_load(scenery.policy(apps=False))["spec"]["target"]["namespaces"]
    assert (before["names"], after["names"]) == (["app-*"], [])
    assert len(scenery.APPS) > max(10, 0.25 * len(scenery.SELECTED))


def test_the_configuration_can_be_used(tmp_path: Path) -> None:
    address = "127.0.0.1:12345"
    text = scenery.configuration(ecr_host="127.0.0.1:1", metrics=address, health=address, status=address)
    (tmp_path / "imps-multi.yaml").write_text(text)
    configuration = load(tmp_path / "imps-multi.yaml", {}).configuration
    assert configuration.hub.directory == tmp_path / "hub"
    assert configuration.sources.endpoints == ["127.0.0.1:1"]


def test_kubeconfigs_become_one_with_a_context_each() -> None:
    parts = [
        {"clusters": [{"name": name}], "users": [{"name": name}], "contexts": [{"name": name}]} for name in ("a", "b")
    ]
    joined = yaml.safe_load(scenery.kubeconfig(parts))
    assert [context["name"] for context in joined["contexts"]] == ["a", "b"]
    assert joined["kind"] == "Config"
