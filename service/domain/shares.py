"""How much of the workers' time each study has had of late, as the events of its trials tell."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

HALF_LIFE_S = 600.0
_ENDS = frozenset({"trial_ended", "trial_paused", "trial_requeued"})
_OVER = frozenset({"complete", "stopped"})


class Happening(Protocol):
    """What is needed of an event."""

    @property
    def study_id(self) -> int:
        """The study."""

    @property
    def kind(self) -> str:
        """What happened."""

    @property
    def at(self) -> datetime:
        """When."""

    @property
    def data(self) -> Mapping[str, Any]:
        """More about it."""


class Shares:
    """Seconds of slots that studies have used, what is long ago counting less: half of it after ten minutes.

    It decides among studies that have equally many trials in training, so that one slot is shared by time and not by
    trials: neither a study of long trials nor one of short ones holds the other up. It is kept in memory: after a
    restart all begin equal. Safe for threads: events of other processes come on a thread of their own.
    """

    def __init__(self) -> None:
        """Nobody has used anything."""
        self._used: dict[int, tuple[float, datetime]] = {}
        self._running: dict[int, dict[int, datetime]] = {}
        self._lock = threading.Lock()

    def apply(self, events: Iterable[Happening]) -> None:
        """Follow committed events."""
        with self._lock:
            for event in events:
                self._follow(event)

    def used_s(self, study_id: int, now: datetime) -> float:
        """Seconds that a study has used, those of its trials in training included."""
        with self._lock:
            running = self._running.get(study_id, {}).values()
            return self._past(study_id, now) + sum(max((now - begun_at).total_seconds(), 0.0) for begun_at in running)

    def forget(self, study_id: int) -> None:
        """Let go of a study that is over."""
        with self._lock:
            self._forget(study_id)

    def _follow(self, event: Happening) -> None:
        if event.kind == "trial_started":
            self._running.setdefault(event.study_id, {})[event.data["trial_id"]] = event.at
        elif event.kind in _ENDS:
            begun_at = self._running.get(event.study_id, {}).pop(event.data["trial_id"], None)
            if begun_at is not None:
                seconds = max((event.at - begun_at).total_seconds(), 0.0)
                self._used[event.study_id] = (self._past(event.study_id, event.at) + seconds, event.at)
        elif event.kind == "study_changed" and event.data["state"] in _OVER:
            self._forget(event.study_id)

    def _forget(self, study_id: int) -> None:
        self._used.pop(study_id, None)
        self._running.pop(study_id, None)

    def _past(self, study_id: int, now: datetime) -> float:
        used, at = self._used.get(study_id, (0.0, now))
        return float(used * 0.5 ** (max((now - at).total_seconds(), 0.0) / HALF_LIFE_S))
