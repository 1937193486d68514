"""Requests as they were answered."""

from __future__ import annotations

from collections import Counter

from service.domain.tally import Tally

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"
ABORTED = "aborted"
"""In place of a class of status codes: the client was gone before an answer began."""


class Requests:
    """Counts of the requests of this process, kept on the event loop's thread.

    Attributes:
        num_open: Requests that are being answered, streams and long polls among them.
        problems: Answers that were problems, by code.
        durations: Seconds until the answer began, by route, method and class of status code.
    """

    def __init__(self) -> None:
        """Nothing counted yet."""
        self.num_open = 0
        self.problems: Counter[str] = Counter()
        self.durations: dict[tuple[str, str, str], Tally] = {}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            route: Template of its path, so that there are never more than the application has routes.
            method: As it came; clients can make up any.
            status: Of the answer; 0 if none began.
            seconds: Until it began.
        """
        key = (route, method if method in _METHODS else OTHER_METHOD, f"{status // 100}xx" if status else ABORTED)
        tally = self.durations.get(key)
        if tally is None:
            tally = self.durations[key] = Tally(_SECONDS)
        tally.add(seconds)
