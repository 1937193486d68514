"""Whether a request was caused by a page of another site."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>[a-z0-9._-]+(?::\d{1,5})?|\[[0-9a-f:.]+\](?::\d{1,5})?)")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_OWN_SITES = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class Called:
    """How the service was called.

    Attributes:
        scheme: `http`, also behind a proxy that does not say; or `https`.
        authority: The header Host, with its port.
    """

    scheme: str
    authority: str


def origin(text: str) -> str:
    """An origin as an operator writes it, `https://pages.example.org`, in the form in which browsers send it.

    Raises:
        ValueError: It is none.
    """
    found = _ORIGIN.fullmatch(text.strip().lower().rstrip("/"))
    if found is None:
        raise ValueError(f"received {text!r}, expected scheme and host alone, such as https://pages.example.org")
    return f"{found['scheme']}://{found['authority'].removesuffix(_DEFAULT_PORTS[found['scheme']])}"


def is_foreign(origin: str | None, site: str | None, called: Called) -> bool:
    """Whether another site has caused a request.

    Args:
        origin: The header Origin, which browsers send with every write.
        site: The header Sec-Fetch-Site, which no script can set.
        called: How the service was called.
    Returns:
        False for programs, which send neither.
    Source: Fetch Standard, "append a request Origin header"; Fetch Metadata Request Headers, section 2.
    """
    if site is not None and site not in _OWN_SITES:
        return True
    if origin is None:
        return False
    # A page that tells nobody where it is from says "null"; whether it is ours, only the other header can tell.
    if origin == "null":
        return site is None
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None or (called.scheme == "https" and found["scheme"] == "http"):
        return True
    port = _DEFAULT_PORTS[found["scheme"]]
    return found["authority"].removesuffix(port) != called.authority.lower().removesuffix(port)
