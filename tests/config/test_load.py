"""The configuration file: read whole, every error at once, each with its place and what to write."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from imps_multi.config.load import InvalidConfiguration, Loaded, load

MINIMAL = "hub: {id: mgmt, directory: ./hub}\nclusters: []\n"

WHOLE = """\
hub:
  id: mgmt-eu
  previousIDs: [old]
  directory: ./hub
  stateDirectory: ~/state
  formerSecretNames: [a.b]
  namespace: imps-system
clusters:
  - kubeconfig: ./fleet.kubeconfig
    contexts: ["prod-*"]
    excludeContexts: ["prod-old"]
    labels: {env: prod}
    overrides:
      - {contexts: ["prod-eu-*"], labels: {region: eu}, requestsPerSecond: 50}
  - name: edge-1
    kubeconfig: /etc/edge.kubeconfig
    context: admin@edge
    connectivity: intermittent
    paused: false
    observe: false
    decommission: false
    requestsPerSecond: 200
    burst: 400
    maxInFlight: 16
    requestTimeout: 1m
  - {name: mgmt, inCluster: true}
defaults: {requestsPerSecond: 200, burst: 400, maxInFlight: 16, requestTimeout: 30s, connectivity: always}
defaultClusters: []
sources:
  namespaces: ["*"]
  ambientIdentity: {namespaces: [imps-system], roleARNs: ["*"]}
  endpoints: []
safety:
  perCluster: {maxDeletePercent: 30}
  fleet: {maxDeletePercent: 5, maxDeleteAtLeast: 50}
  maxNewTargets: 0
telemetry:
  metricsAddress: ":8080"
  healthAddress: "[::1]:8081"
  statusAddress: ""
  logFormat: auto
  logLevel: info
  auditLog: ./audit.log
coordination: {mode: single}
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Loaded]:
    def load_text(text: str, environment: Mapping[str, str] | None = None) -> Loaded:
        path = tmp_path / "imps-multi.yaml"
        path.write_text(text)
        return load(path, environment or {})

    return load_text


@pytest.fixture
def refused(read: Callable[..., Loaded], tmp_path: Path) -> Callable[..., list[str]]:
    def load_text(text: str, environment: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(InvalidConfiguration) as caught:
            read(text, environment)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return load_text


def test_everything_that_can_be_written_is_read(read: Callable[..., Loaded], tmp_path: Path) -> None:
    configuration = read(WHOLE).configuration
    assert configuration.hub.previous_ids == ["old"]
    assert configuration.hub.directory == tmp_path / "hub"
    assert configuration.hub.state_directory == Path("~/state").expanduser()
    assert configuration.clusters[0].kubeconfig == tmp_path / "fleet.kubeconfig"
    assert configuration.clusters[1].kubeconfig == Path("/etc/edge.kubeconfig")
    assert configuration.clusters[1].request_timeout == 60.0
    assert configuration.sources.ambient_identity.namespaces == ["imps-system"]
    assert configuration.safety.per_cluster.max_delete_percent == 30
    assert configuration.safety.per_cluster.max_delete_at_least == 10
    assert configuration.telemetry.audit_log == str(tmp_path / "audit.log")


def test_what_is_not_written_has_its_default(read: Callable[..., Loaded]) -> None:
    configuration = read(MINIMAL).configuration
    assert configuration.telemetry.metrics_address == "127.0.0.1:8080"
    assert configuration.safety.fleet.max_delete_at_least == 50
    assert configuration.default_clusters == []
    assert configuration.hub.state_directory is None


def test_strings_take_the_environment(read: Callable[..., Loaded], tmp_path: Path) -> None:
    text = "hub: {id: '${ID}', directory: '$${x}/${A}${A}/$y'}\nclusters: []\ndefaultClusters: ['${N}']\n"
    configuration = read(text, {"ID": "mgmt", "A": "b", "N": "a"}).configuration
    assert configuration.hub.id == "mgmt"
    assert configuration.hub.directory == tmp_path / "${x}" / "bb" / "$y"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("12h", 43200), ("1h30m", 5400), ("1.5m", 90), ("500ms", 0.5)]
)
def test_a_duration_has_units_as_go_writes_them(read: Callable[..., Loaded], text: str, seconds: float) -> None:
    assert read(MINIMAL + f"defaults: {{requestTimeout: {text}}}\n").configuration.defaults.request_timeout == seconds


