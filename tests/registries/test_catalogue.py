"""What a source Secret gives, or why it cannot be used."""

import json
import os
import subprocess
import sys
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.model.credential import Bounds, Interpretation, MintSource, SourceFault, StaticSource
from imps_multi.model.hub import SourceSecret
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.rules import AmbientRule

from .secrets import ECR, KEYS, MARK, ROLE, ecr, source

DOCKER = "kubernetes.io/dockerconfigjson"
BASIC = "kubernetes.io/basic-auth"
ECR_TYPE = "banzaicloud.io/aws-ecr-login-config"
AUTHS = {"quay.io": {"auth": b64encode(b"u:p").decode()}}
REGISTRY = "imps-multi.io/registry"

EVERYBODY = interpreter(ambient=AmbientRule(everybody=True), endpoints=("127.0.0.1", "vpce-*.amazonaws.com", "a:8443"))
NOBODY = interpreter(ambient=AmbientRule(), endpoints=())


def static(interpreted: Interpretation) -> StaticSource:
    assert isinstance(interpreted, StaticSource), interpreted
    return interpreted


def minted(interpreted: Interpretation) -> MintSource:
    assert isinstance(interpreted, MintSource), interpreted
    return interpreted


def fault(interpreted: Interpretation) -> str:
    assert isinstance(interpreted, SourceFault), interpreted
    return interpreted.message


def registries(secret: SourceSecret) -> list[str]:
    return [entry.registry for entry in static(NOBODY(secret)).entries]


@pytest.mark.parametrize(
    "secret",
    [
        source(DOCKER, {".dockerconfigjson": json.dumps({"auths": AUTHS})}),
        source("kubernetes.io/dockercfg", {".dockercfg": json.dumps(AUTHS)}),
        source(BASIC, {"username": "u", "password": "p"}, {REGISTRY: "quay.io"}),
        source(BASIC, {"username": "u\n", "password": "p\r\n"}, {REGISTRY: " quay.io ,"}),
    ],
)
def test_every_static_kind_gives_the_same_entry(secret: SourceSecret) -> None:
    (entry,) = static(NOBODY(secret)).entries
    assert (entry.registry, entry.content) == ("quay.io", b'{"auth":"dTpw","password":"p","username":"u"}')


def test_a_password_keeps_the_spaces_in_it() -> None:
    (entry,) = static(NOBODY(source(BASIC, {"username": "u", "password": " p "}, {REGISTRY: "quay.io"}))).entries
    assert json.loads(entry.content)["password"] == " p "


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("docker.io", ["https://index.docker.io/v1/"]),
        ("index.docker.io", ["https://index.docker.io/v1/"]),
        ("registry-1.docker.io", ["https://index.docker.io/v1/"]),
        ("https://docker.io/", ["https://index.docker.io/v1/"]),
        ("index.docker.io/v1", ["https://index.docker.io/v1/"]),
        ("docker.io/team", ["docker.io/team"]),
        ("Docker.IO", ["https://index.docker.io/v1/"]),
        ("[2001:db8::1]:5000,*.a.io/b", ["*.a.io/b", "[2001:db8::1]:5000"]),
        ("docker.io,quay.io", ["https://index.docker.io/v1/", "quay.io"]),
        ("docker.io,https://index.docker.io/v1/,index.docker.io", ["https://index.docker.io/v1/"]),
        ("registry:5000/team", ["registry:5000/team"]),
    ],
)
def test_a_login_is_written_under_each_registry_of_its_annotation(registry: str, expected: list[str]) -> None:
    assert registries(source(BASIC, {"username": "u", "password": "p"}, {REGISTRY: registry})) == expected


def test_what_a_docker_config_holds_beside_logins_comes_along_and_what_is_odd_is_said() -> None:
    document = {"auths": {"registry-1.docker.io": AUTHS["quay.io"]}, "HttpHeaders": {"X-A": MARK}}
    found = static(NOBODY(source(DOCKER, {".dockerconfigjson": json.dumps(document)})))
    assert [(one.name, one.inner, one.content) for one in found.settings] == [
        ("HttpHeaders", "X-A", f'"{MARK}"'.encode())
    ]
    assert found.remark.startswith("'registry-1.docker.io': covers images only whose name says registry-1.docker.io")


