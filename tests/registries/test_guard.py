"""Where a URL from a source Secret may lead."""

import socket
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from imps_multi.registries.addresses import Kind, kind_of
from imps_multi.registries.guard import ANYWHERE, Destination, RefusedUrlError, destination, guarded
from imps_multi.registries.source_fields import UnusableSecretError

PUBLIC, PRIVATE, LOOPBACK, METADATA = "203.0.114.7", "10.1.2.3", "127.0.0.1", "169.254.169.254"


def refused(url: str, *listed: str) -> str:
    with pytest.raises(RefusedUrlError) as caught:
        destination(url, listed)
    return str(caught.value)


def admitted(leads: Destination) -> set[str]:
    return {address for address in (PUBLIC, PRIVATE, LOOPBACK, METADATA) if leads.admits(address)}


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        *(
            (one, Kind.PUBLIC)
            for one in ("8.8.8.8", PUBLIC, "172.32.0.1", "100.128.0.1", "2600::1", "64:ff9b::808:808")
        ),
        *((one, Kind.PRIVATE) for one in ("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1")),
        *((one, Kind.PRIVATE) for one in ("fc00::1", "fd12::1", "fec0::1", "::ffff:10.0.0.1", "64:ff9b::a00:1")),
        *((one, Kind.PRIVATE) for one in ("2002:808:808::1", "2002:a00:1::1", "2001:db8::1", "64:ff9b:1::808:808")),
        *((one, Kind.LOOPBACK) for one in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1")),
        *((one, Kind.LOOPBACK) for one in ("2002:7f00:1::", "::7f00:1")),
        *((one, Kind.BARRED) for one in ("0.0.0.1", "0.1.2.3", "::", "224.0.0.1", "255.255.255.255", "ff02::1")),
        *(
            (one, Kind.BARRED)
            for one in (METADATA, "169.254.170.2", "168.63.129.16", "100.100.100.200", "fd00:ec2::254")
        ),
        *((one, Kind.BARRED) for one in ("fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe")),
        *(
            (one, Kind.BARRED)
            for one in ("2002:a9fe:a9fe::1", "2600::200:5efe:a9fe:a9fe", "fd00:ec2::23", "192.0.0.192")
        ),
        *((one, Kind.BARRED) for one in ("2001:0:a9fe:a9fe::1", "fd20:ce::254", "nonsense", "")),
    ],
)
def test_an_address_is_what_it_leads_to(address: str, kind: Kind) -> None:
    assert kind_of(address) is kind


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_no_better_inside_an_ipv6_address(address: object) -> None:
    number, plain = int(ip_address(str(address))), kind_of(str(address))
    assert kind_of(f"::ffff:{address}") is plain
    for carrier in (0x64FF9B << 96 | number, 0x2002 << 112 | number << 80, 0x2600 << 112 | 0x5EFE << 32 | number):
        assert kind_of(str(IPv6Address(carrier))) >= plain


@pytest.mark.parametrize(
    ("listed", "addresses"),
    [
        (("sts.corp",), {PUBLIC, PRIVATE, LOOPBACK}),
        (("sts.corp:443",), {PUBLIC, PRIVATE, LOOPBACK}),
        ((" STS.corp. ",), {PUBLIC, PRIVATE, LOOPBACK}),
        (("*.corp",), {PUBLIC}),
        (("*",), {PUBLIC}),
        (("*", METADATA), {PUBLIC}),
        (("*", "sts.corp"), {PUBLIC, PRIVATE, LOOPBACK}),
        (("sts.corp", METADATA), {PUBLIC, PRIVATE, LOOPBACK, METADATA}),
        (("sts.corp", f"{METADATA}:80"), {PUBLIC, PRIVATE, LOOPBACK}),
    ],
)
def test_only_a_literal_listing_lets_a_name_lead_inward(listed: tuple[str, ...], addresses: set[str]) -> None:
    assert admitted(destination("https://sts.corp/token", listed)) == addresses


