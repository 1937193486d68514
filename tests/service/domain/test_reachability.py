"""Only public addresses are sent to, in whatever clothes the others come, unless the operator allows them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.reachability import is_allowed, is_public, may_reach

PRIVATE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::8.8.8.8",
    "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1",
    "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "fc00::1", "fd12:3456::1",
    "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "4000::1", "5f00::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.1", "169.253.255.255", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450::1", "2001:4860::8888",
]  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_is_not_public_is_reached_only_if_it_is_allowed(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert not is_public(address)
    assert not may_reach(address, [], is_encrypted=True)
    own = ipaddress.ip_network(text.partition("%")[0])
    assert may_reach(address, [own], is_encrypted=False)


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_reached_by_https_alone(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert is_public(address)
    assert may_reach(address, [], is_encrypted=True)
    assert not may_reach(address, [], is_encrypted=False)


@given(st.integers(0, 2**32 - 1))
def test_no_address_that_the_standard_library_calls_private_is_public(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    if not address.is_global or address.is_multicast:
        assert not is_public(address)


@given(st.integers(0, 2**128 - 1))
def test_no_ipv6_address_that_the_standard_library_calls_private_is_public(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    is_odd = address.is_multicast or address.ipv4_mapped or address.sixtofour or address.teredo
    if not address.is_global or is_odd:
        assert not is_public(address)


@given(st.integers(0, 2**32 - 1))
def test_no_ipv4_address_is_public_in_the_clothes_of_ipv6(number: int) -> None:
    for base in ("::ffff:0:0", "::", "64:ff9b::"):
        assert not is_public(ipaddress.IPv6Address(int(ipaddress.IPv6Address(base)) + number))
    assert not is_public(ipaddress.IPv6Address((0x2002 << 112) + (number << 80)))
    assert not is_public(ipaddress.IPv6Address((0x20010000 << 96) + (number ^ 0xFFFFFFFF)))


def test_an_allowed_network_of_one_kind_says_nothing_of_the_other() -> None:
    everything = [ipaddress.ip_network("0.0.0.0/0")]
    assert is_allowed(ipaddress.ip_address("127.0.0.1"), everything)
    assert not is_allowed(ipaddress.ip_address("::1"), everything)
    assert not is_allowed(ipaddress.ip_address("::ffff:127.0.0.1"), everything)