def test_a_host_under_which_no_image_is_looked_up_is_said_of_a_minted_source_too() -> None:
    found = minted(NOBODY(ecr(**KEYS, note="x", registryHosts="a.io, https://b.io/v1, c.io:443")))
    assert found.remark == (
        "key note is unknown and ignored; "
        "'https://b.io/v1': to a kubelet /v1 without a slash behind it is part of the image's name; write b.io; "
        "'c.io:443': covers images only whose name says :443, too"
    )


def test_much_that_is_odd_is_said_in_short() -> None:
    auths = {f"{number}.io:443": AUTHS["quay.io"] for number in range(300)}
    remark = static(NOBODY(source(DOCKER, {".dockerconfigjson": json.dumps({"auths": auths})}))).remark
    assert remark.count("covers images only") == 5
    assert remark.endswith("; and 295 more")


def test_what_is_odd_about_a_login_is_said() -> None:
    found = static(NOBODY(source(BASIC, {"username": "<token>", "password": MARK}, {REGISTRY: "quay.io:443"})))
    assert found.remark.startswith(
        "'quay.io:443': covers images only whose name says :443, too; 'quay.io:443': the user"
    )
    assert MARK not in found.remark


@pytest.mark.parametrize("kind", [ECR_TYPE, "Opaque", ""])
def test_an_ecr_source_needs_no_type(kind: str) -> None:
    found = minted(NOBODY(source(kind, {**ECR, **KEYS})))
    assert found.provider == "ecr"
    assert found.registries == ("123456789012.dkr.ecr.eu-west-1.amazonaws.com",)
    assert found.identity.request == {"region": "eu-west-1", **KEYS}


def test_white_space_around_pasted_keys_is_dropped() -> None:
    clean, pasted = {**ECR, **KEYS}, {key: f" {value}\r\n" for key, value in {**ECR, **KEYS}.items()}
    assert minted(NOBODY(source("Opaque", pasted))) == minted(NOBODY(source("Opaque", clean)))


@pytest.mark.parametrize("account", ["12345678901x", "\uff11" * 12])
def test_an_account_number_has_digits_only(account: str) -> None:
    assert "12 digits" in fault(NOBODY(source("Opaque", {**ECR, **KEYS, "accountID": account})))
    assert "12 digits" in fault(NOBODY(ecr(**KEYS, accountIDs=f"123456789012,{account}")))


@pytest.mark.parametrize("account", ["123456789", "1234567890123"])
def test_an_account_number_of_another_length_works_and_is_said(account: str) -> None:
    """IMPS takes them: its README has one of nine digits."""
    found = minted(NOBODY(source("Opaque", {**ECR, **KEYS, "accountID": account})))
    assert found.registries == (f"{account}.dkr.ecr.eu-west-1.amazonaws.com",)
    assert "12 digits" in found.remark


def test_one_token_goes_to_the_hosts_of_all_accounts() -> None:
    found = minted(NOBODY(ecr(**KEYS, accountIDs="000000000001, 210987654321,,000000000001")))
    assert [host.partition(".")[0] for host in found.registries] == ["123456789012", "000000000001", "210987654321"]


def test_keys_that_mean_nothing_are_said_and_do_no_harm() -> None:
    plain, other = minted(NOBODY(ecr(**KEYS))), minted(NOBODY(ecr(**KEYS, note=MARK, username=MARK)))
    assert other.remark == (
        "key note is unknown and ignored; key username is unknown and ignored (did you mean sessionName?)"
    )
    assert (plain.remark, plain.identity) == ("", other.identity)