@pytest.mark.parametrize("text", ["30", "'30'", "0s", "-5s", "30 s", "30S", "m", "1h30", "1e3s", "''", "1..5s"])
def test_a_duration_without_a_unit_or_over_nothing_is_refused(refused: Callable[..., list[str]], text: str) -> None:
    (message,) = refused(MINIMAL + f"defaults: {{requestTimeout: {text}}}\n")
    assert message.endswith("defaults.requestTimeout: must be a duration over zero such as 90s, 5m or 12h")


def test_a_number_may_come_from_the_environment(read: Callable[..., Loaded]) -> None:
    assert read(MINIMAL + "defaults: {burst: '${B}'}\n", {"B": "7"}).configuration.defaults.burst == 7


def test_a_hub_in_a_cluster_is_read_with_its_defaults(read: Callable[..., Loaded], tmp_path: Path) -> None:
    hub = read("hub: {id: a, kubeconfig: ./b, context: c}\nclusters: []\n").configuration.hub
    assert (hub.kubeconfig, hub.context, hub.namespace) == (tmp_path / "b", "c", "imps-system")
    assert hub.in_a_cluster
    assert read("hub: {id: a, inCluster: true, namespace: b}\nclusters: []\n").configuration.hub.in_a_cluster
    assert not read(MINIMAL).configuration.hub.in_a_cluster


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "imps-multi.yaml:1:1: must be one YAML mapping with hub and clusters"),
        ("- 1\n", "imps-multi.yaml:1:1: must be one YAML mapping with hub and clusters"),
        ("a: 1\n---\nb: 1\n", "imps-multi.yaml:1:1: must be one YAML mapping with hub and clusters"),
        ("hub: [\n", "imps-multi.yaml:2:1: did not find expected node content"),
        (MINIMAL + "hub: {}\n", 'imps-multi.yaml:3:1: hub: the key "hub" stands at line 1, column 1 already'),
        ("clusters: []\n", "imps-multi.yaml:1:1: hub: is required"),
        ("hub: {id: a, directory: b}\n", "imps-multi.yaml:1:1: clusters: is required"),
        ("hub: {id: a}\nclusters: []\n", "imps-multi.yaml:1:1: hub: needs exactly one of directory"),
        ("hub: {directory: b}\nclusters: []\n", "imps-multi.yaml:1:1: hub.id: is required"),
        ("hub: {id: 5, directory: b}\nclusters: []\n", "1:7: hub.id: must be a text; put it in quotes"),
        ("hub: {id: a b, directory: b}\nclusters: []\n", "1:7: hub.id: cannot be the value of a label"),
        ("hub: x\nclusters: []\n", "1:1: hub: must be a mapping"),
        (MINIMAL.replace("[]", "{}"), "2:1: clusters: must be a list"),
        (MINIMAL + "clutser: []\n", "3:1: clutser: unknown field (did you mean clusters?)"),
        (MINIMAL + "zzz: []\n", "3:1: zzz: unknown field (known here: clusters, coordination, "),
        (MINIMAL + "default_clusters: []\n", "3:1: default_clusters: unknown field (did you mean defaultClusters?)"),
        (MINIMAL + "telemetry: {logLevel: loud}\n", "3:13: telemetry.logLevel: must be 'debug', 'info', 'warning' or"),
        (MINIMAL + "telemetry: {logLevel: INFO}\n", "or 'error' (did you mean info?)"),
        (MINIMAL + "defaults: {connectivity: intermitent}\n", "'intermittent' (did you mean intermittent?)"),
        (MINIMAL + "telemetry: {logFormat: 5}\n", "must be 'auto', 'json' or 'console'"),
        (MINIMAL + "telemetry: {metricsAddress: '8080'}\n", "telemetry.metricsAddress: must be host:port"),
        (MINIMAL + "telemetry: {metricsAddress: ':80800'}\n", "telemetry.metricsAddress: must be host:port"),
        (MINIMAL + "sources: {endpoints: ['https://a']}\n", "sources.endpoints[0]: must be HOST or HOST:PORT"),
        (MINIMAL + "sources: {endpoints: [a, 'a b']}\n", "sources.endpoints[1]: must be HOST or HOST:PORT"),
        (MINIMAL + "defaults: {burst: 0}\n", "3:12: defaults.burst: must be greater than or equal to 1"),
        (MINIMAL + "defaults: {requestTimeout: 30}\n", "defaults.requestTimeout: must be a duration over zero such as"),
        (MINIMAL + "safety: {fleet: {maxDeletePercent: 101}}\n", "safety.fleet.maxDeletePercent: must be less than or"),
        (MINIMAL + "discovery: []\n", "3:1: discovery: is not supported by this version; take it away"),
        (MINIMAL + "network: {}\n", "3:1: network: is not supported by this version; take it away"),
        (MINIMAL + "verification: {}\n", "3:1: verification: is not supported by this version; take it away"),
        (MINIMAL + "coordination: {mode: leader}\n", "coordination.mode: is not supported by this version"),
        (
            "hub: {id: a, kubeconfig: b, inCluster: true}\nclusters: []\n",
            "1:1: hub: needs exactly one of directory, kubeconfig and inCluster, and has kubeconfig and inCluster",
        ),
        (
            "hub: {id: a, directory: ./b, stateDirectory: b/}\nclusters: []\n",
            "1:30: hub.stateDirectory: must be another than hub.directory",
        ),
        (MINIMAL + "defaults: {burst: yes}\n", "3:12: defaults.burst: must be a number"),
        (MINIMAL + "defaults: {burst: 1.5}\n", "3:12: defaults.burst: must be a whole number"),
        (MINIMAL + "defaults: {requestsPerSecond: .inf}\n", "defaults.requestsPerSecond: must be a finite number"),
        (MINIMAL + "1: 2\n", "3:1: 1: a key must be a text; put it in quotes"),
        ("hub: {id: a, inCluster: true, context: c}\nclusters: []\n", "1:1: hub: context is for a hub by kubeconfig"),
        (
            "hub: {id: a, kubeconfig: b, stateDirectory: c}\nclusters: []\n",
            "1:1: hub: stateDirectory is for a directory hub; one in a cluster keeps its state in hub.namespace",
        ),
        (
            "hub: {id: a, inCluster: true, namespace: A_b}\nclusters: []\n",
            "1:31: hub.namespace: cannot be the name of a namespace",
        ),
        (
            "hub: {id: a, directory: '${NO_SUCH}'}\nclusters: []\n",
            "1:14: hub.directory: environment variable NO_SUCH is not set; write $$ for a dollar",
        ),
        ("hub: {id: a, directory: '${x-y}'}\nclusters: []\n", "1:14: hub.directory: has ${ without the name"),
        ("hub: {id: a, directory: '${x'}\nclusters: []\n", "1:14: hub.directory: has ${ without the name"),
        (
            "hub: {id: a, directory: b, formerSecretNames: [X]}\nclusters: []\n",
            "Names[0]: cannot be the name",
        ),
    ],
)
def test_a_mistake_says_where_and_what(refused: Callable[..., list[str]], text: str, expected: str) -> None:
    (message,) = refused(text)
    assert expected in message


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{}", "needs kubeconfig with contexts"),
        ("{kubeconfig: a}", "needs contexts (globs"),
        ("{kubeconfig: a, contexts: []}", "must not be empty"),
        ("{kubeconfig: a, contexts: [b], context: c}", "needs contexts (globs"),
        ("{kubeconfig: a, context: c}", "needs a name for its context"),
        ("{kubeconfig: a, contexts: [b], name: c}", "takes its names from its contexts"),
        ("{name: a, context: c}", "needs kubeconfig"),
        ("{name: a, inCluster: true, kubeconfig: b, context: c}", "an inCluster entry needs a name, and neither"),
        ("{inCluster: true}", "an inCluster entry needs a name"),
        ("{name: a, inCluster: true, overrides: [{contexts: [b]}]}", "are for entries with contexts"),
        ("{name: a, inCluster: true, labels: {a: 1}}", "must be a text; put it in quotes"),
        ("{name: a, inCluster: true, labels: {a/b/c: x}}", "clusters[0].labels[a/b/c]: the key is not valid"),
        ("{name: a, inCluster: true, labels: {a: x y}}", "clusters[0].labels.a: the value is not valid"),
        ("{name: a, inCluster: true, lables: {}}", "unknown field (did you mean labels?)"),
        ("{kubeconfig: a, contexts: [b], overrides: [{paused: true}]}", "is required"),
    ],
)
def test_a_cluster_has_one_of_three_forms(refused: Callable[..., list[str]], entry: str, expected: str) -> None:
    (message,) = refused(f"hub: {{id: a, directory: b}}\nclusters:\n  - {entry}\n")
    assert message.startswith("imps-multi.yaml:3:")
    assert ": clusters[0]" in message
    assert expected in message


