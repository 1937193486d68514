"""Where a webhook sends to: its address taken apart, strictly, so that it means the same to everybody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from caviar.contract.errors import FieldError, InvalidRequest
from service.domain.reachability import Address

_DEFAULT_PORTS = {"https": 443, "http": 80}
# Below are the ports of services that speak something else.
_FIRST_FREE_PORT = 1024
_MAX_HOST_CHARACTERS = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PLAIN = re.compile(r"[!#-;=?-\[\]^_a-z~]+")
"""Printable ASCII without blanks, quotes, brackets of tags, backslashes and the like."""


@dataclass(frozen=True, slots=True)
class Destination:
    """An address in its parts.

    Attributes:
        scheme: `https` or `http`.
        host: A name in lower case, or an IP address without brackets.
        port: Also where it is the usual one.
        target: Path and query.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def is_encrypted(self) -> bool:
        """Whether it is reached by https."""
        return self.scheme == "https"

    @property
    def literal(self) -> Address | None:
        """The IP address that stands in place of a name; None for a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """Host and port as they stand in an address and in the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def refused(received: str, expected: str) -> InvalidRequest:
    """The error that refuses the address of a webhook."""
    field = FieldError(field="url", received=received, expected=expected)
    return InvalidRequest("the webhook's address cannot be used", errors=[field])


def parse(url: str) -> Destination:
    """Take an address apart.

    Raises:
        InvalidRequest: It is none that a webhook may have (422).
    """
    if not _PLAIN.fullmatch(url):
        raise refused(url, "printable ASCII without blanks, quotes and backslashes; write other letters as %… or xn--…")
    scheme, sign, _ = url.partition("://")
    if not sign or scheme.lower() not in _DEFAULT_PORTS:
        raise refused(url, "an address such as https://hooks.example.com/caviar")
    if "#" in url:
        raise refused(url, "an address without a fragment (#…), which is never sent")
    try:
        parts = urlsplit(url)
        given = parts.port
    except ValueError as error:
        raise refused(url, f"an address such as https://hooks.example.com/caviar ({error})") from None
    if "@" in parts.netloc:
        raise refused(url, "an address without a user name or password; the receiver knows us by the signature")
    scheme = scheme.lower()
    port = _DEFAULT_PORTS[scheme] if given is None else given
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(
        scheme, _host(parts.hostname or "", url, is_bracketed="[" in parts.netloc), _port(port, url), target
    )


def _port(port: int, url: str) -> int:
    if port not in _DEFAULT_PORTS.values() and port < _FIRST_FREE_PORT:
        raise refused(url, f"port 443, 80, or one from {_FIRST_FREE_PORT} to 65535")
    return port


def _host(text: str, url: str, *, is_bracketed: bool) -> str:
    if is_bracketed:
        try:
            address = IPv6Address(text)
        except AddressValueError:
            raise refused(url, "an IPv6 address such as [2606:4700::1111]") from None
        if address.scope_id is not None:
            raise refused(url, "an IPv6 address without a zone (%…)")
        return str(address)
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > _MAX_HOST_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        raise refused(url, "a host such as hooks.example.com, of letters, digits, - and dots between its parts")
    if _NUMERIC.fullmatch(labels[-1]):
        # What ends in a number is an IPv4 address to many programs, in octal, hexadecimal or with parts left out.
        try:
            return str(IPv4Address(host))
        except AddressValueError:
            raise refused(url, "an IPv4 address as four decimal numbers without leading zeros") from None
    return host