def test_registry_hosts_stand_instead_of_the_accounts_hosts() -> None:
    found = minted(
        NOBODY(ecr(**KEYS, accountIDs="210987654321", registryHosts="*.dkr.ecr.eu-west-1.amazonaws.com, b.example.com"))
    )
    assert found.registries == ("*.dkr.ecr.eu-west-1.amazonaws.com", "b.example.com")


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("fips", "dkr.ecr-fips.eu-west-1.amazonaws.com"),
        ("dualstack", "dkr-ecr.eu-west-1.on.aws"),
        ("fips-dualstack", "dkr-ecr-fips.eu-west-1.on.aws"),
    ],
)
def test_an_endpoint_is_called_and_gives_its_hosts(endpoint: str, host: str) -> None:
    found = minted(NOBODY(ecr(**KEYS, endpoint=f" {endpoint}\n", accountIDs="000000000001")))
    assert found.identity.request["endpoint"] == endpoint
    assert found.registries == (f"123456789012.{host}", f"000000000001.{host}")


@pytest.mark.parametrize("more", [{}, {"region": "eu-west-1"}, ECR])
def test_the_public_registry_needs_neither_region_nor_account(more: dict[str, str]) -> None:
    found = minted(NOBODY(source("Opaque", {**KEYS, **more, "public": "true"})))
    assert found.registries == ("public.ecr.aws",)
    assert found.identity.request == {**KEYS, "region": "us-east-1", "public": "true"}
    assert found.remark == ""


def test_the_public_registry_has_a_second_name_on_dual_stack() -> None:
    found = minted(NOBODY(source("Opaque", {**KEYS, "public": "true", "endpoint": "dualstack"})))
    assert found.registries == ("public.ecr.aws", "ecr-public.aws.com")


def test_what_is_not_public_is_what_it_is_without_that_key() -> None:
    assert minted(NOBODY(ecr(**KEYS, public="false"))) == minted(NOBODY(ecr(**KEYS)))


def test_everything_that_shapes_the_call_is_in_the_request() -> None:
    data = {**KEYS, "sessionToken": "t", "roleArn": ROLE, "externalID": "x:1", "sessionName": "team-a"}
    urls = {"ecrEndpointURL": "http://127.0.0.1:9/ecr", "stsEndpointURL": "https://vpce-1.amazonaws.com"}
    found = minted(EVERYBODY(ecr(**data, **urls)))
    assert found.identity.request == {"region": "eu-west-1", **data, **urls}


def test_sources_that_differ_in_registries_alone_share_one_identity() -> None:
    first = minted(NOBODY(ecr(**KEYS)))
    second = minted(NOBODY(ecr(**KEYS, accountIDs="210987654321", registryHosts="a.io")))
    assert first.identity == second.identity
    assert first.registries != second.registries


@pytest.mark.parametrize(
    "other",
    [
        {"accessKeyID": "AKIDOTHER"},
        {"secretKey": "other"},
        {"region": "eu-west-2"},
        {"roleArn": ROLE},
        {"sessionToken": "t"},
        {"roleArn": ROLE, "externalID": "xx"},
        {"roleArn": ROLE, "externalID": "yy"},
        {"roleArn": ROLE, "sessionName": "xx"},
        {"ecrEndpointURL": "http://127.0.0.1:9"},
        {"stsEndpointURL": "http://127.0.0.1:9"},
        {"endpoint": "fips"},
        {"endpoint": "dualstack"},
        {"public": "true"},
        {"roleChain": ROLE},
        {"roleChain": ROLE, "roleArn": ROLE},
        {"roleChain": f"{ROLE},{ROLE}2"},
        {"roleChain": f"{ROLE}2,{ROLE}"},
    ],
)
def test_what_differs_in_identity_or_endpoint_is_another_identity(other: dict[str, str]) -> None:
    """Two sources with one key and two roles must not share a token."""
    plain = minted(EVERYBODY(ecr(**KEYS)))
    assert minted(EVERYBODY(ecr(**{**KEYS, **other}))).identity.key != plain.identity.key


