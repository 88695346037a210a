"""Proxies from the environment, against the cases of golang.org/x/net/http/httpproxy."""

import pytest

from imps_multi.model.proxies import proxy_for

PROXY = {"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "plain:8080"}


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("https://api.example:6443", "http://proxy:3128"),
        ("http://api.example", "http://plain:8080"),
        ("https://localhost:6443", ""),
        ("https://LOCALHOST", ""),
        ("https://127.0.0.1:6443", ""),
        ("https://127.9.9.9", ""),
        ("https://[::1]:6443", ""),
        ("https://[::ffff:127.0.0.1]", ""),
        ("https://localhost.example", "http://proxy:3128"),
    ],
)
def test_the_scheme_names_the_variable_and_this_machine_needs_none(server: str, expected: str) -> None:
    assert proxy_for(server, PROXY) == expected


@pytest.mark.parametrize(
    ("no_proxy", "server", "direct"),
    [
        ("*", "https://api.example", True),
        ("example", "https://api.example", True),
        ("example", "https://example", True),
        ("example", "https://myexample", False),
        (".example", "https://example", False),
        (".example", "https://api.example", True),
        ("*.example", "https://api.example", True),
        ("*.example", "https://example", False),
        (" other , API.Example ", "https://api.example", True),
        ("api.example:6443", "https://api.example:6443", True),
        ("api.example:6443", "https://api.example", False),
        ("api.example:443", "https://api.example", True),
        ("10.0.0.1", "https://10.0.0.1:6443", True),
        ("10.0.0.1", "https://10.0.0.10", False),
        ("10.0.0.1:6443", "https://10.0.0.1:6443", True),
        ("10.0.0.1:443", "https://10.0.0.1:6443", False),
        ("10.0.0.0/8", "https://10.200.0.1", True),
        ("10.0.0.0/8", "https://11.0.0.1", False),
        ("10.0.0.0/8", "https://ten.example", False),
        ("fd00::/8", "https://[fd00::1]:6443", True),
        ("[fd00::1]:6443", "https://[fd00::1]:6443", True),
        ("[fd00::1]:6443", "https://[fd00::1]", False),
        ("fd00::1", "https://[fd00::1]", True),
        ("10.0.0.0/99", "https://10.0.0.1", False),
        (":443", "https://api.example", False),
        ("", "https://api.example", False),
    ],
)
def test_no_proxy_takes_in_hosts_suffixes_ports_addresses_and_blocks(
    no_proxy: str, server: str, *, direct: bool
) -> None:
    assert (proxy_for(server, {**PROXY, "NO_PROXY": no_proxy}) == "") == direct


def test_upper_case_goes_first_and_lower_case_serves_where_it_is_missing() -> None:
    assert proxy_for("https://a.example", {"https_proxy": "http://low:1"}) == "http://low:1"
    assert (
        proxy_for("https://a.example", {"https_proxy": "http://low:1", "HTTPS_PROXY": "http://up:1"}) == "http://up:1"
    )
    assert not proxy_for("https://a.example", {"https_proxy": "http://low:1", "no_proxy": "a.example"})


def test_without_a_variable_there_is_no_proxy() -> None:
    assert not proxy_for("https://api.example", {})
