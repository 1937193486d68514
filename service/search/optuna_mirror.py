"""An Optuna study in memory that follows our mirror: the only place that knows Optuna's storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from caviar.contract.space import Space
from caviar.contract.states import StopReason, TrialState
from service.search.mirror import Index, Mirror, TrialRecord
from service.search.parameters import choice_at, is_unordered
from service.search.rungs import is_failure

# Optuna announces every study on its own handler; its records belong to the service's log, warnings and above.
optuna.logging.disable_default_handler()
optuna.logging.enable_propagation()
optuna.logging.set_verbosity(optuna.logging.WARNING)

_EPOCH_ZERO = datetime(1970, 1, 1)  # noqa: DTZ001 - Optuna's times are naive, and nothing looks at these
_LEARNT_FROM = frozenset({OptunaState.COMPLETE, OptunaState.PRUNED})


class _Outcome(NamedTuple):
    state: OptunaState
    value: float | None = None
    epoch: int = 0


class OptunaMirror(Index):
    """Our trials as Optuna's, number by number.

    Numbers of every scale reach Optuna as unit coordinates, ordered categoricals too, and unordered ones as the
    position of the choice: so scales that Optuna lacks work, and whole numbers cost no more than real ones. A pending
    trial is running there, so that the constant liar sees it. The value of a trial is its best. One that failed or
    diverged is the worst there is, and one that was lost, or cancelled before its first epoch, is left out.

    Attributes:
        study: The Optuna study.
        distributions: Optuna's distribution of every parameter, by name.
    """

    def __init__(self, mirror: Mirror) -> None:
        super().__init__(mirror)
        self.distributions = {name: distribution_of(mirror.space, name) for name in mirror.space.names}
        self._clear()

    def update(self, trial: TrialRecord) -> None:
        """Bring Optuna's copy of a trial up to date."""
        told, wanted = self._told.get(trial.number), self._outcome(trial)
        if told is None:
            self._create(trial)
        elif told == wanted:
            return
        elif told.state is OptunaState.RUNNING:
            self._finish(trial, wanted)
        else:
            # Optuna never touches a finished trial again, but ours was retried.
            self._rebuild()

    @property
    def num_results(self) -> int:
        """Finished trials that samplers learn from."""
        return sum(outcome.state in _LEARNT_FROM for outcome in self._told.values())

    def ask_for(self, number: int) -> FrozenTrial:
        """A trial to sample for, that is no part of the study: nothing stays behind when it is not used."""
        return FrozenTrial(
            number=number, trial_id=self._desk, state=OptunaState.RUNNING, value=None, values=None, params={},
            distributions={}, user_attrs={}, system_attrs={}, intermediate_values={}, datetime_start=_EPOCH_ZERO,
            datetime_complete=None,
        )  # fmt: skip

    def _clear(self) -> None:
        is_minimized = self.mirror.metric.direction == "minimize"
        directions = [StudyDirection.MINIMIZE if is_minimized else StudyDirection.MAXIMIZE]
        self._storage = InMemoryStorage()
        self._study_id = self._storage.create_new_study(directions, study_name="mirror")
        # Samplers note things at the trial that they sample for. It lives in a study of its own.
        desk_id = self._storage.create_new_study(directions, study_name="desk")
        self._desk = self._storage.create_new_trial(desk_id)
        self._ids: dict[int, int] = {}
        self._told: dict[int, _Outcome] = {}
        self.study: Study = optuna.load_study(study_name="mirror", storage=self._storage)

    def _rebuild(self) -> None:
        self._clear()
        for trial in self.mirror.trials:
            self._create(trial)

    def _create(self, trial: TrialRecord) -> None:
        values = internal_values(self.mirror.space, trial.units)
        distributions = {name: self.distributions[name] for name in values}
        template = optuna.trial.create_trial(state=OptunaState.RUNNING, params=values, distributions=distributions)
        self._ids[trial.number] = self._storage.create_new_trial(self._study_id, template_trial=template)
        outcome = self._told[trial.number] = self._outcome(trial)
        if outcome.state is not OptunaState.RUNNING:
            self._finish(trial, outcome)

    def _finish(self, trial: TrialRecord, outcome: _Outcome) -> None:
        trial_id = self._ids[trial.number]
        if outcome.state is OptunaState.PRUNED and outcome.value is not None:
            # Optuna ranks pruned trials by their last step, then by the value there.
            self._storage.set_trial_intermediate_value(trial_id, outcome.epoch, outcome.value)
        values = [outcome.value] if outcome.state is OptunaState.COMPLETE and outcome.value is not None else None
        self._storage.set_trial_state_values(trial_id, outcome.state, values)
        self._told[trial.number] = outcome

    def _outcome(self, trial: TrialRecord) -> _Outcome:
        if not trial.state.is_finished:
            return _Outcome(OptunaState.RUNNING)
        if is_failure(trial):
            return _Outcome(OptunaState.PRUNED)
        if trial.value is None or trial.stop_reason is StopReason.LOST:
            return _Outcome(OptunaState.FAIL)
        state = OptunaState.COMPLETE if trial.state is TrialState.COMPLETE else OptunaState.PRUNED
        return _Outcome(state, trial.value, max(trial.values))


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
