"""An Optuna study in memory that follows our mirror: the only place that knows Optuna's storage."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from caviar.contract.space import Space
from service.search.mirror import Index, Mirror, TrialRecord
from service.search.parameters import choice_at, is_unordered
from service.search.results import Result, is_left_out, result_of
from service.search.rungs import loss_of

# Optuna announces every study on its own handler; its records belong to the service's log, warnings and above.
optuna.logging.disable_default_handler()
optuna.logging.enable_propagation()
optuna.logging.set_verbosity(optuna.logging.WARNING)

_DESK = 0
# A study wants both, but what samples is asked directly.
_ANY, _NONE = optuna.samplers.RandomSampler(), optuna.pruners.NopPruner()
EPOCH_ZERO = datetime(1970, 1, 1)  # noqa: DTZ001 - Optuna's times are naive, and nothing looks at these


class _Shown(InMemoryStorage):
    """A storage that shows given trials as those of its only study, and takes notes at a trial that is not shown.

    Optuna's own keeps a finished trial as it is for good. Ours go on: paused ones are promoted, failed ones retried.
    """

    def __init__(self, direction: StudyDirection, trials: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._shown = trials
        self.create_new_study([direction], study_name="mirror")
        # Samplers note things at the trial that they sample for. It lives in a study of its own, and is the first trial
        # that this storage really holds.
        self.create_new_trial(self.create_new_study([direction], study_name="desk"))

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[OptunaState] | None = None
    ) -> list[FrozenTrial]:
        return [trial for trial in self._shown if states is None or trial.state in states]


class OptunaMirror(Index):
    """Our trials as Optuna's, number by number.

    Numbers of every scale reach Optuna as unit coordinates, ordered categoricals too, and unordered ones as the
    position of the choice: so scales that Optuna lacks work, and whole numbers cost no more than real ones. A pending
    trial is running there, so that the constant liar sees it. The value of a trial is its best. A paused trial counts
    as a pruned one, with what it had when it paused, until it pauses again or ends. One that failed or diverged is the
    worst there is, and one that was lost, that was cancelled before its first epoch or that does not fit the space is
    left out.

    Attributes:
        distributions: Optuna's distribution of every parameter, by name.
        num_results: Trials that samplers learn from.
    """

    def __init__(self, mirror: Mirror) -> None:
        super().__init__(mirror)
        self.distributions = {name: distribution_of(mirror.space, name) for name in mirror.space.names}
        self._trials: list[FrozenTrial] = []
        self._results: dict[int, Result] = {}
        self._ranked: list[tuple[Result, int]] = []
        self._known: list[int] = []
        self._pending: list[int] = []

    def update(self, trial: TrialRecord) -> None:
        """Bring Optuna's copy of a trial up to date."""
        number, is_new = trial.number, trial.number == len(self._trials)
        old, new = self._results.get(number), result_of(trial, self.mirror.metric)
        state = OptunaState.FAIL if is_left_out(trial) else OptunaState.RUNNING if new is None else _state(new)
        if not is_new and new == old and self._trials[number].state is state:
            return
        frozen = self._frozen(trial, state, new)
        if is_new:
            self._trials.append(frozen)
        else:
            self._trials[number] = frozen
        if old is not None:
            del self._ranked[bisect_left(self._ranked, (old, number))]
        if new is not None:
            insort(self._ranked, (new, number))
            self._results[number] = new
        else:
            self._results.pop(number, None)
        _file(self._known, number, is_in=new is not None)
        _file(self._pending, number, is_in=state is OptunaState.RUNNING)

    @property
    def num_results(self) -> int:
        """Trials that samplers learn from."""
        return len(self._known)

    @property
    def study(self) -> Study:
        """All trials as an Optuna study, which stays as it is now."""
        return self._study(self._trials)

    def extract(self, max_history: int, num_best: int) -> Study:
        """The trials that say most as an Optuna study: the best ones, the latest ones, and the latest pending ones.

        Args:
            max_history: How many with a result at most, and how many pending ones at most.
            num_best: How many of them are the best ones.
        """
        if len(self._known) <= max_history:
            kept = self._known
        else:
            best = {number for _, number in self._ranked[: min(num_best, max_history)]}
            latest = (number for number in reversed(self._known) if number not in best)
            kept = sorted([*best, *islice(latest, max_history - len(best))])
        return self._study([self._trials[number] for number in merge(kept, self._pending[-max_history:])])

    def ask_for(self, number: int) -> FrozenTrial:
        """A trial to sample for, that is no part of the study: nothing stays behind when it is not used."""
        return _trial(number, _DESK, OptunaState.RUNNING)

    def _study(self, trials: Iterable[FrozenTrial]) -> Study:
        is_minimized = self.mirror.metric.direction == "minimize"
        direction = StudyDirection.MINIMIZE if is_minimized else StudyDirection.MAXIMIZE
        storage = _Shown(direction, list(trials))
        return optuna.load_study(study_name="mirror", storage=storage, sampler=_ANY, pruner=_NONE)

    def _frozen(self, trial: TrialRecord, state: OptunaState, result: Result | None) -> FrozenTrial:
        values = internal_values(self.mirror.space, trial.units)
        frozen = _trial(trial.number, trial.number, state)
        frozen.distributions = {name: self.distributions[name] for name in values}
        frozen.params = values
        if result is not None and result.is_complete:
            frozen.values = [loss_of(self.mirror.metric, result.loss)]
        elif result is not None and not result.is_failed:
            # Optuna ranks pruned trials by their last step, then by the value there.
            frozen.intermediate_values = {result.epoch: loss_of(self.mirror.metric, result.loss)}
        return frozen


def _state(result: Result) -> OptunaState:
    return OptunaState.COMPLETE if result.is_complete else OptunaState.PRUNED


def _trial(number: int, trial_id: int, state: OptunaState) -> FrozenTrial:
    return FrozenTrial(
        number=number, trial_id=trial_id, state=state, value=None, values=None, params={}, distributions={},
        user_attrs={}, system_attrs={}, intermediate_values={}, datetime_start=EPOCH_ZERO,
        datetime_complete=EPOCH_ZERO if state.is_finished() else None,
    )  # fmt: skip


def _file(numbers: list[int], number: int, *, is_in: bool) -> None:
    """Put a number into a rising list, or take it out."""
    position = bisect_left(numbers, number)
    is_there = position < len(numbers) and numbers[position] == number
    if is_in and not is_there:
        numbers.insert(position, number)
    elif is_there and not is_in:
        del numbers[position]


def distribution_of(space: Space, name: str) -> BaseDistribution:
    """Optuna's distribution of a parameter in the coordinates that it gets."""
    parameter = space[name]
    if is_unordered(parameter):
        return CategoricalDistribution(range(len(parameter.choices)))
    return FloatDistribution(0.0, 1.0)


def internal_values(space: Space, units: Sequence[float | None]) -> dict[str, Any]:
    """What Optuna gets of a configuration."""
    values: dict[str, Any] = {}
    for (name, parameter), unit in zip(space.items(), units, strict=True):
        if unit is not None:
            values[name] = choice_at(parameter, unit) if is_unordered(parameter) else unit
    return values
