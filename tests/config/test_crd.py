"""The custom resource definition: a superset of IMPS's, taken by a real API server, true to our own parser."""

import http
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from imps_multi.config.crd import crd_text
from imps_multi.model.policy import ConflictPolicy, DeletionPolicy, InvalidPolicy, Policy
from imps_multi.model.policy_parse import parse_policy
from imps_multi.model.selection import Operator
from imps_multi.model.status import (
    Condition,
    HeldStatus,
    PolicyClusterStatus,
    PolicyCredentialStatus,
    PolicyStatus,
    TargetCounts,
)
from tests.realcluster.client import Client, RefusedError
from tests.realcluster.cluster import RealCluster

COMMITTED = Path(__file__).parents[2] / "config" / "crd" / "images.banzaicloud.io_imagepullsecrets.yaml"
COLLECTION = "/apis/images.banzaicloud.io/v1alpha1/imagepullsecrets"
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imagepullsecrets.images.banzaicloud.io"


def crd() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(crd_text())
    return content


def schema() -> dict[str, Any]:
    (version,) = crd()["spec"]["versions"]
    content: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]
    return content


def policy(name: str, **spec: Any) -> dict[str, Any]:
    target = {"secret": {"name": "registry-pull"}, **spec.pop("target", {})}
    credentials = spec.pop("credentials", [{"name": "ecr", "namespace": "registry-access"}])
    return {
        "apiVersion": "images.banzaicloud.io/v1alpha1",
        "kind": "ImagePullSecret",
        "metadata": {"name": name},
        "spec": {"registry": {"credentials": credentials}, "target": target, **spec},
    }


def test_the_committed_copy_is_the_packaged_one() -> None:
    assert COMMITTED.read_text() == crd_text()


def test_the_names_are_those_of_imps() -> None:
    spec = crd()["spec"]
    assert spec["names"] == {
        "kind": "ImagePullSecret",
        "listKind": "ImagePullSecretList",
        "plural": "imagepullsecrets",
        "singular": "imagepullsecret",
        "shortNames": ["imps"],
    }
    assert (spec["group"], spec["scope"]) == ("images.banzaicloud.io", "Cluster")
    columns = {one["name"]: one.get("priority", 0) for one in spec["versions"][0]["additionalPrinterColumns"]}
    assert list(columns) == [
        *("State", "Reconciled", "Validity seconds", "Secret Name", "Namespaces"),
        *("Ready", "Targets", "Expires"),
    ]
    assert [name for name, priority in columns.items() if priority] == ["Namespaces"], "a hundred names hide the rest"


def test_the_choices_are_those_of_the_model() -> None:
    spec = schema()["spec"]["properties"]
    assert spec["conflictPolicy"]["enum"] == [choice.value for choice in ConflictPolicy]
    assert spec["deletionPolicy"]["enum"] == [choice.value for choice in DeletionPolicy]
    labels = spec["target"]["properties"]["clusters"]["properties"]["labels"]["items"]["properties"]
    operator = labels["matchExpressions"]["items"]["properties"]["operator"]
    assert operator["enum"] == [choice.value for choice in Operator]


def test_rules_stand_on_added_fields_only() -> None:
    old = dict(schema()["spec"]["properties"]["target"]["properties"])
    del old["clusters"]
    assert "x-kubernetes-validations" not in yaml.safe_dump(old)


def _encoded(struct: Any) -> Mapping[str, Any]:
    return msgspec.json.decode(msgspec.json.encode(struct), type=dict[str, Any])


@pytest.mark.parametrize(
    ("struct", "path"),
    [
        (PolicyStatus(), ()),
        (TargetCounts(), ("targets",)),
        (PolicyClusterStatus("a"), ("clusters", "items")),
        (PolicyCredentialStatus("a", "b"), ("credentials", "items")),
        (Condition("a", "True", "b", "c", "d", 1), ("conditions", "items")),
        (HeldStatus("a", 1, "b"), ("held",)),
    ],
)
def test_the_status_has_exactly_the_fields_that_are_written(struct: object, path: tuple[str, ...]) -> None:
    part = schema()["status"]
    for step in path:
        part = part["items"] if step == "items" else part["properties"][step]
    assert set(part["properties"]) == set(_encoded(struct))


def _served(client: Client) -> bool:
    conditions = client.get(DEFINITION).get("status", {}).get("conditions") or []
    established = {"Established": "True"}.items() <= {each["type"]: each["status"] for each in conditions}.items()
    return established and client.ask("GET", COLLECTION).status == http.HTTPStatus.OK


@pytest.fixture
def admin(real_cluster: RealCluster) -> Iterator[Client]:
    """Give a client of a cluster that serves the resource and has none; the definition stays for the next test."""
    client = real_cluster.client()
    client.apply(crd())
    until = time.monotonic() + 30
    while not _served(client):
        assert time.monotonic() < until, "the resource is not served"
    yield client
    client.delete(COLLECTION)
    client.close()