def test_an_identity_gives_nothing_away() -> None:
    identity = minted(NOBODY(ecr(**KEYS))).identity
    assert MARK not in repr(identity)
    assert MARK not in identity.key
    assert "AKIDEXAMPLE" not in repr(identity)


@pytest.mark.parametrize(
    ("rule", "role", "allowed"),
    [
        (AmbientRule(), None, False),
        (AmbientRule(everybody=True), None, True),
        (AmbientRule(everybody=True), ROLE, True),
        (AmbientRule(namespaces=("registry-*",)), None, True),
        (AmbientRule(namespaces=("other",)), None, False),
        (AmbientRule(everybody=True, role_arns=("arn:aws:iam::1:role/*",)), ROLE, False),
        (AmbientRule(everybody=True, role_arns=("arn:aws:iam::210987654321:role/*",)), ROLE, True),
        (AmbientRule(everybody=True, role_arns=()), ROLE, False),
        (AmbientRule(everybody=True, role_arns=()), None, True),
    ],
)
def test_the_process_s_own_identity_is_lent_by_rule_only(rule: AmbientRule, role: str | None, *, allowed: bool) -> None:
    interpreted = interpreter(ambient=rule, endpoints=())(ecr(**({"roleArn": role} if role else {})))
    assert isinstance(interpreted, MintSource) is allowed
    if not allowed:
        assert "sources.ambientIdentity" in fault(interpreted)


OTHER_ROLE = "arn:aws:iam::111111111111:role/other"
MINE = AmbientRule(everybody=True, role_arns=("arn:aws:iam::210987654321:role/*",))


@pytest.mark.parametrize(
    ("data", "rule", "says"),
    [
        ({"profile": "team"}, AmbientRule(), "key profile is there"),
        ({"profile": "team"}, AmbientRule(namespaces=("registry-*",)), None),
        ({"profile": "team", "roleArn": OTHER_ROLE}, MINE, "key roleArn names a role"),
        ({**KEYS, "roleChain": ROLE}, AmbientRule(), "key roleChain is there"),
        ({**KEYS, "roleChain": ROLE}, AmbientRule(namespaces=("registry-*",)), None),
        ({"roleChain": ROLE, "roleArn": f"{ROLE}-2"}, MINE, None),
        ({"roleChain": f"{ROLE}, {OTHER_ROLE}"}, MINE, "key roleChain names a role"),
        ({"roleChain": f"{OTHER_ROLE},{ROLE}"}, MINE, "key roleChain names a role"),
        ({**KEYS, "roleChain": ROLE, "roleArn": OTHER_ROLE}, MINE, "key roleArn names a role"),
    ],
)
def test_profiles_and_role_chains_are_lent_by_rule_only(
    data: dict[str, str], rule: AmbientRule, says: str | None
) -> None:
    interpreted = interpreter(ambient=rule, endpoints=())(ecr(**data))
    if says is None:
        minted(interpreted)
    else:
        assert says in fault(interpreted)
        assert "sources.ambientIdentity" in fault(interpreted)


def test_two_sources_of_two_profiles_share_no_token() -> None:
    one, other = (minted(EVERYBODY(ecr(profile=name))) for name in ("one", "other"))
    assert one.identity.key != other.identity.key


def test_a_secret_with_keys_of_its_own_may_take_any_role() -> None:
    assert minted(NOBODY(ecr(**KEYS, roleArn=ROLE))).identity.request["roleArn"] == ROLE


