"""Who came to which rung of a study, who went on, and on what grounds."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from caviar.contract.model import View
from caviar.contract.study import Metric


class Fate(StrEnum):
    """What became of a trial at a rung."""

    PROMOTED = "promoted"
    WENT_ON = "went_on"
    PAUSED = "paused"
    RUNNING = "running"
    PRUNED = "pruned"
    ENDED = "ended"


class RungEntry(View):
    """A trial at a rung.

    Attributes:
        value: Its best value up to there.
        evidence: What was decided about it there and on what grounds; None where nothing was compared.
    """

    trial_id: int
    number: int
    value: float
    fate: Fate
    evidence: dict[str, Any] | None = None


class Rung(View):
    """An epoch at which trials are compared.

    Attributes:
        epoch: The epoch.
        num_reached: Trials that have come there.
        fates: How many of them went which way.
        threshold: What the last comparison here asked for; None while none may go on.
        threshold_number: Trial that was compared then.
        best: The best trials at this rung, best first.
        sample: Values of a part of those who came, by what became of them.
    """

    epoch: int
    num_reached: int
    fates: dict[Fate, int]
    threshold: float | None = None
    threshold_number: int | None = None
    best: list[RungEntry]
    sample: dict[Fate, list[float]]


class Bracket(View):
    """Rungs that some of the trials climb.

    Attributes:
        number: From 0; the only one, but for Hyperband.
        share: Share of all trials that climb it.
        num_trials: Trials that do so far.
        num_at_end: Those of them that were trained beyond its last rung.
    """

    number: int
    share: float
    num_trials: int
    num_at_end: int
    rungs: list[Rung]


class Stop(View):
    """A trial that a pruner without rungs has stopped."""

    trial_id: int
    number: int
    epoch: int
    value: float | None
    evidence: dict[str, Any] | None = None


class EpochStops(View):
    """How many trials were stopped after an epoch, of those that came to it."""

    epoch: int
    num_reached: int
    num_stopped: int


class Rungs(View):
    """Decisions of a study's pruner.

    Attributes:
        pruner: Its kind.
        reduction_factor: About one trial of so many goes on at each rung; None for pruners without rungs.
        promotes: Whether trials pause at a rung and may go on later.
        num_looked_at: Trials that are counted: all, or an even part where there are too many.
        brackets: The rungs; empty for pruners without.
        stops: For pruners without rungs, the epochs at which trials were stopped.
        newest_stops: For pruners without rungs, the trials that were stopped last, the newest first.
    """

    study: str
    metric: Metric
    pruner: str
    reduction_factor: int | None = None
    promotes: bool = False
    num_trials: int
    num_looked_at: int
    brackets: list[Bracket]
    stops: list[EpochStops]
    newest_stops: list[Stop]
