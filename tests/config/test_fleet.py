"""The fleet: which context is which cluster, with which settings, and no cluster dropped by a typo."""

from collections.abc import Iterable
from pathlib import Path

from imps_multi.config.fleet import Configured, fleet, safety
from imps_multi.config.load import Loaded, load
from imps_multi.model.fleet import BrakeLimits, Connectivity

CONTEXTS = {
    "fleet": ["prod-eu-1", "prod-us-1", "prod-old", "dev-1"],
    "edge": ["admin@edge"],
    "empty": [],
}


def contexts_of(path: Path) -> Iterable[str]:
    if path.name not in CONTEXTS:
        raise ValueError(f"{path.name} cannot be read")
    return CONTEXTS[path.name]


def loaded(tmp_path: Path, clusters: str, more: str = "") -> Loaded:
    path = tmp_path / "c.yaml"
    path.write_text(f"hub: {{id: a, directory: b}}\nclusters:\n{clusters}\n{more}")
    return load(path, {})


def clusters_of(tmp_path: Path, clusters: str, more: str = "") -> list[Configured]:
    found, problems = fleet(loaded(tmp_path, clusters, more), contexts_of)
    assert problems == []
    return found


def problems_of(tmp_path: Path, clusters: str) -> list[str]:
    _, problems = fleet(loaded(tmp_path, clusters), contexts_of)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in problems]


def test_matching_contexts_become_clusters_named_after_them(tmp_path: Path) -> None:
    found = clusters_of(tmp_path, "  - {kubeconfig: fleet, contexts: ['prod-*'], excludeContexts: ['*-old']}")
    assert [(each.settings.name, each.context) for each in found] == [
        ("prod-eu-1", "prod-eu-1"),
        ("prod-us-1", "prod-us-1"),
    ]
    assert {each.kubeconfig for each in found} == {tmp_path / "fleet"}
    assert str(found[0].place) == f"{tmp_path}/c.yaml:3:5"


def test_settings_come_from_the_last_that_says_something_and_labels_are_joined(tmp_path: Path) -> None:
    entry = """\
  - kubeconfig: fleet
    contexts: ["prod-*"]
    burst: 10
    labels: {env: prod, tier: a}
    overrides:
      - {contexts: ["prod-eu-*"], labels: {region: eu, tier: b}, requestsPerSecond: 50, paused: true}
      - {contexts: ["*-1"], requestsPerSecond: 60, connectivity: intermittent}
"""
    found = clusters_of(tmp_path, entry, "defaults: {burst: 5, maxInFlight: 3, requestTimeout: 2m}\n")
    settings = {str(each.settings.name): each.settings for each in found}
    eu, old = settings["prod-eu-1"], settings["prod-old"]
    assert eu.labels == (("env", "prod"), ("region", "eu"), ("tier", "b"))
    assert (eu.requests_per_second, eu.burst, eu.max_in_flight, eu.request_timeout) == (60, 10, 3, 120)
    assert (eu.connectivity, eu.paused) == (Connectivity.INTERMITTENT, True)
    assert old.labels == (("env", "prod"), ("tier", "a"))
    assert (old.requests_per_second, old.connectivity, old.paused) == (200, Connectivity.ALWAYS, False)


def test_one_context_and_the_own_cluster_have_names_of_their_own(tmp_path: Path) -> None:
    found = clusters_of(
        tmp_path, "  - {name: edge-1, kubeconfig: edge, context: admin@edge}\n  - {name: mgmt, inCluster: true}"
    )
    assert [(each.settings.name, each.kubeconfig, each.context) for each in found] == [
        ("edge-1", tmp_path / "edge", "admin@edge"),
        ("mgmt", None, ""),
    ]


def test_a_name_clash_over_the_fleet_names_both_places(tmp_path: Path) -> None:
    entries = "  - {kubeconfig: fleet, contexts: [dev-1]}\n  - {name: dev-1, inCluster: true}"
    (message,) = problems_of(tmp_path, entries)
    expected = (
        "c.yaml:4:5: clusters[1]: the cluster name dev-1 (inCluster) is taken at c.yaml:3:5 (context dev-1 of fleet)"
    )
    assert message.startswith(expected)


def test_a_glob_that_matches_nothing_lists_what_there_is(tmp_path: Path) -> None:
    (message,) = problems_of(tmp_path, "  - {kubeconfig: fleet, contexts: ['dev-*', 'pord-eu-*']}")
    place, path, text = message.split(": ")
    assert (place, path) == ("c.yaml:3:45", "clusters[0].contexts[1]")
    assert text.startswith("no context of fleet matches pord-eu-* (did you mean prod-eu-1?)")
    assert text.endswith("it has dev-1, prod-eu-1, prod-old, prod-us-1")


def test_what_names_no_context_is_a_problem_each(tmp_path: Path) -> None:
    entries = (
        "  - {name: a, kubeconfig: edge, context: admin}\n"
        "  - {kubeconfig: empty, contexts: ['*']}\n"
        "  - {kubeconfig: fleet, contexts: ['prod-old'], excludeContexts: ['prod-*']}\n"
        "  - {kubeconfig: gone, contexts: ['*']}\n"
    )
    found = [message.partition(": ")[2] for message in problems_of(tmp_path, entries)]
    assert found == [
        "clusters[0].context: edge has no context admin (did you mean admin@edge?); it has admin@edge",
        "clusters[1].contexts[0]: no context of empty matches *; it has none at all",
        "clusters[2].excludeContexts: leave out everything that contexts match: prod-old",
        "clusters[3].kubeconfig: gone cannot be read",
    ]


def test_the_brakes_figures_are_handed_on(tmp_path: Path) -> None:
    more = "safety: {perCluster: {maxDeletePercent: 30}, fleet: {maxDeleteAtLeast: 7}}\n"
    figures = safety(loaded(tmp_path, "  - {name: mgmt, inCluster: true}", more).configuration)
    assert figures.per_cluster == BrakeLimits(percent=30, at_least=10)
    assert figures.fleet == BrakeLimits(percent=5, at_least=7)