@pytest.mark.parametrize("key", ["ecrEndpointURL", "stsEndpointURL"])
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://vpce-1.amazonaws.com", None),
        ("https://VPCE-1.amazonaws.com./path", None),
        ("http://127.0.0.1:4566", None),
        ("https://a:8443", None),
        ("https://a:8444", "sources.endpoints"),
        ("https://evil.example.com", "sources.endpoints"),
        ("https://evil.example.com/vpce-1.amazonaws.com", "sources.endpoints"),
        ("https://evil.example.com#vpce-1.amazonaws.com", "URL"),
        ("https://vpce-1.amazonaws.com@evil.example.com", "URL"),
        ("https://evil.example.com\\@vpce-1.amazonaws.com", "URL"),
        ("http://vpce-1.amazonaws.com", "https://"),
        ("http://169.254.169.254/latest", "sources.endpoints"),
        ("file:///etc/passwd", "URL"),
        ("vpce-1.amazonaws.com", "URL"),
        ("https://[::1", "URL"),
        ("https://vpce-1.amazonaws.com:port", "URL"),
    ],
)
def test_an_endpoint_url_may_name_listed_hosts_only(key: str, url: str, says: str | None) -> None:
    interpreted = EVERYBODY(ecr(**KEYS, **{key: url}))
    if says is None:
        assert minted(interpreted).identity.request[key] == url
    else:
        assert fault(interpreted).startswith(f"key {key} ")
        assert says in fault(interpreted)
        assert url not in fault(interpreted)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"accountID": "1"}, "key region is missing"),
        ({"region": "eu-west-1", **KEYS}, "key accountID is missing"),
        ({**ECR, **KEYS, "region": " "}, "key region is empty"),
        ({**ECR, **KEYS, "region": "Ireland"}, "key region is not an AWS region"),
        ({**ECR, **KEYS, "region": "eu-west-1/../x"}, "key region is not an AWS region"),
        ({**ECR, **KEYS, "accountID": "12345678901x"}, "key accountID or accountIDs"),
        ({**ECR, **KEYS, "accountIDs": "1,b.example.com/"}, "key accountID or accountIDs"),
        ({**ECR, "accessKeyID": "A"}, "key accessKeyID is there without secretKey"),
        ({**ECR, "secretKey": MARK}, "key secretKey is there without accessKeyID"),
        ({**ECR, "accessKeyID": "", "secretKey": ""}, "key accessKeyID is empty"),
        ({**ECR, "accessKeyID": "A B", "secretKey": MARK}, "key accessKeyID is not"),
        ({**ECR, "accessKeyID": "A", "secretKey": f"{MARK}\n{MARK}"}, "key secretKey is not"),
        ({**ECR, "accessKeyID": "A", "secretKey": b"\xff\xfe"}, "key secretKey is not UTF-8 text"),
        ({**ECR, "sessionToken": MARK}, "key sessionToken is there without accessKeyID"),
        ({**ECR, **KEYS, "externalID": MARK}, "key externalID is there without roleArn"),
        ({**ECR, **KEYS, "roleArn": MARK}, "key roleArn is not a role's ARN"),
        ({**ECR, **KEYS, "roleArn": ROLE, "sessionName": "two words"}, "key sessionName is not"),
        ({**ECR, **KEYS, "roleARN": ROLE}, "key roleARN is unknown; did you mean roleArn?"),
        ({**ECR, **KEYS, "registryHost": "a.io"}, "key registryHost is unknown; did you mean registryHosts?"),
        ({**ECR, "accesKeyId": "A", "secretKey": MARK}, "key accesKeyId is unknown; did you mean accessKeyID?"),
        ({**ECR, **KEYS, "profile": MARK}, "key profile is there together with accessKeyID"),
        ({**ECR, "profile": f"{MARK}\n[x]"}, "key profile is not a profile's name"),
        ({**ECR, **KEYS, "roleChain": MARK}, "key roleChain is not a comma list of roles' ARNs"),
        ({**ECR, **KEYS, "roleChain": f"{ROLE},{MARK}"}, "key roleChain is not a comma list of roles' ARNs"),
        ({**ECR, **KEYS, "roleChain": ",".join(f"{ROLE}{n}" for n in range(6))}, "key roleChain holds more than 5"),
        ({**ECR, **KEYS, "endpoint": MARK}, "key endpoint is not fips, dualstack or fips-dualstack"),
        ({**ECR, **KEYS, "public": MARK}, "key public is not true or false"),
        ({**KEYS, "public": "true", "endpoint": "fips"}, "key endpoint is not dualstack"),
        ({**KEYS, "public": "false", "accountID": "123456789012"}, "key region is missing"),
        ({**ECR, **KEYS, "registryHosts": f"https://u:{MARK}@a.io"}, "key registryHosts"),
    ],
)
def test_a_fault_of_an_ecr_source_says_which_key_and_never_a_value(data: dict[str, str | bytes], says: str) -> None:
    message = fault(EVERYBODY(source("Opaque", data)))
    assert says in message
    assert MARK not in message


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (source("Opaque", {"password": MARK}), "type 'Opaque' is no source"),
        (source("kubernetes.io/tls", {"tls.key": MARK}), "type 'kubernetes.io/tls' is no source"),
        (source("Opaque", {".dockerconfigjson": MARK}), "must be of type kubernetes.io/dockerconfigjson"),
        (source("Opaque", {".dockercfg": MARK}), "must be of type kubernetes.io/dockercfg"),
        (source(DOCKER, {}), "key .dockerconfigjson is missing"),
        (source(DOCKER, {".dockerconfigjson": ""}), "key .dockerconfigjson is empty"),
        (source(DOCKER, {".dockerconfigjson": MARK}), ".dockerconfigjson is not a JSON object"),
        (
            source(DOCKER, {".dockerconfigjson": json.dumps({"auths": {"a": {"auth": f"{MARK}?"}}})}),
            "key .dockerconfigjson: 'a': auth is not",
        ),
        (
            source(DOCKER, {".dockerconfigjson": '{"auths":{"a":{"auth":"dXNlcg=="}}}'}),
            "key .dockerconfigjson: 'a': auth",
        ),
        (source(DOCKER, {".dockerconfigjson": '{"auths":{}}'}), "key .dockerconfigjson names no registry"),
        (
            source(DOCKER, {".dockerconfigjson": json.dumps({"credHelpers": {"a.io": MARK}, "credsStore": MARK})}),
            "it needs an entry for each; credHelpers and credsStore name programs that no kubelet runs",
        ),
        (
            source(DOCKER, {".dockerconfigjson": json.dumps({"auths": {}, "credsStore": MARK})}),
            "names no registry at all; it needs an entry for each; credsStore name",
        ),
        (source("kubernetes.io/dockercfg", {".dockercfg": "{}"}), "key .dockercfg names no registry"),
        (source("kubernetes.io/dockercfg", {".dockerconfigjson": MARK}), "key .dockercfg is missing"),
        (source(BASIC, {"username": "u", "password": MARK}), "annotation imps-multi.io/registry"),
        *(
            (
                source(BASIC, {"username": "u", "password": MARK}, {REGISTRY: f"quay.io,{wrong}"}),
                f"{wrong!r} is no HOST",
            )
            for wrong in (
                "a.io b.io",
                "a.io;b.io",
                "a.io:port",
                "a.io:",
                ":5000",
                "2001:db8::1",
                "a.io/b?x",
                "https://",
            )
        ),
        (source(BASIC, {"password": MARK}, {REGISTRY: "a"}), "key username is missing"),
        (source(BASIC, {"username": "u", "password": "\n"}, {REGISTRY: "a"}), "key password is empty"),
        (source(BASIC, {"username": f"{MARK}:", "password": "p"}, {REGISTRY: "a"}), "'a': username holds a colon"),
        (source(BASIC, {"username": "u", "password": b"\xff"}, {REGISTRY: "a"}), "key password is not UTF-8 text"),
    ],
)
def test_a_fault_of_a_static_source_says_what_to_write_and_never_a_value(secret: SourceSecret, says: str) -> None:
    message = fault(EVERYBODY(secret))
    assert says in message
    assert MARK not in message


