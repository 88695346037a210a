"""What works in a docker config but hardly as it was meant is said, and what a kubelet makes of it is what is said."""

import json
from base64 import b64encode

import pytest

from imps_multi.model.docker_remarks import DOCKER_HUB_KEY
from imps_multi.model.dockerconfig import parse, parse_legacy, render
from tests import kubelet
from tests.kubelet import Login

MARK = "MARKEDVALUE"
KIND, KEY = "kubernetes.io/dockerconfigjson", ".dockerconfigjson"
GUID = "00000000-0000-0000-0000-000000000000"


def auth(username: str, password: str) -> str:
    return b64encode(f"{username}:{password}".encode()).decode()


def content(auths: object, **members: object) -> bytes:
    return json.dumps({"auths": auths, **members}).encode()


def logins(image: str, given: bytes) -> list[Login]:
    """Return what a kubelet would try for an image with what is written of a source."""
    config = parse(given)
    return kubelet.logins(image, [kubelet.keyring(KIND, {KEY: render(config.entries, config.settings)})])


@pytest.mark.parametrize(
    "key",
    [
        "quay.io",
        "https://quay.io",
        "https://quay.io/v1/",
        "http://registry:5000",
        "[::1]:5000",
        "quay.io/team",
        "*.dkr.ecr.*.amazonaws.com",
        "docker.io",
        "docker.io/team",
        "index.docker.io",
        DOCKER_HUB_KEY,
    ],
)
def test_nothing_is_said_of_what_is_as_it_should_be(key: str) -> None:
    assert parse(content({key: {"auth": auth("u", "p")}})).remarks == ()


@pytest.mark.parametrize(
    ("key", "image", "says"),
    [
        ("https://index.docker.io/v1", "nginx", "no image is ever looked up under it; Docker Hub is https://index"),
        ("index.docker.io/team", "docker.io/team/app", "no image is ever looked up under it"),
        ("registry-1.docker.io", "nginx", "covers images only whose name says registry-1.docker.io; Docker Hub is"),
        ("registry.hub.docker.com", "nginx", "covers images only whose name says registry.hub.docker.com"),
        ("https://quay.io/v2", "quay.io/app", "to a kubelet /v2 without a slash behind it is part of the image's name"),
        ("two words", "quay.io/app", "is no URL, so a kubelet skips the entry"),
        ("oci://quay.io", "quay.io/app", "no image's name can match it"),
        ("qua[xyz].io", "quay.io/app", "is no URL, so a kubelet skips the entry"),
        ("[::1]", "[::1]/app", "no image's name can match it"),
        ("QUAY.io", "quay.io/app", "hosts are compared as they are written"),
        ("quay.io:443", "quay.io/app", "covers images only whose name says :443"),
    ],
)
def test_a_key_under_which_nothing_is_looked_up_is_said(key: str, image: str, says: str) -> None:
    """The login is written all the same: other readers of the Secret have other rules."""
    given = content({key: {"auth": auth("u", MARK)}})
    (remark,) = parse(given).remarks
    assert says in remark
    assert remark.startswith(f"'{key}': ")
    assert MARK not in remark
    assert logins(image, given) == []


@pytest.mark.parametrize(
    ("fields", "expected", "says"),
    [
        (
            {"auth": auth("u", MARK), "username": "x", "password": "y"},
            Login("u", MARK),
            "do not agree; a kubelet takes",
        ),
        ({"auth": auth("u", MARK), "username": "u"}, Login("u", MARK), "do not agree"),
        ({"auth": auth("u", "")}, Login("u", ""), "the password is empty"),
        ({"username": "u"}, Login("u", ""), "the password is empty"),
        ({"auth": auth("", MARK)}, Login("", MARK), "the user name is empty, so container runtimes ask as nobody"),
        (
            {"auth": auth(GUID, ""), "identitytoken": MARK},
            Login(GUID, ""),
            "has only identitytoken to log in with, which no",
        ),
        ({"username": "<token>", "password": MARK}, Login("<token>", MARK), "the user name <token> marks an identity"),
        ({"auth": auth("u", f"{MARK}\n")}, Login("u", f"{MARK}\n"), "the password ends in a line break"),
        ({"auth": auth("u", "x" * 65537)}, Login("u", "x" * 65537), "the password is over 64 KiB"),
    ],
)
def test_a_login_that_hardly_works_is_kept_as_it_is_and_said(
    fields: dict[str, str], expected: Login, says: str
) -> None:
    given = content({"quay.io": fields})
    (remark,) = parse(given).remarks
    assert says in remark
    assert MARK not in remark
    assert [expected] == logins("quay.io/app", given)


@pytest.mark.parametrize("field", ["identitytoken", "registrytoken"])
def test_a_token_that_no_kubelet_uses_is_kept_and_said(field: str) -> None:
    config = parse(content({"quay.io": {field: MARK}}))
    assert config.remarks == (f"'quay.io': has only {field}, which no kubelet uses; it pulls without a login",)
    assert json.loads(render(config.entries)) == {"auths": {"quay.io": {field: MARK}}}


def test_an_identity_token_beside_a_login_that_works_is_no_matter() -> None:
    config = parse(content({"quay.io": {"auth": auth("u", "p"), "identitytoken": MARK}}))
    assert config.remarks == ()
    assert json.loads(config.entries[0].content)["identitytoken"] == MARK


@pytest.mark.parametrize("name", ["credHelpers", "credsStore"])
def test_credential_helpers_are_kept_and_said(name: str) -> None:
    value: object = {"gcr.io": MARK} if name == "credHelpers" else MARK
    config = parse(content({"quay.io": {"auth": auth("u", "p")}}, **{name: value}))
    assert config.remarks == (f"{name} is kept, for tools that mount the Secret; no kubelet asks a credential helper",)
    assert json.loads(render(config.entries, config.settings))[name] == value


def test_a_legacy_file_has_the_same_remarks() -> None:
    auths = {"registry-1.docker.io": {"auth": auth("", MARK)}}
    assert len(parse(content(auths)).remarks) == 2
    assert parse(content(auths)).remarks == parse_legacy(json.dumps(auths).encode()).remarks
