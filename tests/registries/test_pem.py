"""Whether a PEM is there from end to end."""

from base64 import encodebytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.registries.pem import broken_parts, is_whole

from .fake_azure import certificate

CERTIFICATE, KEY = (part.decode() for part in certificate())


def sequence(content: bytes) -> bytes:
    length = len(content)
    if length < 128:
        return bytes([0x30, length]) + content
    digits = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([0x30, 0x80 + len(digits)]) + digits + content


@given(st.binary(max_size=70_000), st.integers(1, 70_000))
def test_a_sequence_is_whole_and_no_other_number_of_its_bytes(content: bytes, cut: int) -> None:
    whole = sequence(content)
    assert is_whole(encodebytes(whole).decode())
    assert not is_whole(encodebytes(whole[:-cut]).decode())
    assert not is_whole(encodebytes(whole + b"\0" * cut).decode())


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda content: encodebytes(content).decode()))
def test_anything_else_is_not_whole_and_does_no_harm(text: str) -> None:
    assert is_whole(text) in {False, True}
    assert broken_parts(f"-----BEGIN KEY-----{text}") == ("KEY",)


@pytest.mark.parametrize(
    ("pem", "broken"),
    [
        (CERTIFICATE + KEY, ()),
        (f"Bag Attributes\n{CERTIFICATE}\n{CERTIFICATE}{KEY}", ()),
        (CERTIFICATE + KEY.replace("\n", "\r\n"), ()),
        (CERTIFICATE + KEY[:-30], ("PRIVATE KEY",)),
        (CERTIFICATE + KEY.replace("-----END PRIVATE", "-----END RSA PRIVATE"), ("PRIVATE KEY",)),
        (CERTIFICATE[:200] + KEY, ("CERTIFICATE",)),
        (CERTIFICATE + CERTIFICATE[:200] + CERTIFICATE[300:] + KEY[:500], ("CERTIFICATE", "PRIVATE KEY")),
        ("", ()),
    ],
)
def test_what_begins_and_does_not_end_is_named(pem: str, broken: tuple[str, ...]) -> None:
    assert broken_parts(pem) == broken
