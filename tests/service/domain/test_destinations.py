"""Addresses of webhooks are taken apart strictly: what is odd is refused, and what is taken means one thing only."""

from __future__ import annotations

import ipaddress
import socket
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from caviar.contract.errors import InvalidRequest
from service.domain.destinations import Destination, parse

TAKEN = {
    "https://hooks.example.com": Destination("https", "hooks.example.com", 443, "/"),
    "HTTPS://Hooks.Example.COM./a?b=c": Destination("https", "hooks.example.com", 443, "/a?b=c"),
    "https://hooks.example.com:443/": Destination("https", "hooks.example.com", 443, "/"),
    "https://hooks.example.com:8443/x%20y": Destination("https", "hooks.example.com", 8443, "/x%20y"),
    "http://10.0.0.7:9000/hook": Destination("http", "10.0.0.7", 9000, "/hook"),
    "https://[2606:4700::1111]:8443/": Destination("https", "2606:4700::1111", 8443, "/"),
    "https://[::FFFF:127.0.0.1]/": Destination("https", "::ffff:7f00:1", 443, "/"),
    "https://xn--bcher-kva.example/": Destination("https", "xn--bcher-kva.example", 443, "/"),
    "https://under_score.example/": Destination("https", "under_score.example", 443, "/"),
    "http://localhost:8000": Destination("http", "localhost", 8000, "/"),
}
REFUSED = [
    "", "hooks.example.com", "//hooks.example.com", "ftp://hooks.example.com", "file:///etc/passwd",
    "gopher://hooks.example.com", "https:/hooks.example.com", "https://", "https:///path", "https://?a",
    "https://user@hooks.example.com", "https://user:secret@hooks.example.com", "https://hooks.example.com@10.0.0.1",
    "https://hooks.example.com#top", "https://hooks.example.com:0", "https://hooks.example.com:22/",
    "https://hooks.example.com:99999/", "https://hooks.example.com:-1/", "https://hooks.example.com:port/",
    "https://hooks example.com", "https://hooks.example.com/\\x", "https://hooks.example.com\\@10.0.0.1",
    "https://hooks.example.com/\r\nX: y", "https://hooks.example.com/\t", "https://hooks.example.com/\x00",
    'https://hooks.example.com/"', "https://bücher.example", "https://hooks.example.com/ü",
    "https://\u212aelvin.example", "https://①②⑦.0.0.1", "https://127。0。0。1", "https://%31%32%37.0.0.1",
    "https://-a.example", "https://a-.example", "https://a..example", "https://.example", f"https://{'a' * 64}.example",
    f"https://{'a.' * 127}example", "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://127.1/",
    "https://0177.0.0.1/", "https://127.0.0.01/", "https://127.0.0.1.2/", "https://017700000001/", "https://0x/",
    "https://1.2.3.256/", "https://[::1", "https://::1/", "https://[fe80::1%25eth0]/", "https://[1.2.3.4]/",
    "https://[::g]/", "https://[v1.x]/", "https://a.0x7f/", "https://hooks.example.com:8443:1/",
]  # fmt: skip


@pytest.mark.parametrize("url", TAKEN)
def test_an_address_is_taken_apart(url: str) -> None:
    assert parse(url) == TAKEN[url]
    assert parse(str(TAKEN[url])) == TAKEN[url]


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_odd_is_refused_with_what_was_expected(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(url)
    [error] = refused.value.errors
    assert error.field == "url"
    assert error.expected


def test_the_usual_port_is_left_out_where_it_is_sent() -> None:
    assert parse("https://hooks.example.com:443/").authority == "hooks.example.com"
    assert parse("https://hooks.example.com:8443/").authority == "hooks.example.com:8443"
    assert parse("https://[2606:4700::1111]/").authority == "[2606:4700::1111]"
    assert parse("http://10.0.0.7:80/").authority == "10.0.0.7"


def test_a_literal_address_is_known_as_one() -> None:
    assert parse("https://10.0.0.7/").literal == ipaddress.ip_address("10.0.0.7")
    assert parse("https://hooks.example.com/").literal is None


def _spelled(number: int, kinds: tuple[str, ...]) -> str:
    """An IPv4 address as `inet_aton` takes it: fewer parts, octal, hexadecimal."""
    lengths = {1: (32,), 2: (8, 24), 3: (8, 8, 16), 4: (8, 8, 8, 8)}[len(kinds)]
    parts, left = [], 32
    for bits, kind in zip(lengths, kinds, strict=True):
        left -= bits
        part = (number >> left) & (2**bits - 1)
        parts.append({"d": f"{part}", "o": f"0{part:o}", "x": f"0x{part:x}"}[kind])
    return ".".join(parts)


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from("dox"), min_size=1, max_size=4))
def test_an_ipv4_address_is_taken_in_its_one_spelling_alone(number: int, kinds: list[str]) -> None:
    text = _spelled(number, tuple(kinds))
    # The system's resolver would take it, which is the danger.
    assert int.from_bytes(socket.inet_aton(text), "big") == number
    plain = str(ipaddress.IPv4Address(number))
    if text == plain:
        assert parse(f"https://{text}/").literal == ipaddress.IPv4Address(number)
    else:
        with pytest.raises(InvalidRequest):
            parse(f"https://{text}/")


@given(st.text(max_size=60))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}/x", f"https://a.example/{text}", f"http://a.example:{text}"):
        try:
            found = parse(url)
        except InvalidRequest:
            continue
        assert str(found).isascii()
        assert "@" not in found.host
        assert parse(str(found)) == found


@given(st.text(string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@/?%[]", max_size=60))
def test_what_is_taken_goes_to_one_host_whoever_reads_it(text: str) -> None:
    try:
        found = parse(f"https://{text}")
    except InvalidRequest:
        assume(False)
        return
    assert found.target.startswith("/")
    if found.literal is None:
        # No program takes such a name for an address.
        with pytest.raises(OSError, match="illegal"):
            socket.inet_aton(found.host)
