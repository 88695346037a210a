"""Each refusal of an API server as the error that says what to do."""

import base64
import json

import pytest

from imps_multi.kube.answers import Status, read_status, refusal
from imps_multi.ports import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NamespaceTerminating,
    NotFound,
    PortError,
    Reason,
    Throttled,
    Transient,
    Unauthorized,
)

TERMINATING = b'{"reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating","field":"x"}]}}'
TOO_LARGE = b'{"reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge"}],"retryAfterSeconds":1}}'


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (400, b"{}", Invalid),
        (401, b"", Unauthorized),
        (403, b'{"reason":"Forbidden"}', Forbidden),
        (403, TERMINATING, NamespaceTerminating),
        (404, b"<html>", NotFound),
        (405, b"", Invalid),
        (408, b"", Transient),
        (409, b'{"reason":"AlreadyExists"}', AlreadyExists),
        (409, b'{"reason":"Conflict"}', Conflict),
        (409, b"", Conflict),
        (410, b'{"reason":"Expired"}', Gone),
        (413, b"", Invalid),
        (415, b"", Invalid),
        (422, b'{"reason":"Invalid"}', Invalid),
        (429, b"", Throttled),
        (500, b"", Transient),
        (502, b"<html>", Transient),
        (503, b"", Transient),
        (504, b"", Transient),
        (504, TOO_LARGE, Gone),
        (302, b"", Transient),
        (599, b"", Transient),
    ],
)
def test_the_error_follows_code_reason_and_cause(code: int, body: bytes, expected: type[PortError]) -> None:
    assert type(refusal("try", "https://s", read_status(code, body))) is expected


@pytest.mark.parametrize(
    ("code", "body", "headers", "expected"),
    [
        (429, b"", {}, 1.0),
        (429, b"", {"Retry-After": "7"}, 7.0),
        (429, b"", {"Retry-After": "0"}, 1.0),
        (429, b"", {"Retry-After": "99999999999999"}, 600.0),
        (429, b"", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1.0),
        (429, b'{"details":{"retryAfterSeconds":9}}', {}, 9.0),
        (503, b"", {"Retry-After": "5"}, 5.0),
    ],
)
def test_a_throttled_call_says_how_long_to_wait(
    code: int, body: bytes, headers: dict[str, str], expected: float
) -> None:
    error = refusal("try", "https://s", read_status(code, body), headers)
    assert isinstance(error, Throttled)
    assert error.retry_after == expected


@pytest.mark.parametrize(("code", "reason"), [(500, Reason.UNREACHABLE), (504, Reason.TIMEOUT), (408, Reason.TIMEOUT)])
def test_a_transient_refusal_was_an_answer(code: int, reason: Reason) -> None:
    error = refusal("try", "https://s", read_status(code, b""))
    assert isinstance(error, Transient)
    assert (error.answered, error.reason) == (True, reason)


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (403, b'{"reason":"Forbidden","message":"no\\u001b[1m\\nway"}', "try on https://s: 403 Forbidden: no [1m way"),
        (500, b"<html>secret</html>", "try on https://s: 500 Internal Server Error"),
        (499, b"", "try on https://s: 499 of no known meaning"),
        (500, b'{"message":"' + b"x" * 1000 + b'"}', "try on https://s: 500 Internal Server Error: " + "x" * 300),
    ],
)
def test_the_message_is_the_servers_own_cut_and_printable(code: int, body: bytes, expected: str) -> None:
    assert str(refusal("try", "https://s", read_status(code, body))) == expected


@pytest.mark.parametrize("before", ["", "denied: " * 33], ids=["at the beginning", "where the message is cut"])
def test_what_a_webhook_quotes_of_a_secret_is_not_in_the_message(before: str) -> None:
    """Base64 as in the Secret, an entry of it, and its ``auth`` alone."""
    auth = base64.b64encode(b"robot:marked-password-5150").decode()
    entry = json.dumps({"auths": {"a.example.com": {"password": "marked-password-5150", "auth": auth}}})
    whole = base64.b64encode(entry.encode()).decode()
    for quoted in (whole, entry, auth):
        said = str(refusal("try", "https://s", Status(code=400, reason="Denied", message=f"{before}{quoted} is bad")))
        assert said.startswith("try on https://s: 400 Denied: ")
        assert [form for form in (whole[:16], auth[:16], "marked-password") if form in said] == []
