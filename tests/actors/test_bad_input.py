"""Bad input of every kind: what the policy's Ready condition says of it, and that nothing is lost by it."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from imps_multi.actors.service import Service
from imps_multi.model.dockerconfig import MAX_SECRET_BYTES
from imps_multi.model.hub import HubObject
from imps_multi.model.policy_parse import with_default_clusters
from imps_multi.ports import Forbidden, Invalid, PortError
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.rules import AmbientRule
from tests.actors.fake_cluster import FakeCluster
from tests.actors.fakes import policy, secret, static
from tests.actors.stage import Stage, ready, rules, settled, spaces, status_of, until

pytestmark = pytest.mark.anyio

DOCKER = "kubernetes.io/dockerconfigjson"
KEY = ".dockerconfigjson"
PLANTED = "p1anted-w0rd"
READ = interpreter(ambient=AmbientRule(), endpoints=())
ECR = {"region": "eu-west-1", "accountID": "123456789012", "accessKeyID": "AKID", "secretKey": PLANTED}


@pytest.fixture
def cluster(stage: Stage) -> FakeCluster:
    """Three namespaces, and sources read as they really are."""
    stage.rules.set(rules(interpret=READ, qualify=lambda one: with_default_clusters(one, ())))
    return stage.cluster("prod-eu", *spaces(3))


def message(service: Service) -> str:
    """Return what the Ready condition says."""
    return status_of(service).conditions[0].message


def labels(**selector: Any) -> dict[str, Any]:
    return {"namespaces": {"labels": [selector]}}


def annotations(**selector: Any) -> dict[str, Any]:
    return {"namespaces": {"annotations": [selector]}}


def term(**given: Any) -> dict[str, Any]:
    return {"matchExpressions": [given]}


SPECS = [
    (labels(**term(key="a", operator="Or", values=["b"])), "labels[0].matchExpressions[0].operator: must be one of In"),
    (labels(**term(key="a", operator="in", values=["b"])), "did you mean In?"),
    (labels(**term(key="a", operator="In")), "operator In needs at least one value"),
    (labels(**term(key="a", operator="Exists", values=["b"])), "operator Exists takes no values"),
    (labels(**term(key="a b", operator="Exists")), 'the key "a b" is not valid'),
    (labels(**term(operator="Exists")), "labels[0].matchExpressions[0].key"),
    (labels(matchLabels={"a": "b c"}), 'labels[0].matchLabels.a: the value "b c" is not valid'),
    (labels(matchLabels={"-a": "b"}), 'the key "-a" is not valid'),
    (labels(matchLabels=["a"]), "labels[0].matchLabels: must be"),
    (labels(matchLabel={"a": "b"}), "unknown field (did you mean matchLabels?)"),
    (labels(matchAnnotations={"a": "b"}), "labels[0].matchAnnotations: unknown field"),
    ({"namespaces": {"labels": {"matchLabels": {}}}}, "namespaces.labels: must be"),
    ({"namespaces": {"labels": [None]}}, "labels[0]: is empty"),
    (annotations(**term(key="a", operator="Or", values=["b"])), "annotations[0].matchExpressions[0].operator: must be"),
    (annotations(**term(key="a", operator="NotIn")), "operator NotIn needs at least one value"),
    (annotations(matchAnnotations={"a b": "c"}), 'the key "a b" is not valid'),
    (annotations(matchLabels={"a": "b"}), "annotations[0].matchLabels: unknown field"),
    ({"namespaces": {"name": ["x"]}}, "namespaces.name: unknown field (did you mean names?)"),
    ({"namespaces": {"names": "x"}}, "namespaces.names: must be"),
    ({"namespaces": {"names": [7]}}, "namespaces.names[0]: must be"),
    (
        {"clusters": {"labels": [term(key="a", operator="Or")]}},
        "target.clusters.labels[0].matchExpressions[0].operator",
    ),
    ({"clusters": {"name": ["x"]}}, "target.clusters.name: unknown field (did you mean names?)"),
    ({"clusters": None}, "spec.target.clusters: is required here"),
    ({"secret": "Not_A_Name"}, 'target.secret.name: "Not_A_Name" is not valid'),
    ({"secret": ""}, "target.secret.name"),
    ({"labels": {"imps-multi.io/hub": "x"}}, "is imps-multi's own mark"),
    ({"labels": {"a": "b c"}}, "target.secret.labels.a"),
    ({"sources": ()}, "spec.registry.credentials: is required"),
    ({"sources": ("not\nprintable",)}, "credentials[0].name: "),
    ({"spec": {"deletionPolicy": "Never"}}, "spec.deletionPolicy: must be one of"),
    ({"spec": {"suspend": "yes"}}, "spec.suspend: must be"),
]


@pytest.mark.parametrize(("given", "says"), SPECS, ids=[says for _, says in SPECS])
async def test_an_invalid_spec_says_where_and_what_and_loses_nothing(
    stage: Stage, cluster: FakeCluster, given: Mapping[str, Any], says: str
) -> None:
    stage.hub.put(policy(), policy("other", secret="other"), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(policy(**given))
        await until(lambda: ready(service) == ("False", "InvalidSpec"))
        assert says in message(service)
        assert says in status_of(service).reason
        cluster.remove(spaces(3)[0], "other")
        await until(lambda: len(cluster.secrets) == 6)
        assert ready(service, "other") == ("True", "AllSynced")
        assert status_of(service).targets.summary == "3/3"
        stage.hub.put(policy())
        await until(lambda: ready(service) == ("True", "AllSynced"))
    assert [one.verb for one in cluster.writes if one.name == "pull"] == ["create"] * 3


def auths(**fields: str) -> dict[str, str]:
    return {KEY: json.dumps({"auths": {"quay.io": fields}})}


SOURCES = [
    (secret("static", {"password": PLANTED}, "Opaque"), "type 'Opaque' is no source"),
    (secret("static", {"tls.key": PLANTED}, "kubernetes.io/tls"), "type 'kubernetes.io/tls' is no source"),
    (secret("static", {}, DOCKER), f"key {KEY} is missing"),
    (secret("static", {KEY: f'{{"auths": {PLANTED}'}, DOCKER), f"{KEY} is not a JSON object"),
    (secret("static", {KEY: "[]"}, DOCKER), f"{KEY} is not a JSON object"),
    (secret("static", {KEY: '{"auths": []}'}, DOCKER), f'"auths" in {KEY} is not a JSON object'),
    (secret("static", {KEY: '{"auths": {}}'}, DOCKER), f"key {KEY} names no registry"),
    (
        secret("static", auths(auth=b64encode(PLANTED.encode()).decode()), DOCKER),
        f"key {KEY}: 'quay.io': auth does not",
    ),
    (secret("static", auths(auth=PLANTED), DOCKER), f"key {KEY}: 'quay.io': auth is not"),
    (secret("static", auths(), DOCKER), f"key {KEY}: 'quay.io': the entry holds no credential"),
    (secret("static", {**ECR, "accountID": "123-456"}, "Opaque"), "12 digits"),
    (secret("static", {**ECR, "roleARN": "x"}, "Opaque"), "key roleARN is unknown; did you mean roleArn?"),
    (secret("static", {"region": "eu-west-1", "accountID": "123456789012"}, "Opaque"), "accessKeyID and secretKey"),
]


async def test_a_source_name_that_no_secret_can_have_is_missing_and_the_others_serve(
    stage: Stage, cluster: FakeCluster
) -> None:
    """IMPS's README has one in capitals."""
    stage.hub.put(policy(sources=("static", "Not_A_Name")), static())
    async with stage.running() as service:
        await until(lambda: len(cluster.secrets) == 3)
        await settled(service)
        await until(lambda: ready(service) == ("False", "SourceError"))
        assert "no Secret can have this name" in message(service)


