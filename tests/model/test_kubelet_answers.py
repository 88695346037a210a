"""Both our readings of a kubelet's rules, the program's and the tests', say what the kubelet's own code said."""

import pytest

from imps_multi.model import keyring
from imps_multi.model.dockerconfig import DockerConfig, DockerConfigError, parse, parse_legacy, render
from tests import kubelet
from tests.model.kubelet_answers import IMAGES, Answer, answers

KIND, KEY = "kubernetes.io/dockerconfigjson", ".dockerconfigjson"
Logins = dict[str, list[tuple[str, ...]]]


def found(one: Answer) -> Logins:
    return {image: [tuple(login) for login in logins] for image, logins in one.found.items()}


def config(one: Answer) -> DockerConfig | None:
    """Return what we take of a content, None where we refuse it."""
    try:
        return (parse if one.kind == KIND else parse_legacy)(one.content.encode())
    except DockerConfigError:
        return None


@pytest.fixture(scope="module")
def asked() -> list[Answer]:
    return answers()


def test_our_keyring_finds_what_a_kubelet_finds_and_refuses_what_it_refuses(asked: list[Answer]) -> None:
    for one in asked:
        read = keyring.read if one.kind == KIND else keyring.read_legacy
        if one.refused:
            with pytest.raises(keyring.KeyringError):
                read(one.content.encode())
            continue
        ring = read(one.content.encode())
        looked_up = {image: keyring.lookup(image, [ring]) for image in IMAGES}
        assert found(one) == {
            image: [(login.username, login.password, login.email) for login in logins]
            for image, logins in looked_up.items()
            if logins
        }, one.content


def test_what_we_write_of_a_source_gives_a_kubelet_what_the_source_would(asked: list[Answer]) -> None:
    """And what a kubelet refuses is refused as a source; judged by the tests' own reading of its rules."""
    taken = [(one, given) for one in asked if (given := config(one)) is not None and given.entries]
    assert len(taken) > len(asked) / 8
    for one, given in taken:
        assert not one.refused, one.content
        ring = kubelet.keyring(KIND, {KEY: render(given.entries, given.settings)})
        looked_up = {image: kubelet.logins(image, [ring]) for image in IMAGES}
        assert {image: [login[:2] for login in logins] for image, logins in found(one).items()} == {
            image: [(login.username, login.password) for login in logins]
            for image, logins in looked_up.items()
            if logins
        }, one.content
