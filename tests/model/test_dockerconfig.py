"""Docker configs in canonical form."""

import contextlib
import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imps_multi.model import keyring
from imps_multi.model.credential import Entry
from imps_multi.model.digest import content_digest
from imps_multi.model.dockerconfig import (
    DockerConfigError,
    Overlap,
    basic_entry,
    fingerprint,
    merge,
    parse,
    parse_legacy,
    render,
)
from imps_multi.model.keyring import filing_key
from imps_multi.model.names import RegistryKey
from tests import kubelet

MARK = "MARKEDVALUE"
KIND, KEY = "kubernetes.io/dockerconfigjson", ".dockerconfigjson"


def auth(username: str, password: str) -> str:
    return b64encode(f"{username}:{password}".encode()).decode()


def config(**auths: object) -> bytes:
    return json.dumps({"auths": auths}).encode()


def fields(entry: Entry) -> object:
    return json.loads(entry.content)


def content_of(given_fields: object) -> bytes:
    (entry,) = parse(json.dumps({"auths": {"quay.io": given_fields}}).encode()).entries
    return entry.content


hosts = st.from_regex(r"(https://)?([a-z*]{1,4}\.){1,2}(io|com)(:5000)?(/v1/|/[a-z]{1,3})?", fullmatch=True)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
users = words.filter(lambda text: text and ":" not in text)
raw_entries = st.one_of(
    st.builds(lambda username, password: {"auth": auth(username, password)}, users, words),
    st.builds(lambda username, password: {"auth": auth(username, password).rstrip("=")}, users, words),
    st.builds(
        lambda username, password, email: {"username": username, "password": password, "email": email},
        users,
        words,
        words,
    ),
    st.builds(lambda token: {"identitytoken": token, "auth": ""}, words.filter(bool)),
)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | hosts, inner, max_size=4),
    max_leaves=8,
)
looks_like = st.dictionaries(
    st.sampled_from(["auth", "username", "password", "email", "Auth", "identitytoken", "extra"]),
    any_json | users.map(lambda user: auth(user, MARK)),
    max_size=4,
)
contents = (
    st.dictionaries(hosts | words, raw_entries | looks_like | any_json, max_size=4).map(lambda auths: {"auths": auths})
    | any_json
).map(lambda document: json.dumps(document).encode()) | st.binary(max_size=60)
entry_lists = st.dictionaries(hosts, st.tuples(users, words), max_size=4).map(
    lambda auths: merge([[basic_entry(host, *pair) for host, pair in auths.items()]]).entries
)


def test_an_entry_holds_user_password_and_padded_auth_sorted() -> None:
    expected = b'{"auth":"dTpwOnE=","password":"p:q","username":"u"}'
    assert expected == basic_entry("quay.io", "u", "p:q").content


@pytest.mark.parametrize(
    "given_fields",
    [
        {"auth": "dTpwOnE="},
        {"auth": "dTpwOnE"},
        {"auth": "dTpw\nOnE="},
        {"auth": "dTpwOnE=\r\n"},
        {"auth": "dTpwOnE\n"},
        {"Auth": "dTpwOnE="},
        {"username": "u", "password": "p:q"},
        {"username": "u", "password": "p:q", "auth": ""},
        {"username": "old", "password": "old", "auth": "dTpwOnE=", "email": None},
        {"username": "u", "password": "p:q", "email": ""},
    ],
)
def test_every_spelling_of_one_credential_gives_the_same_bytes(given_fields: object) -> None:
    assert basic_entry("quay.io", "u", "p:q").content == content_of(given_fields)


def test_an_email_stays_only_where_the_source_had_one() -> None:
    content = content_of({"auth": auth("u", "p"), "email": "me@example.com"})
    assert content == b'{"auth":"dTpw","email":"me@example.com","password":"p","username":"u"}'


def test_what_the_kubelet_ignores_stays_as_it_is() -> None:
    assert content_of({"registrytoken": "r", "identitytoken": "t"}) == b'{"identitytoken":"t","registrytoken":"r"}'


def test_an_identity_token_stays_beside_its_auth() -> None:
    content = content_of({"auth": auth("0000", ""), "identitytoken": "t"})
    assert json.loads(content) == {"auth": "MDAwMDo=", "username": "0000", "password": "", "identitytoken": "t"}


def test_a_legacy_file_gives_the_same_entries() -> None:
    auths = {"quay.io": {"auth": auth("u", "p")}, "b.io": {"username": "x", "password": "y"}}
    assert parse(json.dumps({"auths": auths}).encode()) == parse_legacy(json.dumps(auths).encode())


