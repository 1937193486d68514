"""Whether another site has caused a request."""

from __future__ import annotations

import pytest

from service.domain.origins import Called, is_foreign, origin

HTTP = Called("http", "caviar.example:8700")
HTTPS = Called("https", "caviar.example")


@pytest.mark.parametrize(
    ("origin", "site", "called", "foreign"),
    [
        (None, None, HTTP, False),
        ("http://caviar.example:8700", None, HTTP, False),
        ("https://caviar.example:8700", None, HTTP, False),  # A proxy with TLS that does not say so.
        ("http://caviar.example:8700", "same-origin", HTTP, False),
        ("https://caviar.example", None, HTTPS, False),
        ("https://caviar.example:443", None, HTTPS, False),
        ("https://CAVIAR.example", None, HTTPS, False),
        ("http://[::1]:8700", None, Called("http", "[::1]:8700"), False),
        (None, "none", HTTP, False),
        ("null", "same-origin", HTTP, False),
        ("null", None, HTTP, True),
        ("null", "cross-site", HTTP, True),
        (None, "cross-site", HTTP, True),
        (None, "same-site", HTTP, True),
        (None, "anything", HTTP, True),
        ("http://caviar.example:8700", "cross-site", HTTP, True),
        ("http://evil.example", None, HTTP, True),
        ("http://evil.example", "same-origin", HTTP, True),
        ("http://caviar.example:9000", None, HTTP, True),
        ("http://caviar.example", None, HTTPS, True),
        ("http://caviar.example:8700.evil.example", None, HTTP, True),
        ("http://caviar.example:8700@evil.example", None, HTTP, True),
        ("http://caviar.example:8700/", None, HTTP, True),
        ("file://", None, HTTP, True),
        ("chrome-extension://abc", None, HTTP, True),
        ("", None, HTTP, True),
    ],
)
def test_who_has_caused_a_request(origin: str | None, site: str | None, called: Called, foreign: bool) -> None:
    assert is_foreign(origin, site, called) is foreign


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" https://Pages.example.org/ ", "https://pages.example.org"),
        ("https://pages.example.org:443", "https://pages.example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
    ],
)
def test_an_operator_writes_an_origin(text: str, kept: str) -> None:
    assert origin(text) == kept


@pytest.mark.parametrize("text", ["*", "null", "pages.example.org", "https://pages.example.org/path", "ftp://x"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected scheme and host"):
        origin(text)
