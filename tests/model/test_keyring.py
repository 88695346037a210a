"""What a kubelet reads and tries, from its own tests and from its source."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.model import keyring
from imps_multi.model.keyring import Credential, KeyringError, kubelet_hash, lookup, normalised, repository


def config(*keys: str) -> tuple[Credential, ...]:
    auths = {key: {"username": f"user of {key}", "password": "p"} for key in keys}
    return keyring.read(json.dumps({"auths": auths}).encode())


def found(image: str, *keys: str) -> list[str]:
    return [credential.username.removeprefix("user of ") for credential in lookup(image, [config(*keys)])]


@pytest.mark.parametrize(
    ("username", "password", "email", "expected"),
    [
        ("foo", "bar", "", "2b1903504aba33bb6158bf1aa76cb588f05cd150de5047f1cfed339bc621d92b"),
        ("foo", "bar", "foo@bar.baz", "ecbd0905d2154d4c2569fcb97186ee08a2c2424001e5b2e6bbdb80bbd4f04f1b"),
        ("AWS", "a&b<c>", "", "e6d884497ca15f48f90e9b1c17aca30d191b67192fd90c3300ecc0348bd1c1b0"),
    ],
)
def test_the_hash_is_the_kubelets(username: str, password: str, email: str, expected: str) -> None:
    """Go escapes HTML inside JSON, and leaves empty fields out."""
    assert expected == kubelet_hash(username, password, email)


@pytest.mark.parametrize(
    ("key", "image"),
    [
        ("*.kubernetes.io", "prefix.kubernetes.io"),
        ("prefix.*.io", "prefix.kubernetes.io"),
        ("prefix.kubernetes.*", "prefix.kubernetes.io"),
        ("*-good.kubernetes.io", "prefix-good.kubernetes.io"),
        ("prefix.*.io/foo", "prefix.kubernetes.io/foo/bar"),
        ("https://*.docker.io/v1/", "prefix.docker.io/path:1111/foo/bar"),
        ("https://*.docker.io/v2/", "prefix.docker.io/path:1111/foo/bar"),
        ("https://quay.io/v1/", "quay.io/foo/bar"),
        ("https://quay.io", "quay.io/foo/bar"),
        ("http://quay.io/", "quay.io/foo/bar"),
        ("quay.io:443", "quay.io:443/foo"),
        ("[::1]:5000", "[::1]:5000/foo"),
        ("https://index.docker.io/v1/", "jenkins"),
        ("https://index.docker.io/v1/", "google/docker-registry"),
        ("https://index.docker.io/v1/", "docker.io/library/nginx"),
        ("index.docker.io", "index.docker.io/library/nginx"),
        ("docker.io", "docker.io/library/nginx"),
        ("*.dkr.ecr.*.amazonaws.com", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"),
    ],
)
def test_a_key_covers_an_image(key: str, image: str) -> None:
    assert [key] == found(image, key)


@pytest.mark.parametrize(
    ("key", "image"),
    [
        ("*.kubernetes.io", "kubernetes.io"),
        ("*.*.kubernetes.io", "prefix.kubernetes.io"),
        ("k*.io", "quay.io"),
        ("prefix.*.io/foo", "prefix.kubernetes.io:1111/foo/bar"),
        ("qua[x-z].io", "quay.io/foo"),
        ("[::1]", "[::1]/foo"),
        ("qua[y.io", "quay.io/foo"),
        ("quay.io", "QUAY.io/foo"),
        ("quay.io:8443", "quay.io/foo"),
        ("https://index.docker.io/v1/", "world.mesos.org/foo/bar"),
        ("https://index.docker.io/v1/", "registry:5000/foo/bar"),
        ("https://index.docker.io/v1/", "myhostdocker.io/foo/bar"),
        ("https://index.docker.io/v1", "docker.io/library/nginx"),
        ("registry-1.docker.io", "docker.io/library/nginx"),
        ("index.docker.io/org", "docker.io/org/app"),
        ("*.amazonaws.com", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app"),
    ],
)
def test_a_key_does_not_cover_an_image(key: str, image: str) -> None:
    assert not found(image, key)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("bar.example.com/pong", ["grace", "ada"]),
        ("bar.example.com/pongz", ["grace", "ada"]),
        ("bar.example.com/pong/pang", ["grace", "ada"]),
        ("bar.example.com/ping", ["ada"]),
        ("bar.example.com", ["ada"]),
        ("example.com", []),
        ("foo.example.com", []),
    ],
)
def test_the_longer_path_goes_first_also_across_secrets(image: str, expected: list[str]) -> None:
    grace = (Credential("bar.example.com/pong", "grace"),)
    ada = (Credential("bar.example.com", "ada"),)
    assert expected == [credential.username for credential in lookup(image, [ada, grace])]


def test_a_glob_comes_after_every_literal_host() -> None:
    assert found("quay.io/a", "*.io", "quay.io") == ["quay.io", "*.io"]


def test_equal_keys_are_tried_in_the_order_of_the_secrets() -> None:
    first, second = (Credential("quay.io", "first"),), (Credential("quay.io", "second"),)
    assert first + second == lookup("quay.io/a", [first, second])


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.27", "docker.io/library/nginx"),
        ("foo/bar", "docker.io/foo/bar"),
        ("index.docker.io/x/y", "docker.io/x/y"),
        ("quay.io/a/b:v1@sha256:" + "0" * 64, "quay.io/a/b"),
        ("localhost/a", "localhost/a"),
        ("registry:5000/a:v1", "registry:5000/a"),
    ],
)
def test_an_image_is_looked_up_by_its_docker_name(image: str, expected: str) -> None:
    assert expected == repository(image)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("https://index.docker.io/v1/", "index.docker.io"),
        ("https://index.docker.io/v1", "index.docker.io/v1"),
        ("https://quay.io/v2/org", "quay.io/org"),
        ("http://user@quay.io/?a#b", "quay.io"),
        ("quay.io/a%20b", "quay.io/a b"),
        ("quay.io/%zz", None),
        ("quay.io:port", None),
        ("two words", None),
        ("qua[x-z].io", None),
        ("[::1", None),
        ("[::1]:5000", "[::1]:5000"),
        ("new\nline", None),
    ],
)
def test_a_key_is_filed_as_a_kubelet_files_it(key: str, expected: str | None) -> None:
    assert expected == normalised(key)


def auths(entry: object) -> bytes:
    return json.dumps({"auths": {"quay.io": entry}}).encode()


def auth(raw: bytes) -> str:
    return b64encode(raw).decode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 100_000,
        b'{"auths":[]}',
        auths("text"),
        auths({"auth": 7}),
        auths({"username": 7}),
        auths({"auth": "not:base64"}),
        auths({"auth": auth(b"no colon")}),
        auths({"auth": auth(b"user:passw") + "="}),
        auths({"auth": "Y"}),
        auths({"auth": "dXNlcjpw IHc="}),
        auths({"auth": "dXNlcjpw_-"}),
    ],
)
def test_what_fails_the_whole_pod_is_an_error(content: bytes) -> None:
    with pytest.raises(KeyringError):
        keyring.read(content)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": auth(b"u:p:q")}, ("u", "p:q", "")),
        ({"auth": auth(b"user:p").rstrip("=")}, ("user", "p", "")),
        ({"auth": "dXNl\r\ncjpw"}, ("user", "p", "")),
        ({"auth": auth(b"u:p"), "username": "x", "password": "y", "email": "e"}, ("u", "p", "e")),
        ({"Username": "x", "PASSWORD": "y", "identitytoken": "t"}, ("x", "y", "")),
        ({"username": None, "auth": None}, ("", "", "")),
        (None, ("", "", "")),
    ],
)
def test_an_entry_is_read_as_a_kubelet_reads_it(entry: object, expected: tuple[str, str, str]) -> None:
    (credential,) = keyring.read(auths(entry))
    assert ("quay.io", *expected) == (credential.key, credential.username, credential.password, credential.email)


def test_a_legacy_file_is_the_bare_map() -> None:
    assert (Credential("quay.io", "u", "p"),) == keyring.read_legacy(b'{"quay.io":{"username":"u","password":"p"}}')


def test_a_config_without_auths_holds_nothing() -> None:
    assert keyring.read(b'{"credHelpers":{"quay.io":"x"}}') == ()


def test_a_credential_shows_no_value() -> None:
    assert repr(Credential("quay.io", "u", "s3cret", "mail")) == "Credential('quay.io')"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_content_is_anything_but_read_or_refused(content: bytes) -> None:
    try:
        keyring.read(content)
    except KeyringError:
        return


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_key_and_no_image_breaks_the_lookup(key: str, image: str) -> None:
    filed = normalised(key)
    lookup(repository(image), [(Credential(key if filed is None else filed),)])
