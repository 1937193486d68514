"""Recognising who presents a secret, without the database for those who were seen a moment ago."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.domain.principal import Principal

REMEMBERED_S = 5.0
"""Seconds for which a secret is not looked up again: how long one that another process revoked works at most."""

_MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    is_session: bool
    until_s: float


class Recognition:
    """Remembers whom secrets belong to, by their digests, for a few seconds.

    Attributes:
        generation: Rises whenever everything is forgotten; what was looked up before is then not remembered.
    """

    def __init__(self, clock: Callable[[], datetime], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Know nobody yet.

        Args:
            clock: Tells when tokens end.
            monotonic: Seconds by a clock that is never moved.
        """
        self._clock = clock
        self._monotonic = monotonic
        self._known: dict[str, _Known] = {}
        self.generation = 0

    def find(self, digest: str, *, is_session: bool) -> Principal | None:
        """Who was seen with a secret a moment ago; None to look it up."""
        known = self._known.get(digest)
        if known is None or known.is_session is not is_session or self._monotonic() >= known.until_s:
            return None
        ends_at = known.principal.expires_at
        return known.principal if ends_at is None or self._clock() < ends_at else None

    def remember(self, digest: str, principal: Principal, *, generation: int) -> None:
        """Remember who was found for a secret.

        Args:
            digest: Of the secret.
            principal: Whom it belongs to.
            generation: What it was before the look-up began: a secret that was revoked meanwhile stays forgotten.
        """
        if generation != self.generation:
            return
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        self._known[digest] = _Known(principal, principal.is_session, self._monotonic() + REMEMBERED_S)

    def forget(self) -> None:
        """Forget everybody: a token or a session has ended. Callable from any thread."""
        self.generation += 1
        self._known.clear()
