"""Sources that stand in the policy itself: what may be written, what each slip is told, and what they are called."""

from typing import Any

import pytest
from msgspec.structs import replace

from imps_multi.model.hub import inline_secret
from imps_multi.model.policy import InvalidPolicy, Policy, SourceRef
from imps_multi.model.policy_parse import parse_policy
from imps_multi.model.stored_policy import StoredPolicy, decode_policy, encode_policy

ROLE = "arn:aws:iam::210987654321:role/pull"
PLAIN = {"region": "eu-west-1", "accountID": "123456789012"}
EVERYTHING = {
    **PLAIN,
    "accountIDs": ["111111111111", "222222222222"],
    "registryHosts": ["*.dkr.ecr.eu-west-1.amazonaws.com"],
    "roleARN": ROLE,
    "roleChain": [ROLE, ROLE + "2"],
    "externalID": "tenant:7",
    "sessionName": "team-a",
    "profile": "pull",
    "endpoint": "fips-dualstack",
    "ecrEndpointURL": "https://vpce-1.amazonaws.com",
    "stsEndpointURL": "https://vpce-2.amazonaws.com",
}


def parsed(*credentials: object) -> Policy | InvalidPolicy:
    return parse_policy(
        {
            "apiVersion": "images.banzaicloud.io/v1alpha1",
            "kind": "ImagePullSecret",
            "metadata": {"name": "imps"},
            "spec": {
                "registry": {"credentials": list(credentials)},
                "target": {"secret": {"name": "pull"}, "clusters": {"names": ["*"]}},
            },
        }
    )


def sources(*credentials: object) -> tuple[SourceRef, ...]:
    policy = parsed(*credentials)
    assert isinstance(policy, Policy), policy
    return policy.sources


def ref(**ecr: Any) -> SourceRef:
    (only,) = sources({"ecr": ecr})
    return only


def problems(*credentials: object) -> dict[str, str]:
    policy = parsed(*credentials)
    assert isinstance(policy, InvalidPolicy), policy
    return {one.path.removeprefix("spec.registry.credentials"): one.message for one in policy.problems}


def test_everything_becomes_the_secret_that_says_the_same() -> None:
    secret = inline_secret(ref(**EVERYTHING))
    assert secret.type == "banzaicloud.io/aws-ecr-login-config"
    assert {key: value.decode() for key, value in secret.data.items()} == {
        **{key: value for key, value in EVERYTHING.items() if key != "roleARN"},
        "roleArn": ROLE,
        "accountIDs": "111111111111,222222222222",
        "registryHosts": "*.dkr.ecr.eu-west-1.amazonaws.com",
        "roleChain": f"{ROLE},{ROLE}2",
    }


def test_the_order_in_the_policy_is_the_order_of_the_sources() -> None:
    secret = {"name": "hub", "namespace": "registry-access"}
    found = sources({"ecr": PLAIN}, secret, {"ecr": {"public": True}})
    assert [str(one).rpartition(":")[0] or str(one) for one in found] == [
        "ecr:eu-west-1:123456789012",
        "registry-access/hub",
        "ecr:public",
    ]


def test_a_source_is_called_after_what_it_says_and_not_how() -> None:
    plain = ref(**PLAIN)
    assert ref(region="eu-west-1", accountIDs=["123456789012"], public=False, roleARN=None) == plain
    assert ref(public=True, **PLAIN) == ref(public=True)
    others = [ref(**{**PLAIN, **more}) for more in ({"roleARN": ROLE}, {"region": "eu-west-2"}, {"profile": "x"})]
    assert len({plain, *others}) == len({str(one) for one in (plain, *others)}) == 4
    assert sources({"ecr": PLAIN}, {"ecr": dict(PLAIN)}) == (plain,)


@pytest.mark.parametrize("name", [str(ref(**PLAIN)), str(ref(public=True))])
def test_no_secret_can_have_the_name_of_an_inline_source(name: str) -> None:
    assert "is not valid" in problems({"name": name, "namespace": ""})["[0].namespace"]


def test_a_stored_policy_keeps_its_inline_sources() -> None:
    policy = parsed({"ecr": EVERYTHING}, {"name": "hub", "namespace": "registry-access"})
    assert isinstance(policy, Policy)
    stored = decode_policy(encode_policy(StoredPolicy(policy)))
    assert stored == StoredPolicy(policy)


def test_a_policy_that_was_stored_before_there_were_any_is_read() -> None:
    policy = parsed({"name": "hub", "namespace": "registry-access"})
    assert isinstance(policy, Policy)
    old = encode_policy(StoredPolicy(policy)).replace(b',"inline":[]', b"")
    assert b"inline" not in old
    assert decode_policy(old) == StoredPolicy(policy)


