"""Inline sources as the catalogue reads them: what the parser takes, it takes too, within what is allowed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.model.credential import MintSource, SourceFault
from imps_multi.model.fields import Fields
from imps_multi.model.hub import inline_secret
from imps_multi.model.inline_source import inline_ecr
from imps_multi.model.policy import SourceRef
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.rules import AmbientRule

from .secrets import ECR, ROLE, ecr

ALL = interpreter(ambient=AmbientRule(), endpoints=("vpce-1.amazonaws.com",))
URL = "https://vpce-1.amazonaws.com"
ACCOUNTS = st.sampled_from(["123456789012", "000000000000", "12", ""])
ROLES = st.sampled_from([ROLE, f"{ROLE}2", "arn:aws-cn:iam::123456789012:role/path/a,b", "role"])
SOURCES = st.fixed_dictionaries(
    {},
    optional={
        "region": st.sampled_from(["eu-west-1", "cn-north-1", "eusc-de-east-1", "Frankfurt"]),
        "accountID": ACCOUNTS,
        "accountIDs": st.lists(ACCOUNTS, max_size=3),
        "registryHosts": st.lists(
            st.sampled_from(["*.example.com", "https://a.example.com/x", "a@b", " ", ","]), max_size=2
        ),
        "roleARN": ROLES,
        "roleChain": st.lists(ROLES, max_size=7),
        "externalID": st.sampled_from(["tenant:7", "x", "a b"]),
        "sessionName": st.sampled_from(["team-a", ":"]),
        "profile": st.sampled_from(["pull", "", "a b"]),
        "endpoint": st.sampled_from(["fips", "dualstack", "fips-dualstack", "ipv6"]),
        "public": st.booleans(),
        "ecrEndpointURL": st.sampled_from([URL, ""]),
        "stsEndpointURL": st.just(URL),
    },
)


def parsed(**given: Any) -> SourceRef:
    fields = Fields()
    ref = inline_ecr(fields, given, "ecr")
    assert ref is not None, fields.problems
    return ref


def read(*allowed: str, **given: Any) -> MintSource | str:
    rule = AmbientRule(role_arns=allowed or ("*",))
    found = interpreter(ambient=rule, endpoints=())(inline_secret(parsed(**given)))
    assert isinstance(found, MintSource | SourceFault)
    return found.message if isinstance(found, SourceFault) else found


@given(SOURCES)
def test_what_the_parser_takes_can_be_minted_and_all_else_has_its_problem(given: dict[str, Any]) -> None:
    fields = Fields()
    ref = inline_ecr(fields, given, "ecr")
    assert (ref is None) == bool(fields.problems)
    if ref is not None:
        assert isinstance(ALL(inline_secret(ref)), MintSource)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["region", "accountID", "accountIDs", "roleChain", "registryHosts", "public", "secretKey"]


@given(JSON | st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4))
def test_nonsense_is_a_problem_and_no_crash(given: Any) -> None:
    fields = Fields()
    ref = inline_ecr(fields, given, "ecr")
    assert (ref is None) == bool(fields.problems)


def test_it_is_the_identity_of_the_secret_that_says_the_same() -> None:
    more = {"externalID": "tenant:7", "sessionName": "team-a"}
    inline = read(**ECR, roleARN=ROLE, **more)
    named = interpreter(ambient=AmbientRule(everybody=True), endpoints=())(ecr(roleArn=ROLE, **more))
    assert inline == named


@pytest.mark.parametrize(
    ("given", "key"),
    [({"roleARN": ROLE}, "roleARN"), ({"roleChain": ["arn:aws:iam::1:role/pull", ROLE]}, "roleChain")],
)
def test_each_role_must_be_allowed(given: dict[str, Any], key: str) -> None:
    assert isinstance(read("arn:aws:iam::1:role/*", ROLE, **ECR, **given), MintSource)
    assert read("arn:aws:iam::1:role/*", **ECR, **given) == (
        f"key {key} names a role that the process's own identity may not take on; "
        "add it to sources.ambientIdentity.roleARNs"
    )


def test_an_endpoint_must_be_listed() -> None:
    assert "list its host in sources.endpoints" in str(read(**ECR, ecrEndpointURL=URL))


def test_a_profile_is_the_process_s_own_business() -> None:
    source = read(**ECR, profile="pull")
    assert isinstance(source, MintSource)
    assert source.identity.request["profile"] == "pull"
