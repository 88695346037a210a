"""What a docker config holds beside its logins is kept, merged in order, and in one form."""

import json
from base64 import b64encode

import pytest

from imps_multi.model import keyring
from imps_multi.model.docker_settings import Given, merge_settings
from imps_multi.model.dockerconfig import DockerConfig, DockerConfigError, parse, render

MARK = "MARKEDVALUE"
AUTH = {"auth": b64encode(b"u:p").decode()}
WRITTEN = '{"auth":"dTpw","password":"p","username":"u"}'


def config(**members: object) -> DockerConfig:
    return parse(json.dumps({"auths": {"quay.io": AUTH}, **members}).encode())


def merged(*configs: DockerConfig) -> tuple[str, list[tuple[str, int]]]:
    given = [Given(tuple(entry.registry for entry in one.entries), one.settings) for one in configs]
    settings = merge_settings(given)
    document = json.loads(render((), settings.kept))
    del document["auths"]
    return json.dumps(document, sort_keys=True), [(setting.shown, index) for setting, index in settings.lost]


def test_one_source_is_written_as_it_had_it() -> None:
    given = config(
        credsStore="desktop",
        credHelpers={"gcr.io": "gcloud", "a.io": "x"},
        HttpHeaders={"X-Meta": "ü"},
        proxies={"default": {"httpProxy": "http://127.0.0.1:3128", "n": [1, 2.5, None]}},
        empty={},
        plugins=None,
    )
    expected = (
        '{"HttpHeaders":{"X-Meta":"ü"},"auths":{"quay.io":' + WRITTEN + '},"credHelpers":{"a.io":"x","gcr.io":"gcloud"}'
        ',"credsStore":"desktop","empty":{},"proxies":{"default":{"httpProxy":"http://127.0.0.1:3128","n":[1,2.5,null]}}}'
    )
    assert expected == render(given.entries, given.settings).decode()


def test_without_settings_the_bytes_are_those_of_the_logins_alone() -> None:
    given = config(HttpHeaders=None, credHelpers=None)
    assert render(given.entries, given.settings).decode() == '{"auths":{"quay.io":' + WRITTEN + "}}"


def test_names_that_go_takes_in_any_case_have_one_spelling() -> None:
    assert config(httpheaders={"a": "b"}, CREDHELPERS={"a.io": "x"}).settings == (
        config(HttpHeaders={"a": "b"}, credHelpers={"a.io": "x"}).settings
    )


@pytest.mark.parametrize("headers", [[], "x", {"a": 1}, {"a": [MARK]}, {"a": {}}])
def test_headers_for_which_a_kubelet_refuses_the_secret_are_an_error(headers: object) -> None:
    with pytest.raises(DockerConfigError, match="HttpHeaders") as caught:
        config(HttpHeaders=headers)
    assert MARK not in str(caught.value)
    content = json.dumps({"auths": {}, "HttpHeaders": headers}).encode()
    with pytest.raises(keyring.KeyringError):
        keyring.read(content)


@pytest.mark.parametrize("headers", [None, {}, {"a": None}, {"a": "b"}])
def test_headers_that_a_kubelet_reads_are_fine(headers: object) -> None:
    assert config(HttpHeaders=headers).entries == config().entries
    assert keyring.read(json.dumps({"auths": {}, "HttpHeaders": headers}).encode()) == ()


def test_the_first_source_that_says_a_thing_wins() -> None:
    first = config(HttpHeaders={"X-A": "1"}, proxies={"default": {"a": 1}}, detachKeys="x")
    second = config(HttpHeaders={"x-a": "2", "X-B": "3"}, proxies={"default": {"b": 1}, "more": 1}, detachKeys="y")
    expected = (
        '{"HttpHeaders": {"X-A": "1", "X-B": "3"}, "detachKeys": "x", "proxies": {"default": {"a": 1}, "more": 1}}'
    )
    lost = [("HttpHeaders", 1), ("detachKeys", 1), ("proxies", 1)]
    assert (expected, lost) == merged(first, second)


@pytest.mark.parametrize(("one", "other"), [({"a": 1}, 1), (1, {"a": 1}), ({}, {"a": 1}), ({"a": 1}, {})])
def test_an_object_and_something_else_of_one_name_are_not_mixed(one: object, other: object) -> None:
    assert merged(config(x=one), config(x=other)) == (json.dumps({"x": one}), [("x", 1)])


def test_a_helper_does_not_take_a_registry_from_an_earlier_source() -> None:
    """To docker's tools, a helper stands before a login, and a store before all that have no helper."""
    helpers = {"https://quay.io/v1/": "x", "gcr.io": "gcloud"}
    settings, lost = merged(config(), config(credHelpers=helpers, credsStore="desktop"))
    assert settings == '{"credHelpers": {"gcr.io": "gcloud"}}'
    assert lost == [("credHelpers for https://quay.io/v1/", 1), ("credsStore", 1)]
    assert merged(config(credHelpers=helpers, credsStore="desktop"), config())[1] == []


def test_no_setting_shows_its_value() -> None:
    assert MARK not in repr(config(HttpHeaders={"Authorization": MARK}, x=MARK))
