"""Sets of addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Of the addresses of IPv6, this part is the same for all that one customer of a provider can choose from.
_CUSTOMER_BITS = 64


def network(text: str) -> Network:
    """An address, or a network such as 10.0.0.0/8.

    Raises:
        ValueError: It is none.
    """
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise ValueError(f"received {text!r} ({error}), expected an address or a network such as 10.0.0.0/8") from error


class Networks:
    """Addresses that have something in common; empty ones are false."""

    def __init__(self, networks: Iterable[Network]) -> None:
        """Unite networks."""
        self._networks = tuple(networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: object) -> bool:
        try:
            found = ipaddress.ip_address(str(address))
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._networks)


def customer(address: str) -> str:
    """What stands for a client whose requests are counted: its address, or the network that it can choose from."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.IPv6Network((int(found), _CUSTOMER_BITS), strict=False))
