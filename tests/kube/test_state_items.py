"""Items of the state store as Secrets: split and put together, and honest about damage."""

from base64 import b64decode
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.kube.state_items import (
    FOUND,
    MOST_PARTS,
    PART_SIZE,
    PARTS_ANNOTATION,
    Found,
    Part,
    contents,
    head_name,
    manifest,
    parts_of,
)
from imps_multi.model.names import HubId, NamespaceName
from imps_multi.model.validity import dns_subdomain_problem, label_value_problem
from imps_multi.ports import Section

HUB = HubId("Mgmt_1")
SPACE = NamespaceName("imps-system")


def stored(part: Part) -> Found:
    return FOUND.decode(manifest(part, SPACE, None))


def parts(key: str = "k", content: bytes = b"content") -> list[Part]:
    return parts_of(HUB, Section.SOURCES, key, content)


@given(st.text(max_size=400), st.binary(max_size=100))
def test_an_item_is_read_back_and_its_secret_is_valid(key: str, content: bytes) -> None:
    (part,) = parts(key, content)
    document: dict[str, Any] = msgspec.json.decode(manifest(part, SPACE, 7))
    assert dns_subdomain_problem(document["metadata"]["name"]) is None
    assert all(label_value_problem(value) is None for value in document["metadata"]["labels"].values())
    assert document["metadata"]["resourceVersion"] == "7"
    assert b64decode(document["data"]["content"]) == content
    (item,) = contents([stored(part)]).items
    assert (item.key, item.content) == (key, content)


def test_names_tell_hubs_sections_and_keys_apart() -> None:
    names = {
        head_name(HubId(hub), section, key) for hub in ("a", "ab") for section in Section for key in ("b", "", "bb")
    }
    assert len(names) == 2 * len(Section) * 3


def test_a_large_item_lies_in_several_secrets_whose_head_is_written_last() -> None:
    content = bytes(range(256)) * (2 * PART_SIZE // 256) + b"end"
    written = parts(content=content)
    assert [len(part.content) for part in written] == [PART_SIZE, 3, PART_SIZE]
    assert [PARTS_ANNOTATION in part.annotations for part in written] == [False, False, True]
    (item,) = contents(map(stored, written)).items
    assert item.content == content
    assert set(item.parts) == {part.name for part in written}


def test_an_item_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="more than the"):
        parts(content=bytes(MOST_PARTS * PART_SIZE + 1))


def test_parts_of_another_writing_do_not_mix_and_are_strays() -> None:
    old, new = (parts(content=letter * (PART_SIZE + 1)) for letter in (b"a", b"b"))
    read = contents([stored(new[0]), *map(stored, old)])  # a crash before the new head
    assert [item.content[:1] for item in read.items] == [b"a"]
    assert read.stray == [new[0].name]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ({"imps-multi.io/state-version": "2"}, "version 2; this program reads version 1"),
        ({"imps-multi.io/state-sum": "x"}, "checksum"),
        ({"imps-multi.io/state-parts": "many"}, "how many parts"),
        ({"imps-multi.io/state-key": "other"}, "checksum"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_told(damage: dict[str, str], expected: str) -> None:
    (part,) = parts()
    other = msgspec.structs.replace(part, annotations={**part.annotations, **damage})
    read = contents([stored(other)])
    assert (read.items, read.stray) == ([], [])
    assert expected in read.unreadable[0].why


def test_the_parts_of_an_item_of_another_version_are_left_alone() -> None:
    written = parts(content=bytes(PART_SIZE + 1))
    marks = {**written[-1].annotations, "imps-multi.io/state-version": "2"}
    head = msgspec.structs.replace(written[-1], annotations=marks)
    read = contents([stored(written[0]), stored(head)])
    assert (read.stray, len(read.unreadable)) == ([], 1)


def test_no_content_is_shown() -> None:
    (part,) = parts(content=b"s3cr3t")
    assert "s3cr3t" not in repr((part, stored(part), contents([stored(part)])))