def test_a_file_of_the_other_kind_is_said() -> None:
    with pytest.raises(DockerConfigError, match=r"kubernetes\.io/dockerconfigjson"):
        parse_legacy(json.dumps({"auths": {"quay.io": {"auth": auth("u", "p")}}}).encode())


def test_a_source_that_names_no_registry_gives_nothing() -> None:
    assert parse(b'{"auths":{}}').entries == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", ".dockerconfigjson is not a JSON object: cannot be read at line 1, column 1"),
        (b"[]", ".dockerconfigjson is not a JSON object"),
        (b"[" * 100_000, "nested deeper than 64"),
        (b'{"auths":{},"x":' + b"[" * 64 + b"]" * 64 + b"}", "nested deeper than 64"),
        (b'\xef\xbb\xbf{"auths":{}}', "starts with a byte order mark"),
        (b'{"auths":{}}\n{', "there is more behind its end at line 2, column 1"),
        (b'{"auths":{}}\0', "there is more behind its end at line 1, column 13"),
        (b'{"auths":{},}', "cannot be read at line 1, column"),
        (b'{"auths":{"x\xff":{}}}', "is not UTF-8 text"),
        ('{"auths":{}}'.encode("utf-16"), "is not UTF-8 text"),
        (b'{"auths":{},"x":"MARKEDVALUE \\ud800"}', "half of a surrogate pair"),
        (b'{"auths":{},"\\udc00MARKEDVALUE":1}', "half of a surrogate pair"),
        (b'{"auths":{},"x":NaN}', "NaN or Infinity"),
        (b'{"auths":{},"x":-Infinity}', "NaN or Infinity"),
        (b'{"auths":{},"x":1e999}', "a number that is too large"),
        (b'{"auths":{},"x":' + b"9" * 5000 + b"}", "a number that is too large"),
        (b'{"auths":{},"auths":{}}', "'auths' stands twice"),
        (b'{"auths":{},"AUTHS":{}}', "'auths' stands twice"),
        (b'{"auths":{"a.io":{"auth":"dTpw"},"a.io":{"auth":"MARKEDVALUE"}}}', "'a.io' stands twice"),
        (b'{"auths":{"a.io":{"auth":"dTpw","Auth":"MARKEDVALUE"}}}', "'a.io': 'auth' stands twice"),
        (b'{"auths":{"https://u:MARKEDVALUE@a.io":1,"https://u:MARKEDVALUE@a.io":1}}', "'https://a.io' stands twice"),
        (b'{"quay.io":{}}', "kubernetes.io/dockercfg"),
        (b'{"auths":null}', "auths"),
        (b'{"auths":[]}', "not a JSON object"),
        (config(registry=MARK), "'registry': the entry is not a JSON object"),
        (config(registry=None), "'registry': the entry is not a JSON object"),
        (config(registry={}), "'registry': the entry holds no credential"),
        (config(registry={"email": MARK}), "'registry': the entry holds no credential"),
        (config(registry={"identitytoken": {"x": MARK}}), "'registry': the entry holds no credential"),
        (config(registry={"identitytoken": "", "x": MARK}), "'registry': the entry holds no credential"),
        (config(registry={"auth": MARK + "?"}), "'registry': auth is not standard base64"),
        (config(registry={"auth": " " + auth("u", MARK)}), "'registry': auth is not standard base64"),
        (config(registry={"auth": auth("u", MARK) + "="}), "'registry': auth is not standard base64"),
        (config(registry={"auth": b64encode(MARK.encode()).decode()}), "'registry': auth does not hold user:password"),
        (config(registry={"auth": b64encode(b"\xff:x").decode()}), "'registry': auth does not hold UTF-8 text"),
        (config(registry={"password": [MARK]}), "'registry': password is not a string"),
        (config(registry={"username": f"{MARK}:x", "password": "p"}), "'registry': username holds a colon"),
        (config(**{" ": {"auth": auth("u", MARK)}}), "no registry"),
        (config(**{f"https://me:{MARK}@quay.io/v1/": {"auth": auth("u", "p")}}), "'https://quay.io/v1/': the registry"),
    ],
)
def test_an_error_says_which_registry_and_what_and_never_a_value(content: bytes, says: str) -> None:
    with pytest.raises(DockerConfigError) as caught:
        parse(content)
    assert says in str(caught.value)
    assert MARK not in "".join(map(repr, [caught.value, caught.value.__cause__]))