def test_every_mistake_is_told_at_once_and_in_order(refused: Callable[..., list[str]]) -> None:
    text = (
        "hub: {id: '', directory: '${NO}'}\nclusters:\n  - {kubeconfig: a}\n  - {name: b, inCluster: maybe}\n"
        "discovery: {}\ntelemetri: {}\ncoordination: {mode: leader}\n"
    )
    assert [message.split(": ")[1] for message in refused(text)] == [
        "hub.id",
        "hub.directory",
        "clusters[0]",
        "clusters[1].inCluster",
        "discovery",
        "telemetri",
        "coordination.mode",
    ]


def test_what_is_wrong_in_itself_hides_no_fields_that_do_not_go_together(refused: Callable[..., list[str]]) -> None:
    text = (
        "hub: {id: '', directory: a, kubeconfig: b}\nclusters:\n  - {kubeconfig: a, burst: x}\n"
        "  - {name: c, inCluster: true, context: d, labels: {a: 1, b b: c}}\n"
    )
    assert [message.partition(": ")[2].split(",")[0] for message in refused(text)] == [
        "hub: needs exactly one of directory",
        "hub.id: cannot be the value of a label",
        'clusters[0]: needs contexts (globs; ["*"] for all) or name and context',
        "clusters[0].burst: must be a whole number",
        "clusters[1]: an inCluster entry needs a name",
        "clusters[1].labels.a: must be a text; put it in quotes",
        "clusters[1].labels[b b]: the key is not valid: may have letters",
    ]