@pytest.mark.parametrize(("source", "says"), SOURCES, ids=[says for _, says in SOURCES])
async def test_a_source_that_cannot_be_used_says_which_key_and_loses_nothing(
    stage: Stage, cluster: FakeCluster, source: HubObject, says: str
) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        stage.hub.put(source)
        await until(lambda: ready(service) == ("False", "SourceError"))
        assert says in message(service)
        assert "registry-access/static" in message(service)
        assert PLANTED not in repr(status_of(service))
        assert says in status_of(service).source_secret_status["registry-access.static"]
        cluster.remove(spaces(3)[0], "pull")
        await until(lambda: set(cluster.passwords("quay.io")) == set(spaces(3)))
        stage.hub.put(static())
        await until(lambda: ready(service) == ("True", "AllSynced"))


async def test_a_source_that_is_not_there_is_named(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(sources=("static", "absent")), static())
    async with stage.running() as service:
        await until(service.loaded.is_set)
        await until(lambda: len(cluster.secrets) == 3)
        await until(lambda: ready(service) == ("False", "SourceError"))
        assert "the source Secret registry-access/absent is not in the hub" in message(service)


async def test_a_source_that_may_not_go_there_says_where_and_why(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static(annotations={"imps-multi.io/allow-clusters": "test-*"}))
    async with stage.running() as service:
        await until(service.loaded.is_set)
        await until(lambda: ready(service) == ("False", "SourceNotAllowed"))
        assert "registry-access/static may not go to prod-eu/team-0000" in message(service)
        assert "allow-clusters of the source does not name prod-eu" in message(service)
    assert not cluster.secrets