def test_two_keys_of_one_registry_with_two_credentials_are_an_error() -> None:
    auths = {"https://index.docker.io/v1/": {"auth": auth("u", "p")}, "index.docker.io": {"auth": auth("u", MARK)}}
    with pytest.raises(DockerConfigError, match=r"'https://index\.docker\.io/v1/' and 'index\.docker\.io'"):
        parse(json.dumps({"auths": auths}).encode())


def test_two_keys_of_one_registry_with_one_credential_become_one() -> None:
    auths = {"index.docker.io": {"auth": auth("u", "p")}, "https://index.docker.io/v1/": {"auth": auth("u", "p")}}
    (entry,) = parse(json.dumps({"auths": auths}).encode()).entries
    assert entry.registry == "https://index.docker.io/v1/"


def test_the_first_source_that_names_a_registry_wins() -> None:
    first, second = basic_entry("https://index.docker.io/v1/", "a", "1"), basic_entry("index.docker.io", "b", "2")
    other = basic_entry("a.io", "c", "3")
    merged = merge([[first], [second, other]])
    assert ((other, first), (Overlap(second.registry, 1),)) == (merged.entries, merged.overlaps)


def test_no_entry_shows_its_value() -> None:
    assert MARK not in repr(merge([[basic_entry("quay.io", "u", MARK)]]))


def test_a_fingerprint_ignores_spaces_and_order() -> None:
    loose = b'{ "auths": {"b.io": {"username":"u", "auth":"x"}, "a.io": {}} }'
    tight = b'{"auths":{"a.io":{},"b.io":{"auth":"x","username":"u"}}}'
    assert (content_digest(tight), frozenset({RegistryKey("a.io"), RegistryKey("b.io")})) == fingerprint(loose)


@pytest.mark.parametrize(
    "content",
    [
        b'{"auths":{"evil.io":{"auth":"eDp5"}},"auths":{"a.io":{"auth":"dTpw"}}}',
        b'{"auths":{"a.io":{"auth":"eDp5"},"a.io":{"auth":"dTpw"}}}',
        b'{"auths":{"a.io":{"auth":"eDp5","auth":"dTpw"}}}',
    ],
)
def test_what_hides_behind_a_doubled_name_changes_the_fingerprint(content: bytes) -> None:
    """A kubelet puts two ``auths`` together, so this is not what lies there without the first."""
    ours = b'{"auths":{"a.io":{"auth":"dTpw"}}}'
    assert fingerprint(content)[0] != fingerprint(ours)[0]
    assert fingerprint(content)[1] == fingerprint(ours)[1]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_the_fingerprint_of_what_is_no_json_is_of_its_bytes(content: bytes) -> None:
    assert (content_digest(content), frozenset()) == fingerprint(content)


def test_a_changed_value_changes_the_fingerprint() -> None:
    assert fingerprint(config(a={"auth": "1"}))[0] != fingerprint(config(a={"auth": "2"}))[0]


@given(contents)
def test_what_is_accepted_the_kubelet_reads_alike_and_what_is_refused_is_refused_properly(content: bytes) -> None:
    try:
        entries = parse(content).entries
    except DockerConfigError:
        return
    source = {credential.key: credential for credential in keyring.read(content)}
    written = {credential.key: credential for credential in keyring.read(render(entries))}
    assert source == written


@given(contents)
def test_an_error_never_shows_a_password(content: bytes) -> None:
    with contextlib.suppress(DockerConfigError):
        parse(content)
        return
    with pytest.raises(DockerConfigError) as caught:
        parse(content)
    assert MARK not in str(caught.value)
    assert auth("", MARK)[4:12] not in str(caught.value)


@given(contents)
def test_any_content_has_a_fingerprint(content: bytes) -> None:
    digest, registries = fingerprint(content)
    assert len(digest) == 16
    assert all(isinstance(registry, str) for registry in registries)