ROLE = "arn:aws:iam::210987654321:role/pull"
PLAIN = {"region": "eu-west-1", "accountID": "123456789012"}
EVERYTHING = policy(
    "everything",
    credentials=[
        {"name": "ecr", "namespace": "registry-access"},
        {
            "ecr": {
                "region": "eu-west-1",
                "accountID": "123456789012",
                "accountIDs": ["111111111111"],
                "registryHosts": ["*.dkr.ecr.eu-west-1.amazonaws.com"],
                "roleARN": ROLE,
                "roleChain": [ROLE],
                "externalID": "tenant:7",
                "sessionName": "team-a",
                "profile": "pull",
                "endpoint": "fips",
                "public": False,
                "ecrEndpointURL": "https://vpce-1.amazonaws.com",
                "stsEndpointURL": "https://vpce-2.amazonaws.com",
            }
        },
        {"ecr": {"public": True}},
    ],
    target={
        "clusters": {
            "names": ["prod-*"],
            "labels": [{"matchExpressions": [{"key": "env", "operator": "In", "values": ["a"]}]}, {}],
            "exclude": ["prod-legacy"],
        },
        "namespaces": {
            "names": ["istio-system", "team-*"],
            "labels": [
                {"matchExpressions": [{"key": "istio.io/rev", "operator": "Exists"}]},
                {"matchLabels": {"a": "b"}},
            ],
            "annotations": [
                {"matchAnnotations": {"sidecar.istio.io/inject": "true"}, "matchExpressions": []},
                {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["https://x/y?z"]}]},
            ],
            "exclude": ["kube-*"],
        },
        "namespacesWithPods": {"labels": [], "annotations": []},
        "secret": {"name": "registry-pull", "labels": {"a": "b"}, "annotations": {"c": "d"}},
    },
    conflictPolicy="Fail",
    deletionPolicy="Retain",
    suspend=False,
)


@pytest.mark.real
def test_a_real_api_server_takes_it_and_keeps_every_field(admin: Client) -> None:
    definition = admin.get(DEFINITION)
    conditions = {each["type"]: each["status"] for each in definition["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"
    assert admin.post(COLLECTION, EVERYTHING)["spec"] == EVERYTHING["spec"]
    stored = admin.get(f"{COLLECTION}/everything")
    assert isinstance(parse_policy(stored, generation=stored["metadata"]["generation"]), Policy)


@pytest.mark.real
def test_a_real_api_server_takes_the_status_that_we_compute(admin: Client) -> None:
    made = admin.post(COLLECTION, policy("status"))
    now = "2026-01-01T00:00:00Z"
    status = PolicyStatus(
        status="Ready",
        last_successful_reconciliation=now,
        validity_seconds=5,
        observed_generation=1,
        conditions=[Condition("Ready", "True", "AllSynced", "", now, 1)],
        clusters=[PolicyClusterStatus("a", since=now, next_attempt=now, last_contact=now)],
        credentials=[PolicyCredentialStatus("ns", "a", registries=["r"], expires_at=now, refreshed_at=now)],
        held=HeldStatus("h", 3, "why"),
        targets=TargetCounts(desired=1, summary="0/1"),
    )
    made["status"] = _encoded(status)
    assert admin.put(f"{COLLECTION}/status/status", made)["status"] == made["status"]


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"conflictPolicy": "Steal"}, "spec.conflictPolicy"),
    ({"deletionPolicy": "retain"}, "spec.deletionPolicy"),
    (
        {"target": {"clusters": {"labels": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}}},
        "In and NotIn need values",
    ),
    ({"target": {"secret": {}}}, "spec.target.secret.name"),
    *(
        ({"credentials": [{"ecr": ecr}]}, message)
        for ecr, message in (
            ({}, "region and accountID are required"),
            ({"region": "eu-west-1", "public": False}, "region and accountID are required"),
            ({**PLAIN, "secretKey": "MARK"}, "put them in a source Secret"),
            ({**PLAIN, "accountID": 123456789012}, "accountID.* must be of type string"),
            ({**PLAIN, "accountIDs": ["1234"]}, r"accountIDs\[0\].* should match"),
            ({**PLAIN, "region": "EU West"}, "region.* should match"),
            ({**PLAIN, "roleARN": "pull"}, "roleARN.* should match"),
            ({**PLAIN, "roleChain": [f"{ROLE},{ROLE}"]}, r"roleChain\[0\].* should match"),
            ({**PLAIN, "roleChain": [f"{ROLE}{n}" for n in range(6)]}, "must have at most 5 items"),
            ({**PLAIN, "externalID": "tenant:7"}, "roleARN or roleChain names it"),
            ({**PLAIN, "endpoint": "FIPS"}, 'endpoint: Unsupported value: "FIPS"'),
        )
    ),
    ({"credentials": [{"name": "ecr"}]}, "must validate one and only one schema"),
    ({"credentials": [{"name": "a", "namespace": "b", "ecr": PLAIN}]}, "must validate one and only one schema"),
)


@pytest.mark.real
def test_a_mistyped_field_of_an_inline_source_reaches_the_parser(admin: Client) -> None:
    """An API server that dropped it would let the process's own identity ask without the role."""
    content = policy("typo", credentials=[{"ecr": {**PLAIN, "roleArn": ROLE}}])
    stored = parse_policy(admin.post(COLLECTION, content), generation=1)
    assert isinstance(stored, InvalidPolicy)
    assert "did you mean roleARN?" in stored.problems[0].message


@pytest.mark.real
def test_a_real_api_server_refuses_what_the_parser_refuses(admin: Client) -> None:
    for spec, message in REFUSED:
        content = policy("wrong", **spec)
        assert isinstance(parse_policy(content), InvalidPolicy)
        with pytest.raises(RefusedError, match=message):
            admin.post(COLLECTION, content)