async def test_a_source_of_a_namespace_that_nobody_may_name_says_so(stage: Stage, cluster: FakeCluster) -> None:
    stage.rules.set(rules(allowed=lambda ref: f"sources.namespaces of the configuration does not name {ref.namespace}"))
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(service.loaded.is_set)
        await until(lambda: ready(service) == ("False", "SourceNotAllowed"))
        assert "sources.namespaces of the configuration does not name registry-access" in message(service)
    assert not cluster.secrets


async def test_a_merged_secret_over_the_limit_is_not_written(stage: Stage, cluster: FakeCluster) -> None:
    half = "x" * (MAX_SECRET_BYTES // 3)
    stage.hub.put(policy(sources=("s0",)), static("s0", r0_io=half), static("s1", r1_io=half))
    async with stage.running() as service:
        await settled(service)
        before = json.dumps(sorted(cluster.passwords("r0.io")))
        stage.hub.put(policy(sources=("s0", "s1")))
        await until(lambda: ready(service) == ("False", "PartiallySynced"))
        assert "the merged Secret is over 1 MiB" in message(service)
        await anyio.sleep(60.0)
        assert json.dumps(sorted(cluster.passwords("r0.io"))) == before
        assert [one.verb for one in cluster.writes] == ["create"] * 3


async def test_a_target_of_another_type_is_a_conflict_and_stays(stage: Stage, cluster: FakeCluster) -> None:
    theirs = cluster.put("team-0000", "pull", type="Opaque", data={"a": "Yg=="})
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(service.loaded.is_set)
        await until(lambda: ready(service) == ("False", "Conflict"))
        assert "prod-eu/team-0000: a Secret of that name is there" in message(service)
        assert cluster.secrets["team-0000", "pull"] == theirs
        cluster.remove("team-0000", "pull")
        await until(lambda: ready(service) == ("True", "AllSynced"))


async def test_a_target_of_ours_with_another_type_is_a_conflict_that_names_the_type(
    stage: Stage, cluster: FakeCluster
) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        ours = cluster.secrets["team-0000", "pull"]
        cluster.remove("team-0000", "pull")
        cluster.put(
            "team-0000", "pull", type="kubernetes.io/dockercfg", metadata={"labels": ours["metadata"]["labels"]}
        )
        await until(lambda: ready(service) == ("False", "Conflict"))
        assert "the Secret there has type kubernetes.io/dockercfg" in message(service)


async def test_an_immutable_target_says_that_it_must_be_deleted(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await settled(service)
        cluster.edit("team-0000", "pull", lambda body: body.update(immutable=True))
        stage.hub.put(static(quay_io="newer"))
        await until(lambda: ready(service) == ("False", "PartiallySynced"))
        assert "prod-eu/team-0000: the Secret is immutable; delete it" in message(service)
        assert cluster.passwords("quay.io")["team-0001"] == "newer"
        cluster.remove("team-0000", "pull")
        await until(lambda: ready(service) == ("True", "AllSynced"), within=70.0)


REFUSALS: list[tuple[PortError, str, bool]] = [
    (
        Forbidden('POST secrets: 403 Forbidden: secrets "pull" is forbidden: exceeded quota: few'),
        "exceeded quota",
        False,
    ),
    (Forbidden('403 Forbidden: secrets "pull" is forbidden: ValidatingAdmissionPolicy "p" denied'), "denied", False),
    (Invalid('422 Invalid: admission webhook "w.example" denied the request: no'), 'webhook "w.example" denied', False),
    (Forbidden('403: User "u" cannot create resource "secrets" in API group ""'), "cannot create resource", True),
]


@pytest.mark.parametrize(("refusal", "says", "role_helps"), REFUSALS, ids=[says for _, says, _ in REFUSALS])
async def test_a_refused_write_shows_the_servers_own_reason(
    stage: Stage, cluster: FakeCluster, refusal: PortError, says: str, *, role_helps: bool
) -> None:
    cluster.write_error = lambda namespace, _: refusal if namespace == "team-0001" else None
    stage.hub.put(policy(), static())
    async with stage.running() as service:
        await until(service.loaded.is_set)
        await until(lambda: ready(service) == ("False", "PartiallySynced") and says in message(service))
        assert "prod-eu/team-0001: " in message(service)
        assert ("imps-multi rbac" in message(service)) is role_helps
        assert status_of(service).targets.summary == "2/3"
        cluster.write_error = lambda _namespace, _name: None
        await until(lambda: ready(service) == ("True", "AllSynced"), within=70.0)


@pytest.mark.parametrize(
    ("namespaces", "says"),
    [
        ({"names": ["team-*", "taem-0001"]}, "no namespace is named taem-0001 (did you mean team-0001?)"),
        ({"names": ["taem-*"]}, "no namespace is named taem-* (did you mean team-0000?)"),
        ({"names": ["team-*", "Bad_Name"]}, "no namespace is named Bad_Name (none can be: "),
        ({"names": ["zzz"]}, "no namespace is named zzz; no namespace is selected"),
        ({"labels": [{"matchLabels": {"a": "b"}}]}, "no namespace is selected"),
        ({}, "no namespace is selected"),
    ],
)
async def test_a_selection_that_matches_nothing_is_said_with_the_nearest_name(
    stage: Stage, cluster: FakeCluster, namespaces: Mapping[str, Any], says: str
) -> None:
    stage.hub.put(policy(namespaces=namespaces), static())
    async with stage.running() as service:
        await until(service.loaded.is_set)
        await until(lambda: says in message(service))
        assert ready(service) == ("True", "AllSynced")
        cluster.add_namespace("taem-0001")
        cluster.add_namespace("zzz")
        await anyio.sleep(1.0)
        assert "no namespace is named taem" not in message(service)


async def test_a_cluster_that_nobody_has_is_said_with_the_nearest_name(stage: Stage, cluster: FakeCluster) -> None:
    stage.hub.put(policy(clusters={"names": ["prod-ue"]}), static())
    async with stage.running() as service:
        await until(service.loaded.is_set)
        await until(lambda: ready(service) == ("True", "AllSynced"))
        assert f"no cluster is named prod-ue (did you mean {cluster.name}?); no cluster is selected" in message(service)