@pytest.mark.parametrize(
    "content",
    [
        MARK * 500_000,
        '{"auths":' * 500_000,
        json.dumps({"auths": {"a.io": {"auth": MARK * 500_000}}}),
        json.dumps({"auths": {"a.io": {**AUTHS["quay.io"], "more": "[" * 5_000_000}}}) + MARK,
        json.dumps({"auths": {f"{number}.io": MARK for number in range(200_000)}}),
    ],
    ids=["garbage", "a well of brackets", "no base64", "text behind the end", "many entries"],
)
def test_five_megabytes_of_nonsense_are_a_short_fault(content: str) -> None:
    message = fault(NOBODY(source(DOCKER, {".dockerconfigjson": content})))
    assert message.startswith("key .dockerconfigjson: ")
    assert len(message) < 300
    assert MARK not in message


@pytest.mark.parametrize("data", [{**ECR, **KEYS}, {".dockerconfigjson": json.dumps({"auths": AUTHS})}])
def test_annotations_bound_any_source(data: dict[str, str]) -> None:
    annotations = {
        "imps-multi.io/allow-policies": "team-*, infra",
        "imps-multi.io/allow-clusters": "",
    }
    kind = "Opaque" if "region" in data else DOCKER
    interpreted = NOBODY(source(kind, data, annotations))
    assert isinstance(interpreted, StaticSource | MintSource)
    assert interpreted.bounds == Bounds(policies=("team-*", "infra"), clusters=(), namespaces=None)


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("imps-multi.io/allow-policy", "policies"),
        ("imps-multi.io/allow-Namespaces", "namespaces"),
        ("imps-multi.io/allowed-clusters", "clusters"),
        ("imps-mutli.io/allow-clusters", "clusters"),
        ("imps-multi.io/alow-namespaces", "namespaces"),
    ],
)
@pytest.mark.parametrize("data", [{**ECR, **KEYS}, {".dockerconfigjson": json.dumps({"auths": AUTHS})}])
def test_a_bound_that_is_mistyped_does_not_let_a_source_go_further(
    data: dict[str, str], mistyped: str, meant: str
) -> None:
    kind = "Opaque" if "region" in data else DOCKER
    told = fault(NOBODY(source(kind, data, {mistyped: MARK})))
    assert told == f"annotation {mistyped} is unknown; did you mean imps-multi.io/allow-{meant}?"


