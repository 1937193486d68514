"""The mirror: what search knows of a study, kept in memory and up to date row by row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from caviar.contract.space import Params, Space
from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import Metric, StudySpec
from caviar.contract.views import RoundView


@dataclass(slots=True)
class TrialRecord:
    """One trial as search sees it.

    Attributes:
        number: Number within the study, from 0.
        trial_id: Global id.
        params: The configuration, natural values.
        units: Unit coordinates in the order of the space's names, None where a parameter does not apply; all None if
            the configuration does not fit the space.
        fits: Whether the configuration fits the space as it is now; samplers pass over those that do not.
        is_proposed: Whether the study's sampler proposed it; else it was enqueued or imported.
        state: Where the trial is in its life.
        round: Round that proposed it; None without rounds.
        values: The study's metric by epoch: the current curve, without epochs of attempts that were given up.
        value: Best of `values`; None while there are none.
        best_epoch: First epoch of the best value.
        stop_reason: Why it ended; None before that.
        promoted_epoch: Epoch of the highest rung that it was promoted from; it does not pause there again.
    """

    number: int
    trial_id: int
    params: Params
    units: list[float | None] = field(default_factory=list)
    fits: bool = True
    is_proposed: bool = True
    state: TrialState = TrialState.WAITING
    round: int | None = None
    values: dict[int, float] = field(default_factory=dict)
    value: float | None = None
    best_epoch: int | None = None
    stop_reason: StopReason | None = None
    promoted_epoch: int = 0


class Index(ABC):
    """Something derived from a mirror, brought up to date only when it is asked.

    An index depends on the mirror's present content alone, not on the order in which it came about. So a mirror that is
    rebuilt from stored rows leads to the same decisions.
    """

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.stale = set(range(len(mirror.trials)))

    def catch_up(self) -> None:
        """Take in every trial that changed since the last call, in the order of their numbers."""
        for number in sorted(self.stale):
            self.update(self.mirror.trials[number])
        self.stale.clear()

    @abstractmethod
    def update(self, trial: TrialRecord) -> None:
        """Take in one trial that is new or has changed."""


AnyIndex = TypeVar("AnyIndex", bound=Index)


class Mirror:
    """A study's stored rows in memory.

    Not safe for threads: callers hold a lock per study.

    Attributes:
        spec: The study, its space set.
        space: Its search space.
        metric: Its metric.
        trials: All trials, by number.
        rounds: Rounds of the strategy, oldest first.
        num_proposed: Trials that the sampler proposed.
        num_by_state: Trials in each state.
    """

    def __init__(self, spec: StudySpec) -> None:
        if spec.space is None:
            raise ValueError(f"study {spec.name!r} has no space; expected the objective's default to be filled in")
        self.spec = spec
        self.space: Space = spec.space
        self.metric: Metric = spec.metric
        self.trials: list[TrialRecord] = []
        self.rounds: list[RoundView] = []
        self.num_proposed = 0
        self.num_by_state: Counter[TrialState] = Counter()
        self._taken: set[tuple[float | None, ...]] = set()
        self._indexes: dict[Hashable, Index] = {}

    def add(
        self, number: int, trial_id: int, params: Params, *, round: int | None = None, is_proposed: bool = True
    ) -> None:
        """Take in a new trial, waiting to be trained.

        Raises:
            ValueError: The number does not follow the last one.
        """
        self.restore(TrialRecord(number, trial_id, params, is_proposed=is_proposed, round=round))

    def restore(self, trial: TrialRecord) -> None:
        """Take in a trial with all that has happened to it.

        Args:
            trial: Its units, fit, value and best epoch are found here; `values` in the order of epochs.
        Raises:
            ValueError: The number does not follow the last one.
        """
        if trial.number != len(self.trials):
            raise ValueError(
                f"received trial number {trial.number}, expected {len(self.trials)}: numbers are contiguous"
            )
        trial.fits = self.space.fits(trial.params)
        trial.units = self.space.units_of(trial.params) if trial.fits else [None] * len(self.space)
        self._recompute(trial)
        self.trials.append(trial)
        self.num_proposed += trial.is_proposed
        self.num_by_state[trial.state] += 1
        if trial.fits:
            self._taken.add(tuple(trial.units))
        self._changed(trial.number)

    def start(self, number: int, *, first_epoch: int = 1, promoted_epoch: int | None = None) -> None:
        """A trial runs (again); epochs of its curve from `first_epoch` on are forgotten."""
        trial = self.trials[number]
        self._turn(trial, TrialState.RUNNING)
        trial.promoted_epoch = trial.promoted_epoch if promoted_epoch is None else promoted_epoch
        if any(epoch >= first_epoch for epoch in trial.values):
            trial.values = {epoch: value for epoch, value in trial.values.items() if epoch < first_epoch}
            self._recompute(trial)
        self._changed(number)

    def measure(self, number: int, epoch: int, value: float) -> None:
        """Take in the study's metric of one epoch, a finite number."""
        trial = self.trials[number]
        is_repeat = epoch in trial.values
        trial.values[epoch] = value
        if is_repeat:
            self._recompute(trial)
        elif trial.value is None or self.metric.better(value, trial.value):
            trial.value, trial.best_epoch = value, epoch
        self._changed(number)

    def pause(self, number: int) -> None:
        """A trial has stopped at a rung, and may be promoted."""
        self._turn(self.trials[number], TrialState.PAUSED)
        self._changed(number)

    def requeue(self, number: int) -> None:
        """A trial waits again after an attempt that was lost, released or failed."""
        self._turn(self.trials[number], TrialState.WAITING)
        self._changed(number)

    def end(self, number: int, state: TrialState, stop_reason: StopReason | None) -> None:
        """A trial has ended."""
        self._turn(self.trials[number], state, stop_reason)
        self._changed(number)

    def open_round(self, round: RoundView) -> None:
        """Take in a new round.

        Raises:
            ValueError: Its number does not follow the last one.
        """
        if round.number != len(self.rounds):
            raise ValueError(f"received round number {round.number}, expected {len(self.rounds)}")
        self.rounds.append(round)

    @property
    def is_idle(self) -> bool:
        """Whether no trial runs or waits to run."""
        return not self.num_by_state[TrialState.RUNNING] and not self.num_by_state[TrialState.WAITING]

    def num_proposed_before(self, number: int) -> int:
        """Trials that the sampler proposed before trial `number`; those that are not here yet are taken for its own."""
        return self.num_proposed + number - len(self.trials)

    def is_taken(self, params: Params) -> bool:
        """Whether a trial of exactly this configuration exists."""
        return tuple(self.space.units_of(params)) in self._taken

    def index(self, build: Callable[..., AnyIndex], *arguments: Hashable) -> AnyIndex:
        """The up-to-date index `build(mirror, *arguments)`, built at the first call and kept."""
        key = (build, arguments)
        if key not in self._indexes:
            self._indexes[key] = build(self, *arguments)
        found: AnyIndex = self._indexes[key]  # type: ignore[assignment]  # the key holds the class
        found.catch_up()
        return found

    def _turn(self, trial: TrialRecord, state: TrialState, stop_reason: StopReason | None = None) -> None:
        self.num_by_state[trial.state] -= 1
        self.num_by_state[state] += 1
        trial.state, trial.stop_reason = state, stop_reason

    def _changed(self, number: int) -> None:
        for index in self._indexes.values():
            index.stale.add(number)

    def _recompute(self, trial: TrialRecord) -> None:
        trial.value = trial.best_epoch = None
        if trial.values:
            pick = min if self.metric.direction == "minimize" else max
            trial.best_epoch = pick(trial.values, key=trial.values.__getitem__)
            trial.value = trial.values[trial.best_epoch]
