"""What a Google source Secret says: whose identity, under which hosts; and what is wrong with one, by key."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.model.credential import MintSource, SourceFault
from imps_multi.registries.catalogue import interpreter
from imps_multi.registries.guard import ANYWHERE
from imps_multi.registries.rules import AmbientRule

from .fake_google import ACCOUNT, TARGET, account_key, federation, impersonation, login, pem
from .secrets import MARK, source

GOOGLE = "https://oauth2.googleapis.com"
STS = "https://sts.googleapis.com"
KEY = account_key(GOOGLE)
FEDERATION = federation(STS)
EUROPE = {"location": "europe"}
CUT = "\n".join((*pem().splitlines()[:9], "-----END PRIVATE KEY-----\n"))
NOBODY = AmbientRule()
OURS = AmbientRule(namespaces=("imps-system",))


def interpret(
    data: Mapping[str, str], *, ambient: AmbientRule = NOBODY, listed: tuple[str, ...] = (), namespace: str = "team-a"
) -> MintSource | SourceFault:
    given = interpreter(ambient=ambient, endpoints=listed)(source("imps-multi.io/gcp", data, namespace=namespace))
    assert isinstance(given, MintSource | SourceFault)
    assert MARK not in str(given)
    assert pem() not in str(given)
    return given


def good(data: Mapping[str, str], **how: object) -> MintSource:
    given = interpret(data, **how)  # type: ignore[arg-type]  # the test's own words for the function above
    assert isinstance(given, MintSource), given
    return given


def fault(data: Mapping[str, str], **how: object) -> str:
    given = interpret(data, **how)  # type: ignore[arg-type]  # as above
    assert isinstance(given, SourceFault), given
    return given.message


@pytest.mark.parametrize(
    ("data", "hosts"),
    [
        ({"location": "europe"}, ("europe-docker.pkg.dev",)),
        ({"locations": "us, asia-east1"}, ("us-docker.pkg.dev", "asia-east1-docker.pkg.dev")),
        ({"location": "us", "locations": "us,asia"}, ("us-docker.pkg.dev", "asia-docker.pkg.dev")),
        ({"registries": "eu.gcr.io, *-docker.pkg.dev/mine"}, ("eu.gcr.io", "*-docker.pkg.dev/mine")),
        ({"registries": "gcr.io\n", "location": "us"}, ("gcr.io", "us-docker.pkg.dev")),
    ],
)
def test_the_registries_are_those_named_and_those_of_the_locations(
    data: Mapping[str, str], hosts: tuple[str, ...]
) -> None:
    given = good({"serviceAccountKey": KEY, **data})
    assert given.registries == hosts
    assert given.provider == "gcp"


def test_one_identity_however_its_key_is_spelled() -> None:
    first = good({"serviceAccountKey": KEY, "location": "europe"})
    spaced = good({"serviceAccountKey": json.dumps(json.loads(KEY), indent=4) + "\n", "location": "us"})
    assert spaced.identity == first.identity
    assert spaced.identity.key == first.identity.key


@pytest.mark.parametrize(
    "other",
    [
        {"serviceAccountKey": account_key(GOOGLE, private_key_id="another")},
        {"serviceAccountKey": KEY, "impersonate": TARGET},
        {"serviceAccountKey": KEY, "scopes": "https://www.googleapis.com/auth/devstorage.read_only"},
        {"credentials": FEDERATION},
        {},
    ],
)
def test_another_identity_is_another_keeper(other: Mapping[str, str]) -> None:
    everybody = AmbientRule(everybody=True)
    assert (
        good({**other, **EUROPE}, ambient=everybody).identity.key
        != good({"serviceAccountKey": KEY, **EUROPE}).identity.key
    )


WRONG = [
    ({"serviceAccountKey": KEY}, "key registries is missing"),
    ({"serviceAccountKey": KEY, "registries": "me@host"}, "key registries does not hold registry hosts"),
    ({"serviceAccountKey": KEY, "location": "Europe!"}, "key location is not a location"),
    ({"serviceAccountKey": KEY, "locations": "us,b_d"}, "key locations is not a location"),
    ({"serviceAccountKey": "", **EUROPE}, "key serviceAccountKey is empty; leave"),
    (
        {"serviceAccountKey": KEY, "credentials": FEDERATION, **EUROPE},
        "key credentials is there together with serviceAccountKey",
    ),
    ({"serviceAccountKey": MARK, **EUROPE}, "key serviceAccountKey is not the JSON of a Google credential file"),
    ({"serviceAccountKey": f'["{MARK}"]', **EUROPE}, "key serviceAccountKey is not the JSON"),
    ({"serviceAccountKey": "[" * 5000, **EUROPE}, "key serviceAccountKey is not the JSON"),
    ({"serviceAccountKey": FEDERATION, **EUROPE}, "belongs under the name credentials"),
    ({"credentials": KEY, **EUROPE}, "belongs under the name serviceAccountKey"),
    ({"credentials": login(GOOGLE), **EUROPE}, "key credentials holds a person's login"),
    ({"serviceAccountKey": account_key(GOOGLE, type=MARK), **EUROPE}, "a type of credentials that is not supported"),
    ({"serviceAccountKey": account_key(GOOGLE, private_key=None), **EUROPE}, "serviceAccountKey lacks private_key"),
    ({"serviceAccountKey": account_key(GOOGLE, private_key=""), **EUROPE}, "serviceAccountKey lacks private_key"),
    (
        {"serviceAccountKey": account_key(GOOGLE, private_key=MARK), **EUROPE},
        "a private_key that is no PEM private key",
    ),
    (
        {"serviceAccountKey": account_key(GOOGLE, private_key=CUT), **EUROPE},
        "a private_key that is cut short or damaged",
    ),
    (
        {"serviceAccountKey": account_key(GOOGLE, client_email=7), **EUROPE},
        "a client_email that is not what it must be",
    ),
    (
        {"serviceAccountKey": KEY, "impersonate": "nobody", **EUROPE},
        "key impersonate is not a service account's e-mail",
    ),
    ({"serviceAccountKey": KEY, "impersonate": f"{TARGET}/..", **EUROPE}, "key impersonate is not a service account"),
    ({"serviceAccountKey": KEY, "scopes": "everything", **EUROPE}, "key scopes is not a comma list of scopes"),
    ({"serviceAccountkey": KEY, **EUROPE}, "key serviceAccountkey is unknown; did you mean serviceAccountKey?"),
]


@pytest.mark.parametrize(("data", "words"), WRONG)
def test_a_secret_that_is_wrong_says_which_key_and_what(data: Mapping[str, str], words: str) -> None:
    assert words in fault(data, ambient=AmbientRule(everybody=True))


WRONG_FEDERATIONS = [
    ({"audience": None}, "lacks audience"),
    ({"credential_source": None}, "lacks credential_source"),
    ({"credential_source": MARK}, "has a credential_source that is no mapping"),
    ({"credential_source": {}}, "a credential_source without file or url"),
    ({"credential_source": {"file": "/a", "url": STS}}, "a credential_source with both file and url"),
    ({"credential_source": {"executable": {"command": MARK}}}, "a credential_source with executable"),
    ({"credential_source": {"environment_id": "aws1"}}, "a credential_source with environment_id"),
    ({"credential_source": {"certificate": {}}}, "a credential_source with certificate"),
    ({"credential_source": {"url": STS, "headers": {"A": "b\r\nC: d"}}}, "headers that are no HTTP headers"),
    ({"credential_source": {"url": STS, "headers": {"A b": "c"}}}, "headers that are no HTTP headers"),
    ({"credential_source": {"file": "/a", "format": {"type": "xml"}}}, "a credential_source format other than"),
    ({"credential_source": {"file": "/a", "format": {"type": "json"}}}, "lacks subject_token_field_name"),
    ({"service_account_impersonation_url": f"{STS}/steal"}, "asks for no service account's token"),
    (
        {
            "service_account_impersonation_url": impersonation("https://iamcredentials.googleapis.com"),
            "service_account_impersonation": {"token_lifetime_seconds": 86400},
        },
        "token_lifetime_seconds that is not within",
    ),
]


@pytest.mark.parametrize(("fields", "words"), WRONG_FEDERATIONS)
def test_a_federation_that_is_wrong_says_which_field(fields: Mapping[str, object], words: str) -> None:
    said = fault({"credentials": federation(STS, **fields), **EUROPE}, ambient=AmbientRule(everybody=True))
    assert said.startswith("key credentials ")
    assert words in said


def test_a_key_that_is_not_known_is_said_and_ignored() -> None:
    assert good({"serviceAccountKey": KEY, "colour": "blue", **EUROPE}).remark == "key colour is unknown and ignored"


BORROWED = [
    ({}, "keys serviceAccountKey and credentials are missing"),
    ({"impersonate": TARGET}, "keys serviceAccountKey and credentials are missing"),
    ({"credentials": FEDERATION}, "takes its token from a file of the process"),
    (
        {"credentials": federation(STS, credential_source={"url": f"{STS}/subject"})},
        "takes its token from an address that the process asks",
    ),
]


@pytest.mark.parametrize(("data", "words"), BORROWED)
def test_what_is_the_process_s_own_is_for_listed_namespaces_alone(data: Mapping[str, str], words: str) -> None:
    said = fault({**data, **EUROPE}, ambient=OURS)
    assert words in said
    assert "sources.ambientIdentity.namespaces" in said
    good({**data, **EUROPE}, ambient=OURS, namespace="imps-system")
    good({**data, **EUROPE}, ambient=AmbientRule(everybody=True))


def step(email: str) -> dict[str, str]:
    url = impersonation("https://iamcredentials.googleapis.com", email)
    return {"credentials": federation(STS, service_account_impersonation_url=url)}


@pytest.mark.parametrize(
    ("data", "key"), [({"impersonate": TARGET}, "impersonate"), (step(TARGET), "credentials")], ids=["key", "file"]
)
def test_whom_the_process_becomes_is_bounded_by_globs(data: Mapping[str, str], key: str) -> None:
    bounded = AmbientRule(everybody=True, role_arns=("arn:aws:iam::*", "*@team-a.iam.gserviceaccount.com"))
    said = fault({**data, **EUROPE}, ambient=bounded)
    assert said.startswith(f"key {key} names a service account")
    assert "sources.ambientIdentity.roleARNs" in said
    good({**data, **EUROPE}, ambient=AmbientRule(everybody=True, role_arns=("*@team-b.iam.gserviceaccount.com",)))


def test_a_delegate_on_the_way_is_bounded_too() -> None:
    inner = json.loads(FEDERATION)
    outer = {
        "type": "impersonated_service_account",
        "source_credentials": inner,
        "service_account_impersonation_url": impersonation("https://iamcredentials.googleapis.com"),
        "delegates": [f"projects/-/serviceAccounts/{ACCOUNT}"],
    }
    data = {"credentials": json.dumps(outer), **EUROPE}
    assert "names a service account" in fault(data, ambient=AmbientRule(everybody=True, role_arns=(TARGET,)))
    good(data, ambient=AmbientRule(everybody=True, role_arns=(TARGET, ACCOUNT)))


def test_an_identity_of_the_secret_s_own_becomes_whom_google_allows() -> None:
    good({"serviceAccountKey": KEY, "impersonate": TARGET, **EUROPE}, ambient=AmbientRule(role_arns=()))


ELSEWHERE = "https://tokens.example.com"
AIMED = [
    {"serviceAccountKey": account_key(ELSEWHERE)},
    {"credentials": federation(ELSEWHERE)},
    {"credentials": federation(STS, credential_source={"url": f"{ELSEWHERE}/subject"})},
    {"credentials": federation(STS, service_account_impersonation_url=impersonation(ELSEWHERE))},
]


@pytest.mark.parametrize("data", AIMED)
def test_an_address_that_is_not_google_s_must_be_listed(data: Mapping[str, str]) -> None:
    everybody = AmbientRule(everybody=True)
    (key,) = data
    said = fault({**data, **EUROPE}, ambient=everybody)
    assert said.startswith(f"key {key} names a host that is not allowed")
    good({**data, **EUROPE}, ambient=everybody, listed=("tokens.example.com",))


def test_another_universe_must_be_listed_where_its_services_are_asked() -> None:
    data = {"serviceAccountKey": account_key(GOOGLE, universe_domain="example.cloud"), **EUROPE}
    good(data)
    assert "names a host that is not allowed" in fault({**data, "impersonate": TARGET})
    good({**data, "impersonate": TARGET}, listed=("iamcredentials.example.cloud",))


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/x", "http://metadata.google.internal/x", "http://oauth2.googleapis.com/token"]
)
def test_a_secret_never_aims_at_the_metadata_server_or_in_the_clear(url: str) -> None:
    data = {"credentials": federation(STS, credential_source={"url": url}), **EUROPE}
    assert "key credentials" in fault(data, ambient=AmbientRule(everybody=True), listed=("*",))


FIELDS = (
    *("type", "client_email", "private_key", "private_key_id", "token_uri", "universe_domain", "audience"),
    *("subject_token_type", "token_url", "credential_source", "file", "url", "headers", "format", "delegates"),
    *("subject_token_field_name", "service_account_impersonation_url", "service_account_impersonation"),
    *("token_lifetime_seconds", "source_credentials", "executable"),
)
TEXTS = st.sampled_from(
    ("service_account", "external_account", "impersonated_service_account", "json", STS, pem(), impersonation(STS))
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=3), inner),
    max_leaves=12,
)


@given(
    base=st.sampled_from((json.loads(KEY), json.loads(FEDERATION), {})),
    changes=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6),
    key=st.sampled_from(("serviceAccountKey", "credentials")),
)
def test_whatever_a_file_holds_it_is_a_source_or_a_fault(
    base: dict[str, object], changes: dict[str, object], key: str
) -> None:
    interpret({key: json.dumps(base | changes), **EUROPE}, ambient=AmbientRule(everybody=True), listed=ANYWHERE)


@pytest.mark.parametrize("content", ['{"a":' * 100_000, '{"type": "\\ud800"}', '{"a": 1e999}', "\ufeff{}", "null", ""])
def test_json_that_others_choke_on_is_a_fault(content: str) -> None:
    assert "serviceAccountKey" in fault({"serviceAccountKey": content, **EUROPE})


def test_a_text_that_cannot_be_written_down_is_a_fault() -> None:
    broken = KEY.replace(ACCOUNT, "\\ud800@x")
    assert "serviceAccountKey" in fault({"serviceAccountKey": broken, **EUROPE})
