"""How much of the workers' time each study has had of late, as the events of its trials tell."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class _Training:
    """Trials of a study in training.

    Attributes:
        begun_us: When each of them began, in microseconds, by id.
        sum_us: Of all of these: with a thousand of them, nobody who claims is to wait for adding them up.
    """

    begun_us: dict[int, int] = field(default_factory=dict)
    sum_us: int = 0

    def begin(self, trial_id: int, at: datetime) -> None:
        """Count a trial from this time on."""
        self.end(trial_id)
        self.begun_us[trial_id] = _microseconds(at)
        self.sum_us += self.begun_us[trial_id]

    def end(self, trial_id: int) -> int | None:
        """Count it no more; returns when it began, None if it is not known."""
        begun_us = self.begun_us.pop(trial_id, None)
        self.sum_us -= begun_us or 0
        return begun_us

    def used_s(self, now: datetime) -> float:
        """Seconds since each of them began, together."""
        return max(len(self.begun_us) * _microseconds(now) - self.sum_us, 0) / 1e6


class Shares:
    """Seconds of slots that studies have used, what is long ago counting less: half of it after ten minutes.

    It decides among studies that have equally many trials in training, so that one slot is shared by time and not by
    trials: neither a study of long trials nor one of short ones holds the other up. It is kept in memory: after a
    restart all begin equal. Safe for threads: events of other processes come on a thread of their own.
    """

    def __init__(self) -> None:
        """Nobody has used anything."""
        self._used: dict[int, tuple[float, datetime]] = {}
        self._running: dict[int, _Training] = defaultdict(_Training)
        self._lock = threading.Lock()

    def apply(self, events: Iterable[Happening]) -> None:
        """Follow committed events."""
        with self._lock:
            for event in events:
                self._follow(event)

    def used_s(self, study_id: int, now: datetime) -> float:
        """Seconds that a study has used, those of its trials in training included."""
        with self._lock:
            running = self._running.get(study_id)
            return self._past(study_id, now) + (0.0 if running is None else running.used_s(now))

    def forget(self, study_id: int) -> None:
        """Let go of a study that is over."""
        with self._lock:
            self._forget(study_id)

    def _follow(self, event: Happening) -> None:
        if event.kind == "trial_started":
            self._running[event.study_id].begin(event.data["trial_id"], event.at)
        elif event.kind in _ENDS:
            running = self._running.get(event.study_id)
            begun_us = None if running is None else running.end(event.data["trial_id"])
            if begun_us is not None:
                seconds = max(_microseconds(event.at) - begun_us, 0) / 1e6
                self._used[event.study_id] = (self._past(event.study_id, event.at) + seconds, event.at)
        elif event.kind == "study_changed" and event.data["state"] in _OVER:
            self._forget(event.study_id)

    def _forget(self, study_id: int) -> None:
        self._used.pop(study_id, None)
        self._running.pop(study_id, None)

    def _past(self, study_id: int, now: datetime) -> float:
        used, at = self._used.get(study_id, (0.0, now))
        return float(used * 0.5 ** (max((now - at).total_seconds(), 0.0) / HALF_LIFE_S))


def _microseconds(at: datetime) -> int:
    return round(1e6 * at.timestamp())
