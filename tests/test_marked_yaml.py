"""YAML and JSON with positions: every mistake has its place, and none shows a value or ends the process."""

import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.marked_yaml import Document, Unreadable, legible, resolved
from imps_multi.model.hub import Place


def documents(content: bytes, file: str) -> tuple[Document, ...]:
    """Read a text that is to be without a mistake."""
    found, wrong = legible(content, file)
    if wrong:
        raise Unreadable(wrong)
    return found


def read(text: str, file: str = "f.yaml") -> Document:
    (document,) = documents(text.encode(), file)
    return document


def mistakes(text: str | bytes, file: str = "f.yaml") -> list[str]:
    with pytest.raises(Unreadable) as caught:
        documents(text if isinstance(text, bytes) else text.encode(), file)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_values_have_places() -> None:
    document = read("a:\n  b:\n    - c: 1\n    -\n      x.y/z: 2\nd: {e: f}\n")
    assert document.value == {"a": {"b": [{"c": 1}, {"x.y/z": 2}]}, "d": {"e": "f"}}
    assert document.place() == Place("f.yaml", 1, 1)
    assert document.place("a.b[0].c") == Place("f.yaml", 3, 7)
    assert document.place("a.b[1][x.y/z]") == Place("f.yaml", 5, 7)
    assert document.place(("a", "b", 1)) == Place("f.yaml", 5, 7)
    assert document.place("d.e") == Place("f.yaml", 6, 5)


def test_the_place_of_what_is_missing_is_the_nearest_that_is_there() -> None:
    document = read("a:\n  b:\n    - c: 1\n")
    assert document.place("a.b[7].c") == Place("f.yaml", 2, 3)
    assert document.place("a.x.y") == Place("f.yaml", 1, 1)
    assert document.place("a.b[0].c.d") == Place("f.yaml", 3, 7)


def test_empty_documents_are_left_out() -> None:
    assert [document.value for document in documents(b"---\n# nothing\n---\na: 1\n---\n", "f")] == [{"a": 1}]
    assert documents(b"", "f") == ()
    assert documents(b"\xef\xbb\xbf# a mark\n", "f") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", True),
        ("off", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-1_000", -1000),
        ("012", 10),
        ("0x1F", 31),
        ("089", "089"),
        ("0x_", "0x_"),
        ("._", "._"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        ("2026-01-01", "2026-01-01"),
        ("12:30:45", "12:30:45"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("9" * 5000, math.inf),
        ("y", "y"),
        ("=", "="),
    ],
)
def test_plain_scalars_stand_for_what_kubernetes_takes_them_for(text: str, expected: object) -> None:
    assert resolved(text) == expected


def test_quoted_scalars_and_explicit_tags_are_honoured() -> None:
    assert read("- \"1\"\n- 'yes'\n- !!str 1\n- !!int 2\n- ! 3\n- |\n  x\n").value == ["1", "yes", "1", 2, "3", "x\n"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", 'f.yaml:3:1: the key "a" stands at line 1, column 1 already'),
        ("a: {b: 1, b: 2}", 'f.yaml:1:11: the key "b" stands at line 1, column 5 already'),
        ("a:\n\t- b", "f.yaml:2:1: a tab stands where YAML allows spaces only"),
        ("a: *s3cret", 'f.yaml:1:4: is an alias of nothing; put a value that starts with "*" in quotes'),
        ("a: !s3cret x", "f.yaml:1:4: has a tag that is not supported; take it away"),
        ("a: !!python/object:x {b: 1}", "f.yaml:1:4: has a tag that is not supported; take it away"),
        ("a: !!set [b]", "f.yaml:1:4: has a tag that is not supported; take it away"),
        ("a: !!int x", "f.yaml:1:4: has a tag that is not supported; take it away"),
        ("[a]: 1", "f.yaml:1:1: a key must be a text"),
        ("a: &x [*x]", 'f.yaml:1:8: is an alias of nothing; put a value that starts with "*" in quotes'),
        ("<<: 5", "f.yaml:1:5: << takes a mapping, or a list of mappings"),
        ("ä: \x01", "f.yaml:1:4: has a control character, which YAML does not allow"),
        (b"a: 1\nb: \xff", "f.yaml:2:4: is not UTF-8 text"),
    ],
)
def test_a_mistake_has_its_place(text: str | bytes, expected: str) -> None:
    assert mistakes(text) == [expected]


def test_a_mistake_knows_the_path_of_what_is_wrong() -> None:
    with pytest.raises(Unreadable) as caught:
        documents(b"a:\n  - b: 1\n    b: 2\nc: {d: !x 1}\n<<: 5\n", "f.yaml")
    assert [mistake.path for mistake in caught.value.mistakes] == [("a", 0, "b"), ("c", "d"), ()]


@pytest.mark.parametrize(
    "text", ["a: @s3cret", "a: `s3cret", "a: !x!s3cret y", "a: 's3cret", "a: s3cret: x", 'a: "s3cret\\q"', "a: [s3cret"]
)
@pytest.mark.parametrize("file", ["f.yaml", "f.json"])
def test_a_syntax_error_has_its_place_and_shows_no_value(text: str, file: str) -> None:
    (message,) = mistakes(text, file)
    assert message.startswith(f"{file}:")
    assert "s3cret" not in message


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    assert len(mistakes("a: 1\na: 2\nb: !x 1\nc: *y\n")) == 3


def test_merge_keys_fill_in_what_is_not_there() -> None:
    document = read("x: &x {a: 1, b: 2}\ny: &y {c: 3}\nz:\n  <<: [*x, *y]\n  a: 0\n")
    assert document.value["z"] == {"a": 0, "b": 2, "c": 3}
    assert document.place("z.b") == Place("f.yaml", 1, 14)


@pytest.mark.parametrize("depth", [200, 100_000])
def test_deep_nesting_is_a_mistake_and_not_a_crash(depth: int) -> None:
    assert mistakes("[" * depth + "]" * depth) == ["f.yaml:1:102: is nested more than 100 deep"]


def test_aliases_that_explode_are_a_mistake() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    (message,) = mistakes("\n".join(lines))
    assert "has more than 500000 values" in message


def test_json_is_read_with_its_tabs_and_escapes() -> None:
    text = '{\n\t"a":1,"b":"\\ud83d\\ude00\\/", "c": "x"}'
    assert read(text, "f.json").value == {"a": 1, "b": "\U0001f600/", "c": "x"}
    assert read(text, "f.json").place("a") == Place("f.json", 2, 2)


def test_json_in_a_yaml_file_keeps_its_escapes() -> None:
    assert read('{"a": "\\ud83d\\ude00"}', "f.yaml").value == {"a": "\U0001f600"}
    assert read("a: '\\ud83d\\ude00'", "f.yaml").value == {"a": "\\ud83d\\ude00"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(exclude_categories=("Cs", "Cc"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.[", max_size=3), inner, max_size=3),
)


@given(JSON)
def test_json_reads_as_json(value: Any) -> None:
    text = json.dumps({"x": value}, ensure_ascii=True)
    assert read(text, "f.json").value == {"x": value}


@given(st.text(st.sampled_from("ab:*&!<>|@`%[]{},'\"\\-? \n\t#01.ä~")))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Unreadable):
        documents(text.encode(), "f.yaml")