@given(entry_lists)
def test_what_is_rendered_is_canonical_and_reads_back(entries: tuple[Entry, ...]) -> None:
    content = render(entries)
    compact = json.dumps(json.loads(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert (compact, entries) == (content, parse(content).entries)
    assert (content_digest(content), frozenset(entry.registry for entry in entries)) == fingerprint(content)
    assert content == render(reversed(entries))


numbers = st.integers(-(2**40), 2**40)
kept_json = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=8,
)


def respelled(value: object, draw: st.DataObject) -> str:
    """Write JSON in one of its other spellings: order, spaces, escapes, number forms."""
    space = draw.draw(st.sampled_from(["", " ", "\n\t", "\r\n"]))
    match value:
        case dict():
            names = draw.draw(st.permutations(list(value)))
            inside = [f"{respelled(name, draw)}{space}:{respelled(value[name], draw)}{space}" for name in names]
            return f"{{{space}{','.join(inside)}}}"
        case list():
            return f"[{space}{','.join(respelled(each, draw) + space for each in value)}]"
        case str():
            units = value.encode("utf-16-be")
            escaped = "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
            return draw.draw(
                st.sampled_from([json.dumps(value), json.dumps(value, ensure_ascii=False), f'"{escaped}"'])
            )
        case bool() | None:
            return json.dumps(value)
        case int():
            return draw.draw(st.sampled_from([str(value), f"{value}.0", f"{value}e0", f"{value}0E-1"]))
        case _:
            return repr(value)


@given(
    st.dictionaries(hosts, raw_entries, max_size=3),
    st.dictionaries(words.filter(lambda name: name.casefold() not in {"auths", "httpheaders"}), kept_json, max_size=3),
    st.dictionaries(words.map(str.casefold), words, max_size=2),
    st.data(),
)
def test_however_a_content_is_spelled_it_is_written_in_the_same_bytes(
    auths: dict[str, object], more: dict[str, object], headers: dict[str, str], data: st.DataObject
) -> None:
    names = [name.casefold() for name in more]
    document = {"auths": auths, "HttpHeaders": headers, **(more if len(set(names)) == len(names) else {})}
    try:
        plain = parse(json.dumps(document).encode())
    except DockerConfigError:
        with pytest.raises(DockerConfigError):
            parse(respelled(document, data).encode())
        return
    other = parse(respelled(document, data).encode())
    written = render(plain.entries, plain.settings)
    assert (plain, written) == (other, render(other.entries, other.settings))
    again = parse(written)
    assert written == render(again.entries, again.settings)
    assert {name: value for name, value in document.items() if value is not None and name != "auths"} == {
        name: value for name, value in json.loads(written).items() if name != "auths"
    }


@given(entry_lists, entry_lists, entry_lists)
def test_merging_is_associative(first: tuple[Entry, ...], second: tuple[Entry, ...], third: tuple[Entry, ...]) -> None:
    whole = merge([first, second, third]).entries
    assert whole == merge([merge([first, second]).entries, third]).entries
    assert whole == merge([first, merge([second, third]).entries]).entries


@given(st.lists(entry_lists, max_size=4))
def test_every_entry_is_either_merged_or_reported(lists: list[tuple[Entry, ...]]) -> None:
    merged = merge(lists)
    assert sum(map(len, lists)) == len(merged.entries) + len(merged.overlaps)
    kept = {filing_key(entry.registry) for entry in merged.entries}
    assert kept == {filing_key(entry.registry) for entries in lists for entry in entries}
    assert len(kept) == len(merged.entries)


@given(hosts, users, words)
def test_a_kubelet_hashes_what_is_written_as_the_credential_itself(host: str, username: str, password: str) -> None:
    (credential,) = keyring.read(render([basic_entry(host, username, password)]))
    assert (username, password, "") == (credential.username, credential.password, credential.email)


IMAGES = ("nginx", "docker.io/a/b", "a.io/abc/app", "aa.b.com:5000/abc/x", "https.io/a", "b.com/a/b")


@given(st.lists(st.dictionaries(hosts, raw_entries, max_size=3), max_size=3), st.lists(hosts, max_size=3))
def test_another_reading_of_the_kubelet_finds_in_what_is_merged_what_the_first_source_gave(
    sources: list[dict[str, object]], more: list[str]
) -> None:
    """Judged by ``tests.kubelet``, which shares nothing with what is judged: type, key, JSON, auth and lookups."""
    configs = [parse(json.dumps({"auths": auths}).encode()) for auths in sources if usable(auths)]
    merged = merge([config.entries for config in configs])
    entries = [entry for entry in merged.entries if "identitytoken" not in json.loads(entry.content)]
    if not entries:
        return
    ring = kubelet.keyring(KIND, {KEY: render(entries)})
    assert ring == {
        filing_key(entry.registry): kubelet.Login(fields["username"], fields["password"])
        for entry in entries
        for fields in [json.loads(entry.content)]
    }
    read_back = keyring.read(render(entries))
    for image in (*IMAGES, *(f"{host.removeprefix('https://').removesuffix('/')}/x" for host in more)):
        found = [(one.username, one.password) for one in keyring.lookup(keyring.repository(image), [read_back])]
        assert found == [(one.username, one.password) for one in kubelet.logins(image, [ring])]


def usable(auths: dict[str, object]) -> bool:
    try:
        parse(json.dumps({"auths": auths}).encode())
    except DockerConfigError:
        return False
    return True
