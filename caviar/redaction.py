"""Keeping secrets out of logs: whatever a line is about to tell, tokens and passwords in it are struck out."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

HIDDEN = "[redacted]"
_ENDINGS = ("token", "secret", "password", "passwd", "authorization", "cookie", "lease", "leases", "api_key", "digest")
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), HIDDEN.join(around))
    for pattern, around in (
        (r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", (r"\1 ", "")),
        (r"\b(token|code|state|secret|password|caviar_session|lease)=[^\s&;,'\"]+", (r"\1=", "")),
        (r"(['\"](?:token|secret|password|lease)['\"]\s*:\s*['\"])[^'\"]+", (r"\1", "")),
        (r"\bcvr_[\w-]{16,}", ("", "")),
        (r"(\w://[^\s:/@]*:)[^\s@/]+@", (r"\1", "@")),
    )
)
# A line that holds none of these holds no secret that the patterns know.
_SIGNS = re.compile(r"bearer|basic|cvr_|=|://|['\"]\s*:", re.IGNORECASE)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Strike secrets out of a log line; a processor of structlog, to come right before the one that writes it."""
    for key, value in event.items():
        event[key] = HIDDEN if value and key.lower().endswith(_ENDINGS) else _clean(value)
    return event


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return redact(None, "", dict(value))
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value


def clean(text: str) -> str:
    """A text without the secrets in it: bearer tokens, parameters of addresses, passwords in URLs."""
    if _SIGNS.search(text) is None:
        return text
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