def test_a_mistyped_field_is_told_once_as_what_was_meant(refused: Callable[..., list[str]]) -> None:
    (message,) = refused("hub: {id: a, directry: b}\nclusters: []\n")
    assert message.endswith("hub.directry: unknown field (did you mean directory?)")


def test_a_field_without_a_value_counts_as_not_written(read: Callable[..., Loaded]) -> None:
    empty = "hub: {id: a, directory: b, inCluster: false, kubeconfig: , previousIDs: }\nclusters: []\ndefaults:\n"
    assert read(empty).configuration == read("hub: {id: a, directory: b}\nclusters: []\n").configuration


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"none\.yaml: cannot be read: No such file or directory"):
        load(tmp_path / "none.yaml", {})


def test_a_file_without_an_end_is_not_read_to_it() -> None:
    with pytest.raises(InvalidConfiguration, match="/dev/zero: cannot be read: it has more than 16777216 bytes"):
        load(Path("/dev/zero"), {})


def test_a_path_of_endless_depth_is_cut(refused: Callable[..., list[str]]) -> None:
    (message,) = refused("a: " + "[" * 200)
    assert message.endswith("[0][…: is nested more than 100 deep")


def test_what_is_written_twice_hides_no_other_mistake(refused: Callable[..., list[str]]) -> None:
    text = "hub: {id: a, id: b, directory: ./hub}\nclusters: 5\nhub: {}\ntelemetri: {}\n"
    assert [message.split(": ")[:2] for message in refused(text)] == [
        ["imps-multi.yaml:1:14", "hub.id"],
        ["imps-multi.yaml:2:1", "clusters"],
        ["imps-multi.yaml:3:1", "hub"],
        ["imps-multi.yaml:4:1", "telemetri"],
    ]


def test_the_rest_of_an_invalid_configuration_is_what_is_right_in_it(
    read: Callable[..., Loaded], tmp_path: Path
) -> None:
    text = (
        "hub: {id: '', directory: ./hub}\nclusters:\n  - {kubeconfig: a}\n  - {kubeconfig: a, contxts: [b]}\n"
        "  - {name: b, inCluster: true, burst: x}\n"
    )
    with pytest.raises(InvalidConfiguration) as caught:
        read(text)
    rest = caught.value.rest
    assert rest is not None
    assert rest.left_out == {0, 1}
    assert (rest.configuration.hub.directory, rest.configuration.clusters[2].name) == (tmp_path / "hub", "b")


def test_nothing_is_left_of_a_configuration_whose_clusters_are_no_list(read: Callable[..., Loaded]) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        read("hub: {id: a, directory: ./hub}\nclusters: 5\n")
    assert caught.value.rest is None
