"""Source Secrets from manifests: decoded as an API server does, refused without showing a value."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.model.hub import HubObject, Place, SourceSecret, UnusableSource
from imps_multi.model.source_parse import parse_source

PLACE = Place("hub/a.yaml", 3, 1)


def secret(**content: Any) -> HubObject:
    metadata = {"name": "ecr", "namespace": "registry-access", **content.pop("metadata", {})}
    return HubObject("Secret", "registry-access", "ecr", PLACE, {"kind": "Secret", "metadata": metadata, **content})


def usable(**content: Any) -> SourceSecret:
    source = parse_source(secret(**content))
    assert isinstance(source, SourceSecret), source
    return source


def test_string_data_wins_over_data() -> None:
    source = usable(data={"a": b64encode(b"\xff1").decode(), "b": "Mg=="}, stringData={"b": "plain", "c": ""})
    assert source.data == {"a": b"\xff1", "b": b"plain", "c": b""}
    assert (str(source.ref), source.place) == ("registry-access/ecr", PLACE)


def test_a_secret_without_a_type_is_opaque() -> None:
    assert usable().type == "Opaque"
    assert usable(type="kubernetes.io/basic-auth").type == "kubernetes.io/basic-auth"


def test_base64_over_several_lines_is_taken() -> None:
    assert usable(data={"a": "aGVs\nbG8=\n"}).data == {"a": b"hello"}


def test_annotations_are_kept() -> None:
    assert usable(metadata={"annotations": {"imps-multi.io/registry": "a,b"}}).annotations == {
        "imps-multi.io/registry": "a,b"
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"data": {"a": "s3cret!"}}, "data.a: is not valid base64; a plain value belongs under stringData"),
        ({"data": {"a": "YQ"}}, "data.a: is not valid base64"),
        ({"data": {"a": 5}}, "data.a: must be base64 text, is a number"),
        (
            {"stringData": {"accountID": 123456789}},
            "stringData.accountID: must be a text, is a number; put it in quotes",
        ),
        ({"stringData": {"a": {"s3cret": 1}}}, "stringData.a: must be a text, is a mapping"),
        ({"stringdata": {"a": "s3cret"}}, "stringdata: unknown field (did you mean stringData?)"),
        ({"Data": {"a": "s3cret"}}, "Data: unknown field (did you mean data?)"),
        ({"stringData": ["s3cret"]}, "stringData: must be a mapping, is a list"),
        ({"stringData": {"a b": "s3cret"}}, "has a key that is not valid"),
        ({"stringData": {1: "s3cret"}}, "the key is a number"),
        ({"type": 1}, "type: must be a text"),
        ({"type": []}, "type: must be a text, is a list"),
        ({"stringData": {"a": "x" * 1024 * 1025}}, "is over 1048576 bytes"),
        ({"stringData": {"a": "\ud800"}}, "is not valid Unicode text"),
        ({"metadata": {"annotations": {"a": 1}}}, "metadata.annotations.a: must be a text"),
    ],
)
def test_a_secret_that_cannot_be_decoded_says_which_key_and_never_its_value(
    content: dict[str, Any], message: str
) -> None:
    source = parse_source(secret(**content))
    assert isinstance(source, UnusableSource)
    assert message in source.message
    assert "s3cret" not in source.message


@given(st.dictionaries(st.from_regex(r"[a-z.]{1,5}", fullmatch=True), st.binary()))
def test_what_was_encoded_is_decoded(data: dict[str, bytes]) -> None:
    assert usable(data={key: b64encode(value).decode() for key, value in data.items()}).data == data