@pytest.mark.parametrize(
    "name", [REGISTRY, "imps-multi.io/sync", "kubectl.kubernetes.io/last-applied-configuration", "example.com/allow"]
)
def test_an_annotation_that_is_like_no_bound_is_left_alone(name: str) -> None:
    assert isinstance(NOBODY(source("Opaque", {**ECR, **KEYS}, {name: "x"})), MintSource)


@given(
    st.sampled_from(["Opaque", DOCKER, "kubernetes.io/dockercfg", BASIC, ECR_TYPE, "x"]),
    st.dictionaries(
        st.sampled_from([*ECR, *KEYS, "roleArn", "ecrEndpointURL", ".dockerconfigjson", ".dockercfg", "username"]),
        st.binary(max_size=20) | st.sampled_from([*ECR.values(), ROLE, "https://["]).map(str.encode),
    ),
    st.dictionaries(st.just(REGISTRY), st.text(max_size=20)),
)
def test_no_content_raises(kind: str, data: dict[str, str | bytes], annotations: dict[str, str]) -> None:
    assert isinstance(EVERYBODY(source(kind, data, annotations)), StaticSource | MintSource | SourceFault)


def test_interpreting_imports_no_cloud_library() -> None:
    """Most commands only ask what a Secret is; aiobotocore alone would cost them 0.4 s."""
    code = """if True:
        import sys
        from imps_multi.registries.catalogue import interpreter
        from imps_multi.registries.rules import AmbientRule
        from imps_multi.registries.providers import Providers
        interpreter(ambient=AmbientRule(), endpoints=())
        Providers(lambda: 0.0, tuple).provider_for("ecr")
        heavy = {"aiobotocore", "botocore", "aiohttp", "boto3"} & set(sys.modules)
        sys.exit(f"imported: {heavy}" if heavy else 0)
    """
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False)  # noqa: S603  # our own interpreter
    assert done.returncode == 0, done.stderr
