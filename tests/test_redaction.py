import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.redaction import LONGEST, REDACTED, redact, redact_fields, redact_text, secret_key

MARK = "MARKED-s3cr3t-value"
AUTH = base64.b64encode(f"user:{MARK}".encode()).decode()
CONFIG = json.dumps({"auths": {"registry.example.com": {"username": "user", "password": MARK, "auth": AUTH}}})


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Password",
        "docker_password",
        "token",
        "session_token",
        "refreshToken",
        "auth",
        "Authorization",
        "secretKey",
        "aws_secret_access_key",
        "accessKeyID",
        "client-key-data",
        ".dockerconfigjson",
        "data",
        "body",
    ],
)
def test_a_field_that_holds_a_secret_is_cut_whole(name: str) -> None:
    assert redact_fields({name: MARK}) == {name: REDACTED}


@pytest.mark.parametrize(
    "name", ["secret", "secret_name", "policy", "target_cluster", "namespace", "uid", "source", "key", "token_file"]
)
def test_a_field_that_names_something_stays(name: str) -> None:
    assert not secret_key(name)


@pytest.mark.parametrize(
    "text",
    [
        CONFIG,
        str(json.loads(CONFIG)),
        f"login failed: password={MARK}",
        f"login failed: password: '{MARK}'",
        f"headers {{'Authorization': 'Basic {AUTH}'}}",
        f"Authorization: Bearer {MARK}",
        f"cannot reach https://user:{MARK}@registry.example.com/v2/",
        f"unexpected entry {AUTH}",
        base64.b64encode(CONFIG.encode()).decode(),
        f"secretKey={MARK}&region=eu-west-1",
        f"aws_session_token = {MARK}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{MARK}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_no_credential_survives_in_a_text(text: str) -> None:
    cut = redact_text(text)
    assert MARK not in cut
    assert AUTH not in cut
    assert REDACTED in cut


@pytest.mark.parametrize(
    "token",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJSUzI1NiIsImtpZCI6IkEifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl",
        "k8s-aws-v1.aHR0cHM6Ly9zdHMuYW1hem9uYXdzLmNvbS8",
        base64.b64encode(bytes(range(0, 256, 2))).decode(),
    ],
)
def test_a_token_is_known_by_its_look(token: str) -> None:
    assert token not in redact_text(f"got {token} from there")


@pytest.mark.parametrize(
    "text",
    [
        "Secret registry-pull in team-a of prod-eu-1",
        "3b0e4a1e-4c1b-4f59-9f0e-0d8a7f1c2b3d",
        "sha256:" + "0123456789abcdef" * 4,
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        '/usr/lib/python3/site-packages/imps_multi/redaction.py", line 12',
        "cannot connect to https://10.0.0.1:6443: timed out after 30s",
        "system:serviceaccount:imps-system:imps-multi cannot list secrets",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact_text(text) == text


def test_nested_values_are_cut_too_and_bytes_are_never_shown() -> None:
    value = {"auths": {"h": 1}, "items": [{"password": MARK}, (MARK.encode(), f"token={MARK}")]}
    assert MARK not in repr(redact(value))


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    cut = redact_text("word " * 1000)
    assert len(cut) < LONGEST + 40
    assert cut.endswith("… (5000 characters)")


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_marked_password_in_a_docker_config_never_survives(before: str, after: str) -> None:
    assert MARK not in redact_text(f"{before} {CONFIG} {after}")


@pytest.mark.parametrize("piece", ["a", "a-", "token ", 'auth="', "eyJ", "://", "'\\", "access_", "a:", "\\", '"'])
def test_hostile_text_does_not_cost_much(piece: str) -> None:
    started = time.process_time()
    redact_text(piece * 10000)
    assert time.process_time() - started < 0.5  # a pattern that runs wild takes minutes