def test_a_provider_s_own_hosts_need_no_listing_and_lead_outward() -> None:
    own = ("login.example.com", "*.example.net")
    assert admitted(destination("https://login.example.com", (), own=own)) == {PUBLIC}
    assert admitted(destination("https://a.example.net", (), own=own, inside=True)) == {PUBLIC, PRIVATE}
    assert admitted(destination("https://a.example.org", ("*.org",), own=own, inside=True)) == {PUBLIC}
    with pytest.raises(RefusedUrlError):
        destination("https://example.net", (), own=own)
    with pytest.raises(RefusedUrlError):
        destination("https://localhost", (), own=("localhost",))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://other.corp", "sources.endpoints"),
        ("https://sts.corp:8443", "sources.endpoints"),
        ("http://sts.corp:443", "https://"),
        ("http://10.0.0.1", "https://"),
        ("https://127.0.0.2", "without a glob"),
        ("https://localhost", "without a glob"),
        ("https://a.localhost", "without a glob"),
        ("https://[::1]", "without a glob"),
        ("https://[::ffff:127.0.0.1]", "without a glob"),
        ("https://10.0.0.1", "without a glob"),
        ("https://169.254.169.254", "the address itself"),
        ("https://metadata.google.internal", "the address itself"),
        ("https://METADATA.google.internal./x", "the address itself"),
        ("https://[64:ff9b::a9fe:a9fe]", "the address itself"),
        ("http://localhost", "without a glob"),
    ],
)
def test_what_the_name_alone_gives_away_is_refused_with_what_to_do(url: str, says: str) -> None:
    listed = ("sts.corp:443",) if "corp" in url else ("*",)
    assert says in refused(url, *listed)
    assert url not in refused(url, *listed)


@pytest.mark.parametrize(
    "url",
    [
        *("https://2130706433", "https://0x7f000001", "https://0x7f.1", "https://127.1", "https://0177.0.0.1"),
        *("https://127.0.0.01", "https://1.2.3.4.5", "https://a.0x1", "https://127.0.0.1.."),
        *(
            "https://[fe80::1%25eth0]",
            "https://[::1%1]",
            "https://[127.0.0.1]",
            "https://[::1",
            "https://::1",
            "https://a]",
        ),
        *(
            "https://user@a",
            "https://user:pw@a",
            "https://a@",
            "https://a#b",
            "https://a#",
            "https://a?b",
            "https://a?",
        ),
        *(
            "https://a\\@b",
            "https://a b",
            "https://a\tb",
            " https://a",
            "https://a\n",
            "https://a\x00",
            "https://a\u200b",
        ),
        *(
            "https://bücher.example",
            "https://a/é",
            "https://a\u3002b",
            "https://\uff41",
            "https://%61",
            "https://a%2eb",
        ),
        *("https://a:0", "https://a:", "https://a:65536", "https://a:x", "https://a:-1", "https://a:\u0661"),
        *(
            "https:a",
            "https:///a",
            "https://",
            "//a",
            "a",
            "",
            "ftp://a",
            "file:///etc/passwd",
            "https://-a",
            "https://a-",
        ),
        *("https://.a", "https://a..b", f"https://{'a' * 64}", f"https://{'a.' * 127}a", f"https://a/{'b' * 2048}"),
    ],
)
def test_a_url_that_two_readers_could_take_apart_in_two_ways_is_refused(url: str) -> None:
    assert "is not a URL" in refused(url, "*", "localhost", "127.0.0.1", "::1")
    assert "is not a URL" in refused(url, *ANYWHERE)


@pytest.mark.parametrize(
    ("url", "listed"),
    [
        ("http://127.0.0.1:4566/x", "127.0.0.1"),
        ("http://127.0.0.1:4566/x", "127.0.0.1:4566"),
        ("http://localhost/x", "localhost"),
        ("http://127.0.0.1:4566/x", "127.0.0.1:*"),
        ("http://[::1]:8/x", "[::1]:*"),
        ("http://[::1]:8/x", "::1"),
        ("http://[::1]:8/x", "[::1]"),
        ("http://[0:0::1]:8/x", "[::1]:8"),
    ],
)
def test_plain_http_is_for_a_listed_loopback_address(url: str, listed: str) -> None:
    leads = destination(url, (listed,))
    assert [leads.admits(one) for one in (LOOPBACK, "::1", PUBLIC, PRIVATE, METADATA)] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "listed", ["127.0.0.*", "*", "127.0.0.1:80", "[::1]", "127.0.0.1:", "127.0.0.1:x", "::ffff:127.0.0.1"]
)
def test_plain_http_needs_that_very_address_listed(listed: str) -> None:
    refused("http://127.0.0.1:4566", listed)