@pytest.mark.parametrize(
    ("ecr", "path", "message"),
    [
        ("eu-west-1", "", "must be a mapping, is a text"),
        ({"accountID": "123456789012"}, ".region", "is required"),
        ({"region": "eu-west-1"}, ".accountID", "is required"),
        ({"region": "eu-west-1", "accountIDs": []}, ".accountID", "is required"),
        ({**PLAIN, "regoin": "x"}, ".regoin", "unknown field (did you mean region?)"),
        ({**PLAIN, "roleArn": ROLE}, ".roleArn", "unknown field (did you mean roleARN?)"),
        ({**PLAIN, "accountIds": []}, ".accountIds", "(did you mean accountIDs?)"),
        ({**PLAIN, "password": "x"}, ".password", "unknown field; known are accountID"),
        ({**PLAIN, "secretKey": "x"}, ".secretKey", "put it in a source Secret, and name that one with {name: …"),
        ({**PLAIN, "accessKeyID": "x"}, ".accessKeyID", "put it in a source Secret"),
        ({**PLAIN, "sessionToken": "x"}, ".sessionToken", "put it in a source Secret"),
        ({**PLAIN, "accountID": 123456789012}, ".accountID", "must be a text, is a number; put it in quotes"),
        ({**PLAIN, "accountID": "1234"}, ".accountID", "is not an AWS account number: 12 digits"),
        ({**PLAIN, "accountID": ""}, ".accountID", "is empty; take it away"),
        ({**PLAIN, "accountIDs": "111111111111"}, ".accountIDs", "must be a list, is a text"),
        ({**PLAIN, "accountIDs": ["111111111111", 2]}, ".accountIDs[1]", "must be a text, is a number"),
        ({**PLAIN, "region": "EU West"}, ".region", "is not an AWS region such as eu-west-1"),
        ({**PLAIN, "roleARN": "pull"}, ".roleARN", "is not a role's ARN"),
        ({**PLAIN, "roleChain": [ROLE, "pull"]}, ".roleChain[1]", "is not a role's ARN"),
        ({**PLAIN, "roleChain": [f"{ROLE},{ROLE}"]}, ".roleChain[0]", "is not a role's ARN"),
        ({**PLAIN, "roleChain": [f"{ROLE}{n}" for n in range(6)]}, ".roleChain", "holds more than 5 roles"),
        ({**PLAIN, "registryHosts": ["a.b", "me:pw@host"]}, ".registryHosts[1]", "is not a registry's host"),
        ({**PLAIN, "registryHosts": ["a.b,c.d"]}, ".registryHosts[0]", "is not a registry's host"),
        ({**PLAIN, "roleARN": ROLE, "externalID": "x y"}, ".externalID", "is not an external ID"),
        ({**PLAIN, "roleARN": ROLE, "sessionName": "x"}, ".sessionName", "is not a session name"),
        ({**PLAIN, "externalID": "tenant:7"}, ".externalID", "stands without roleARN or roleChain"),
        ({**PLAIN, "sessionName": "team-a", "roleChain": []}, ".sessionName", "stands without roleARN or roleChain"),
        ({**PLAIN, "profile": ""}, ".profile", "is empty"),
        ({**PLAIN, "endpoint": "FIPS"}, ".endpoint", "is not fips, dualstack or fips-dualstack"),
        ({**PLAIN, "public": "true"}, ".public", "must be true or false, is a text"),
        ({"public": True, "endpoint": "fips"}, ".endpoint", "the public registry has no FIPS endpoint"),
        ({7: "x", "public": True}, ".7", "the key is a number"),
    ],
)
def test_each_slip_is_told_with_its_path_and_without_its_value(ecr: object, path: str, message: str) -> None:
    found = problems({"name": "hub", "namespace": "registry-access"}, {"ecr": ecr})
    assert message in found[f"[1].ecr{path}"]
    assert len(found) == 1


def test_a_source_is_a_secret_or_inline_and_never_both() -> None:
    found = problems({"ecr": PLAIN, "name": "hub", "namespace": "registry-access"})
    assert {path: "write two items" in message for path, message in found.items()} == {
        "[0].name": True,
        "[0].namespace": True,
    }
    assert "did you mean ecr?" in problems({"ECR": PLAIN})["[0].ECR"]


def test_a_different_content_never_sorts_before_its_name() -> None:
    """References are sorted, one beside the other, Secrets and inline ones alike."""
    refs = [*sources({"name": "hub", "namespace": "a"}, {"ecr": PLAIN}, {"ecr": EVERYTHING})]
    assert sorted(refs) == sorted(refs, key=lambda one: (one.namespace, one.name))
    assert replace(refs[0], inline=(("a", "b"),)) != refs[0]
