import base64

import pytest

from imps_multi.demo.inspection import Picture, lying, picture
from imps_multi.demo.scenery import ECR_HOST, docker_config

from .documents import secret

WANTED = frozenset({"app-01", "app-02"})


def seen(*documents: dict[str, object], tokens: tuple[str, ...] = ("first", "second")) -> Picture:
    return picture(lying(documents), WANTED, tokens)


def test_every_wanted_namespace_with_the_newest_token_is_complete() -> None:
    found = seen(secret("app-01", "second"), secret("app-02", "second"))
    assert found.complete
    assert (found.right, found.older, found.token) == (2, 0, 2)
    assert found.uids == {"app-01": "uid-of-app-01", "app-02": "uid-of-app-02"}


def test_an_earlier_token_is_older_and_not_right() -> None:
    found = seen(secret("app-01", "second"), secret("app-02", "first"))
    assert not found.complete
    assert (found.right, found.older, found.token) == (1, 1, 1)


def test_a_secret_where_none_is_wanted_is_elsewhere() -> None:
    found = seen(secret("app-01", "second"), secret("app-02", "second"), secret("infra-01", "second"))
    assert found.elsewhere == 1
    assert not found.complete


def test_secrets_of_other_names_do_not_count() -> None:
    found = seen(secret("app-01", "second"), secret("infra-01", "second", name="something"))
    assert (found.right, found.elsewhere) == (1, 0)


def test_nothing_there_is_no_token() -> None:
    found = seen()
    assert (found.right, found.older, found.token, found.complete) == (0, 0, 0, False)


def test_a_token_that_ecr_never_gave_out_is_not_right() -> None:
    assert seen(secret("app-01", "forged"), secret("app-02", "second")).right == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        secret("app-01", "second", labels={}),
        secret("app-01", "second", labels={"app.kubernetes.io/managed-by": "imps-multi"}),
        secret("app-01", "second", kind="Opaque"),
        {**secret("app-01", "second"), "data": {".dockerconfigjson": "%%%"}},
        {**secret("app-01", "second"), "data": {".dockerconfigjson": base64.b64encode(b"{}").decode()}},
        {**secret("app-01", "second"), "data": {}},
        {
            **secret("app-01", "second"),
            "data": {
                ".dockerconfigjson": base64.b64encode(docker_config({ECR_HOST: ("AWS", "second")}).encode()).decode()
            },
        },
    ],
    ids=["no labels", "no hub label", "another type", "no base64", "no auths", "no data", "no Docker Hub"],
)
def test_a_secret_that_is_not_whole_is_not_right(spoilt: dict[str, object]) -> None:
    found = seen(spoilt, secret("app-02", "second"))
    assert found.right == 1
    assert found.older == 0


def test_no_password_is_shown() -> None:
    assert "second" not in repr(lying([secret("app-01", "second")]))