def test_a_query_is_for_those_who_ask_for_it() -> None:
    assert destination("https://A.:8443/token?b=c", ("a",), query=True).url == "https://a:8443/token?b=c"


def test_without_a_configuration_only_the_form_is_looked_at() -> None:
    for url in ("https://10.0.0.1", "http://127.0.0.1:1", "https://metadata", "https://a.example"):
        destination(url, ANYWHERE)
    refused("http://a.example", *ANYWHERE)


def test_a_fault_names_the_key_and_not_the_url() -> None:
    with pytest.raises(UnusableSecretError, match=r"\Akey tokenURL names a host that is not allowed"):
        guarded("tokenURL", "https://evil.example.com", ())


def test_a_destination_shows_no_path() -> None:
    assert repr(destination("https://a/secret", ("a",))) == "Destination(https://a:443)"


_PIECES = st.sampled_from(
    [
        *(
            "https://",
            "http://",
            "HTTPS://",
            "//",
            "/",
            "\\",
            "@",
            ":",
            "?",
            "#",
            "%",
            "%25",
            "[",
            "]",
            ".",
            "..",
            " ",
            "\t",
        ),
        *(
            "good.example",
            "evil.example",
            "127.0.0.1",
            "169.254.169.254",
            "::1",
            "::ffff:7f00:1",
            "2130706433",
            "0x7f",
            "1",
        ),
        *(
            "0177",
            "localhost",
            "443",
            "80",
            "user",
            "é",
            "\u3002",
            "\uff0e",
            "\u2488",
            "\x00",
            "xn--",
            "GOOD.example",
            "+",
            ";",
        ),
    ]
)


@given(st.lists(_PIECES, max_size=8).map("".join).map(lambda rest: f"https://{rest}"))
def test_a_url_that_is_let_through_leads_to_the_listed_host_for_every_reader(url: str) -> None:
    """Any mixture of odd pieces: urllib and yarl agree on the one listed host."""
    try:
        leads = destination(url, ("good.example",), query=True)
    except RefusedUrlError:
        return
    assert leads.host == "good.example"
    for read in (urlsplit(leads.url).hostname, URL(leads.url, encoded=True).host, urlsplit(url).hostname):
        assert (read or "").rstrip(".") == "good.example"
    assert URL(leads.url).user is None


@given(st.lists(_PIECES, max_size=8).map("".join).map(lambda rest: f"https://{rest}"))
def test_no_spelling_of_an_address_goes_through_a_glob(url: str) -> None:
    """What the system would read as an address without asking a name server is public, or refused."""
    try:
        leads = destination(url, ("*",), query=True)
    except RefusedUrlError:
        return
    try:
        found = socket.getaddrinfo(leads.host, None, flags=socket.AI_NUMERICHOST)
    except OSError:
        assert leads.host.split(".")[-1] != "localhost"
        return
    assert {kind_of(str(where[0])) for *_, where in found} == {Kind.PUBLIC}


@st.composite
def _aton_spellings(draw: st.DrawFn) -> tuple[str, str]:
    """Give an IPv4 address, and one of the many ways in which inet_aton reads it."""
    number = int(draw(st.ip_addresses(v=4)))
    head = draw(st.integers(0, 3))
    parts = [number >> 24 - 8 * index & 0xFF for index in range(head)]
    parts.append(number & (1 << 32 - 8 * head) - 1)
    written = [
        draw(st.sampled_from(["{}", "0{:o}", "0x{:x}", "0X{:X}", "0x0{:x}", "00{:o}"])).format(part) for part in parts
    ]
    return str(ip_address(number)), ".".join(written)


@given(_aton_spellings())
def test_an_address_has_one_spelling(pair: tuple[str, str]) -> None:
    plain, spelled = pair
    assert socket.inet_aton(spelled) == ip_address(plain).packed  # so that there is something to get round
    if spelled != plain:
        assert "is not a URL" in refused(f"https://{spelled}", "*", plain, spelled)
