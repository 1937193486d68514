"""Addresses that the service may send to: public ones, and those that its operator allows."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from service.domain.networks import Network

Address = IPv4Address | IPv6Address


_NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' address translation
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, among it the metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# Everything else is loopback, private, link-local, multicast, IPv4 in other clothes, or nothing yet.
_GLOBAL_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, among them Teredo, which holds IPv4 addresses
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds IPv4 addresses
        "3fff::/20",  # documentation
    )
)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, and no other address in disguise.

    Source: the IANA registries of special-purpose addresses, RFC 6890 and its successors.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether an address lies in one of these networks."""
    return any(address in network for network in allowed)


def may_reach(address: Address, allowed: Sequence[Network], *, is_encrypted: bool) -> bool:
    """Whether the service may send to an address.

    Args:
        address: Where to.
        allowed: Networks that the operator allows.
        is_encrypted: Whether by https; without it, only what the operator allows is reached.
    """
    return is_allowed(address, allowed) or (is_encrypted and is_public(address))
