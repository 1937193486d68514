"""When each attempt of a study ran, and where."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from caviar.contract.model import View


class BarKind(StrEnum):
    """How an attempt stands or ended."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    PAUSED = "paused"
    FAILED = "failed"
    LOST = "lost"
    RELEASED = "released"
    CANCELLED = "cancelled"


class Bar(View):
    """One attempt, or several short ones in a row that ended alike.

    Attributes:
        trial_id: Of the first one.
        number: Of its trial within the study.
        attempt: Its number within its trial.
        first_epoch: The epoch that it began with.
        ended_at: None while it runs.
        num_merged: How many attempts this bar stands for.
    """

    trial_id: int
    number: int
    attempt: int
    first_epoch: int
    started_at: datetime
    ended_at: datetime | None = None
    kind: BarKind
    num_merged: int = 1


class Lane(View):
    """Attempts that ran one after the other in one place, in the order of time.

    Attributes:
        slot: Number of the slot within the worker; None where it was not told.
    """

    slot: int | None = None
    bars: list[Bar]


class WorkerTime(View):
    """What one worker did for the study within the window.

    Attributes:
        slots: Trainings that it runs at a time; None where the worker is not known any more.
        num_attempts: Its attempts in the window.
        busy_s: Seconds of slots that they took within the window.
        share: Those seconds as a share of all that its slots had; None where they are not known.
        lanes: Its attempts; empty where there are too many to tell one by one.
        load: Where there are too many: busy slots on average in each part of the window, all parts equally long.
    """

    worker_id: str
    worker: str
    slots: int | None = None
    num_attempts: int
    busy_s: float
    share: float | None = None
    lanes: list[Lane]
    load: list[float]


class RoundMark(View):
    """When a round was opened."""

    number: int
    opened_at: datetime


class Timeline(View):
    """The attempts of a study in a window of time.

    Attributes:
        begun_at: When the study was created.
        last_at: When it ended; now while it has not.
        from_at: Begin of the window.
        to_at: End of the window.
        num_attempts: Attempts in the window.
        num_lost: Those of them whose worker fell silent.
        is_dense: Whether there are too many to tell one by one.
        counted_every: 1, or where there are too many, of how many trials one was counted and stands for the others.
        workers: Those with attempts in the window, by name.
    """

    study: str
    begun_at: datetime
    last_at: datetime
    from_at: datetime
    to_at: datetime
    num_attempts: int
    num_lost: int
    is_dense: bool
    counted_every: int = 1
    workers: list[WorkerTime]
    rounds: list[RoundMark]
