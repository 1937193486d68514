"""Whose requests the guards have let pass a moment ago: what comes just like them need not be looked at anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope

from service.api.authentication import CALLER, Caller, is_recognised
from service.api.guards import facts
from service.api.guards.sites import Headers
from service.use_cases.recognition import Recognition

LASTS_S = 5.0
"""Seconds until the guards look at one of a kind again."""
_KEY = "caviar.likeness"
_MAX_KNOWN = 1_000
# These differ from request to request, and no guard goes by them: bodies are measured as they come.
_CHANGING = frozenset({b"content-length", b"x-request-id"})


@dataclass(frozen=True, slots=True)
class Passed:
    """How a request passed all guards.

    Attributes:
        caller: Who it was from.
        client: Address of its client, as a trusted proxy may have told it.
        further: Headers of its answer beyond those of every answer.
        until_s: When the guards are to be asked again, by the monotonic clock.
    """

    caller: Caller
    client: tuple[str, int] | None
    further: Headers
    until_s: float


class Regulars:
    """Remembers, for a few seconds, which requests have passed all guards.

    What they decide by is nothing but the settings, which do not change, the route, the scheme, the client's address
    and the headers. So a request that has all of these in common with one that passed would pass as well. What does
    change is asked each time all the same: whether the token still lets its caller in, and how many requests it has
    made.
    """

    def __init__(self, recognition: Recognition, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Know nobody yet.

        Args:
            recognition: Knows whose tokens still are good.
            monotonic: Seconds by a clock that is never moved.
        """
        self._recognition = recognition
        self._monotonic = monotonic
        self._known: dict[object, Passed] = {}

    def find(self, scope: Scope, route: str) -> Passed | None:
        """How a request like this one passed the guards; None if they are to be asked.

        Args:
            scope: Of a request that the guards have not seen.
            route: Template of its path.
        """
        headers, client = scope["headers"], scope["client"]
        likeness = (
            route,
            scope["scheme"],
            client[0] if client else None,
            len(headers),
            *[pair for pair in headers if pair[0] not in _CHANGING],
        )
        passed = self._known.get(likeness)
        if (
            passed is not None
            and self._monotonic() < passed.until_s
            and is_recognised(self._recognition, passed.caller)
        ):
            return passed
        scope[_KEY] = likeness
        return None

    def note(self, scope: Scope) -> None:
        """Remember a request that has passed the guards now."""
        likeness, caller = scope.get(_KEY), scope.get(CALLER)
        # Of a browser the guards ask for more, so that it never becomes a regular.
        if likeness is None or caller is None or caller.secret is not None:
            return
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        until_s = self._monotonic() + LASTS_S
        self._known[likeness] = Passed(caller, scope["client"], facts.known(scope).further, until_s)
