"""Coarse to fine as a sampler of Optuna, for studies that Optuna runs."""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from caviar.contract.space import Params
from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import StudySpec
from caviar.contract.views import RoundView
from service.search.draws import derive
from service.search.mirror import Mirror
from service.search.optuna_space import OptunaSpace, is_searchable, searchable
from service.search.registry import build_sampler
from service.search.sampler import SpaceExhausted

_MAX_SEED = 2**53
# Optuna's studies have no last epoch. These are the rungs that steps of unlike trials are compared at: 1, 4, 16, ….
_MAX_EPOCHS = 1_000_000
_RUNGS = {"kind": "asha", "min_resource": 1, "reduction_factor": 4}


class CoarseToFineSampler(BaseSampler):
    """Searches near the best trials so far, in steps that narrow by themselves.

    Use it as `optuna.create_study(sampler=CoarseToFineSampler(seed=1))`. Parameters that every trial has are drawn
    together; the others, and all of the first trial, one by one. Pruned trials count by the steps they have reported,
    compared with others at the same step. A draw depends on the seed, the trial's number and the trials before it.

    A round is kept as a system attribute of the trial that opened it, so it is the same for all threads and processes
    of a study, and after a restart.

    Args:
        seed: Seed of every draw, 0 to 2**53 - 1; None for a new one.
        options: Those of the strategy `coarse_to_fine`, such as `startup_trials`.
    Raises:
        InvalidRequest: An option is unknown or out of range.
        ValueError: The seed is out of range.
    """

    _common: tuple[str, IntersectionSearchSpace]
    _followers: dict[tuple[str, str, bool], _Follower]

    def __init__(self, *, seed: int | None = None, **options: Any) -> None:
        if seed is not None and not 0 <= seed < _MAX_SEED:
            raise ValueError(f"received the seed {seed}, expected a whole number from 0 to {_MAX_SEED - 1}, or None")
        self._seed = secrets.randbelow(_MAX_SEED) if seed is None else seed
        self._options = options
        # The engine knows its options alone; the space is there for the sake of the form.
        space = OptunaSpace({"x": FloatDistribution(0.0, 1.0)})
        self._engine = build_sampler(_spec(space, self._seed, options, is_minimized=True))
        self._set_up()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that all trials with results have."""
        with self._lock:
            name, space = self._common
            if name != study.study_name:
                space = IntersectionSearchSpace(include_pruned=True)
                self._common = study.study_name, space
            return searchable(space.calculate(study))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A configuration of the parameters that all trials have.

        Raises:
            ValueError: The study has more than one objective.
        """
        self._raise_error_if_multi_objective(study)
        wanted = searchable(search_space)
        return self._propose(study, trial, wanted, self._seed) if wanted else {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of one parameter, from the trials that have it.

        Raises:
            ValueError: The study has more than one objective.
        """
        self._raise_error_if_multi_objective(study)
        seed = derive(self._seed, "alone", param_name) % _MAX_SEED
        if not is_searchable(param_distribution):
            chance = RandomSampler(seed=derive(seed, trial.number) % 2**32)
            return chance.sample_independent(study, trial, param_name, param_distribution)
        return self._propose(study, trial, {param_name: param_distribution}, seed, may_repeat=True)[param_name]

    def __getstate__(self) -> dict[str, Any]:
        """What a copy needs; mirrors and locks are made anew."""
        return {"_seed": self._seed, "_options": self._options, "_engine": self._engine}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a copy ready."""
        self.__dict__.update(state)
        self._set_up()

    def _set_up(self) -> None:
        self._lock = threading.Lock()
        self._common = "", IntersectionSearchSpace(include_pruned=True)
        self._followers = {}

    def _propose(
        self,
        study: Study,
        trial: FrozenTrial,
        distributions: Mapping[str, BaseDistribution],
        seed: int,
        *,
        may_repeat: bool = False,
    ) -> dict[str, Any]:
        space = OptunaSpace(distributions)
        trials = study.get_trials(deepcopy=False)[: trial.number]
        with self._lock:
            try:
                mirror = self._mirror(study, space, seed, trials, may_repeat)
                proposal = self._engine.propose(mirror, trial.number)
            except SpaceExhausted:
                # Optuna's studies go on, so configurations come again.
                mirror = self._mirror(study, space, seed, trials, may_repeat=True)
                proposal = self._engine.propose(mirror, trial.number)
        if proposal.opened is not None:
            opened = proposal.opened.model_dump(mode="json")
            study._storage.set_trial_system_attr(trial._trial_id, _round_key(space), opened)
        return space.outward(proposal.params)

    def _mirror(
        self, study: Study, space: OptunaSpace, seed: int, trials: list[FrozenTrial], may_repeat: bool
    ) -> Mirror:
        key = study.study_name, space.digest, may_repeat
        follower = self._followers.get(key)
        if follower is None or not follower.follow(trials):
            spec = _spec(space, seed, self._options, is_minimized=study.direction == StudyDirection.MINIMIZE)
            follower = self._followers[key] = _Follower(space, spec, may_repeat)
            follower.follow(trials)
        return follower.mirror


class _RepeatingMirror(Mirror):
    """A mirror in which no configuration counts as taken."""

    def is_taken(self, params: Params) -> bool:
        return False


class _Follower:
    """A mirror that is kept up with the trials of an Optuna study.

    Attributes:
        mirror: What samplers of ours look at.
    """

    def __init__(self, space: OptunaSpace, spec: StudySpec, may_repeat: bool) -> None:
        self.mirror = _RepeatingMirror(spec) if may_repeat else Mirror(spec)
        self._space = space
        self._open: list[int] = []

    def follow(self, trials: list[FrozenTrial]) -> bool:
        """Take in what is new; False if what is known has changed in a way that takes a new mirror."""
        known = self.mirror.trials
        if known and (len(trials) < len(known) or trials[len(known) - 1]._trial_id != known[-1].trial_id):
            return False
        if any(self._space.inward(trials[number]) != known[number].params for number in self._open):
            return False
        for trial in trials[len(known) :]:
            params = self._space.inward(trial)
            self.mirror.add(trial.number, trial._trial_id, params, is_proposed="fixed_params" not in trial.system_attrs)
            self._open.append(trial.number)
        for number in self._open:
            self._update(trials[number])
        self._open = [number for number in self._open if not trials[number].state.is_finished()]
        return True

    def _update(self, trial: FrozenTrial) -> None:
        opened = trial.system_attrs.get(_round_key(self._space))
        # Of trials that opened a round at the same time, the first counts.
        if opened is not None and opened["number"] == len(self.mirror.rounds):
            self.mirror.open_round(RoundView.model_validate(opened))
        if trial.state is OptunaState.WAITING:
            return
        number = trial.number
        if self.mirror.trials[number].state is TrialState.WAITING:
            self.mirror.start(number)
        for step, value in sorted(trial.intermediate_values.items()):
            # Steps count from 0.
            if step + 1 not in self.mirror.trials[number].values and math.isfinite(value):
                self.mirror.measure(number, step + 1, value)
        if trial.state.is_finished():
            self._end(trial)

    def _end(self, trial: FrozenTrial) -> None:
        number, mirror = trial.number, self.mirror
        if trial.state is OptunaState.FAIL:
            mirror.end(number, TrialState.FAILED, StopReason.LOST)
        elif trial.state is OptunaState.PRUNED and mirror.trials[number].value is not None:
            mirror.end(number, TrialState.PRUNED, StopReason.PRUNED)
        elif trial.state is OptunaState.COMPLETE and trial.value is not None and math.isfinite(trial.value):
            # In Optuna a trial is worth what it returned, whatever it reported on the way.
            mirror.start(number)
            mirror.measure(number, _MAX_EPOCHS, trial.value)
            mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
        else:
            mirror.end(number, TrialState.FAILED, StopReason.DIVERGED)


def _spec(space: OptunaSpace, seed: int, options: Mapping[str, Any], *, is_minimized: bool) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "optuna",
            "objective": {"name": "optuna"},
            "metric": {"direction": "minimize" if is_minimized else "maximize"},
            "space": space.space,
            "strategy": {**options, "kind": "coarse_to_fine"},
            "pruner": _RUNGS,
            "budget": {"max_trials": None, "max_seconds": 1e9, "max_epochs": _MAX_EPOCHS},
            "seed": seed,
        }
    )


def _round_key(space: OptunaSpace) -> str:
    return f"caviar:round:{space.digest}"
