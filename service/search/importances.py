"""Importances: how much each parameter has to do with how good a trial is, in the coordinate of its scale.

What is compared is not the value itself but a trial's place in the study's ranking: the highest rung reached, then the
best value up to it, complete trials above all rungs, and below all those that diverged or failed. So studies whose
pruner lets few trials come to their last epoch have importances too, and one wild value has no weight of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from caviar.contract.analysis import ImportanceMethod
from caviar.contract.space import CategoricalParameter, Space
from caviar.contract.states import TrialState
from service.search.draws import derive
from service.search.mirror import Mirror, TrialRecord
from service.search.optuna_mirror import EPOCH_ZERO, distribution_of, internal_values
from service.search.parameters import AnyParameter, choice_at, is_unordered
from service.search.ranking import Ranking
from service.search.rungs import study_rungs

MIN_TRIALS = 10
"""With fewer, the numbers say nothing."""

# Share of the trials that PED-ANOVA tells from the rest, and the least number of them that its authors advise.
_BEST_SHARE = 0.1
_MIN_BEST = 5
# The forest's cost grows faster than the number of trials; at these sizes it takes about a second.
_MAX_FOREST_TRIALS = 500
_NUM_TREES = 64
_MAX_DEPTH = 8
_MIDDLE = 0.5
# Its multiples fall evenly into [0, 1), however many of them there are.
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class ComparedTrial:
    """A trial as importances see it.

    Attributes:
        units: Unit coordinates in the order of the space's names, None where a parameter does not apply.
        place: In the ranking, from 0, the best; equals share one.
    """

    units: tuple[float | None, ...]
    place: int


@dataclass(frozen=True)
class Compared:
    """What a study's importances are computed from.

    Attributes:
        space: The search space.
        seed: Seed of the study.
        trials: Best first.
    """

    space: Space
    seed: int
    trials: list[ComparedTrial]


@dataclass(frozen=True)
class Importance:
    """How much one parameter matters.

    Attributes:
        importance: Its share of all importances.
        num_trials: Compared trials in which it applies.
    """

    name: str
    importance: float
    num_trials: int


def compared_trials(mirror: Mirror) -> Compared:
    """The trials of a study that have ended or paused with a result, and fit its space."""
    ranking = mirror.index(Ranking, study_rungs(mirror.spec))
    trials: list[ComparedTrial] = []
    last: tuple[int, float] | None = None
    for level, loss, number in ranking.order:
        if _is_settled(mirror.trials[number]):
            place = trials[-1].place if trials and last == (level, loss) else len(trials)
            trials.append(ComparedTrial(tuple(mirror.trials[number].units), place))
            last = level, loss
    failed = [mirror.trials[number] for number in sorted(ranking.failures)]
    worst = len(trials)
    trials += [ComparedTrial(tuple(trial.units), worst) for trial in failed if trial.fits]
    return Compared(mirror.space, mirror.spec.seed, trials)


def importances(compared: Compared, method: ImportanceMethod) -> list[Importance]:
    """How much each parameter matters, the most important first.

    Args:
        compared: At least `MIN_TRIALS` trials.
        method: `ped_anova` asks what tells the best tenth of the trials, at least five, from all of them; `fanova` asks
            how much of the variance of the places each parameter explains by itself.
    Returns:
        Every parameter of the space; importances sum to 1, or are all 0 where all trials share one place.

    Source: Watanabe et al. 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces",
        with the extension to conditional parameters that Optuna cites; Hutter et al. 2014, "An Efficient Approach for
        Assessing Hyperparameter Importance".
    """
    names, trials = compared.space.names, compared.trials
    raw = dict.fromkeys(names, 0.0)
    if len({trial.place for trial in trials}) > 1:
        raw |= _ped_anova(compared) if method is ImportanceMethod.PED_ANOVA else _fanova(compared)
    total = sum(raw.values())
    counts = [sum(trial.units[position] is not None for trial in trials) for position in range(len(names))]
    found = [
        Importance(name, raw[name] / total if total else 0.0, count) for name, count in zip(names, counts, strict=True)
    ]
    return sorted(found, key=lambda item: -item.importance)


class _ComparedStudy(Study):
    """An Optuna study of compared trials, the value of each its place.

    The trials stay out of Optuna's storage, which would take its time to copy them.
    """

    def __init__(self, space: Space, trials: Iterable[ComparedTrial], names: Sequence[str]) -> None:
        storage = InMemoryStorage()
        storage.create_new_study([StudyDirection.MINIMIZE], study_name="importances")
        super().__init__(study_name="importances", storage=storage)
        kept = {name: distribution_of(space, name) for name in names}
        self._compared = []
        for number, trial in enumerate(trials):
            values = internal_values(space, trial.units)
            params = {name: values[name] for name in names if name in values}
            self._compared.append(
                FrozenTrial(
                    number=number, trial_id=number, state=OptunaState.COMPLETE, value=float(trial.place), params=params,
                    distributions={name: kept[name] for name in params}, user_attrs={}, system_attrs={},
                    intermediate_values={}, datetime_start=EPOCH_ZERO, datetime_complete=EPOCH_ZERO,
                )
            )  # fmt: skip

    def get_trials(self, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        """The trials, all of them complete."""
        return self._compared


def _is_settled(trial: TrialRecord) -> bool:
    return trial.state.is_finished or trial.state is TrialState.PAUSED


def _ped_anova(compared: Compared) -> dict[str, float]:
    # Optuna loads scikit-learn with it, which costs a second: the service starts without.
    from optuna.importance import PedAnovaImportanceEvaluator

    trials = compared.trials
    count = max(math.ceil(_BEST_SHARE * len(trials)), _MIN_BEST)
    # Of equals all or none are among the best, and never all there are.
    limit = min(trials[count - 1].place, trials[-1].place - 1)
    num_best = sum(trial.place <= limit for trial in trials)
    # Optuna rounds up the share of the trials; half a trial less makes it their very number.
    evaluator = PedAnovaImportanceEvaluator(target_quantile=(num_best - 0.5) / len(trials))
    study = _ComparedStudy(compared.space, _spread(compared.space, trials), compared.space.names)
    return {name: float(value) for name, value in evaluator.evaluate(study).items()}


def _spread(space: Space, trials: Sequence[ComparedTrial]) -> list[ComparedTrial]:
    # Densities of few distinct numbers differ by their bandwidth alone, which falls with the number of trials. Spread
    # evenly over the cell that each value owns, they are compared as what they are: shares of the range.
    shares = [(index * _GOLDEN_RATIO) % 1 for index in range(len(trials))]
    columns = []
    for position, (_, parameter) in enumerate(space.items()):
        cells: dict[float, tuple[float, float]] = {}
        column: list[float | None] = []
        for trial, share in zip(trials, shares, strict=True):
            unit = trial.units[position]
            if unit is None:
                column.append(None)
                continue
            if unit not in cells:
                cells[unit] = _cell_around(parameter, unit)
            low, high = cells[unit]
            column.append(low + share * (high - low))
        columns.append(column)
    return [ComparedTrial(units, trial.place) for units, trial in zip(zip(*columns, strict=True), trials, strict=True)]


def _cell_around(parameter: AnyParameter, unit: float) -> tuple[float, float]:
    if is_unordered(parameter):
        return unit, unit
    if isinstance(parameter, CategoricalParameter):
        position, count = choice_at(parameter, unit), len(parameter.choices)
        return position / count, (position + 1) / count
    axis = parameter.axis
    if axis.step is None:
        return unit, unit
    value = axis.from_unit(unit)
    return axis.to_unit(value - axis.step / 2), axis.to_unit(value + axis.step / 2)


def _fanova(compared: Compared) -> dict[str, float]:
    from optuna.importance import FanovaImportanceEvaluator

    step = max(1, math.ceil(len(compared.trials) / _MAX_FOREST_TRIALS))
    trials = compared.trials[::step]
    whole = _variance(trials)
    groups: dict[tuple[int, ...], list[str]] = {}
    for position, name in enumerate(compared.space.names):
        applies = tuple(i for i, trial in enumerate(trials) if trial.units[position] is not None)
        groups.setdefault(applies, []).append(name)
    found: dict[str, float] = {}
    for applies, group in groups.items():
        part = [trials[i] for i in applies]
        variance = _variance(part)
        if len(part) < MIN_TRIALS or variance == 0:
            continue
        known = [name for other, names in groups.items() if set(applies) & set(other) for name in names]
        evaluator = FanovaImportanceEvaluator(
            n_trees=_NUM_TREES, max_depth=_MAX_DEPTH, seed=derive(compared.seed, "fanova") % 2**32
        )
        shares = evaluator.evaluate(_ComparedStudy(compared.space, map(_filled, part), known), known)
        # What they explain there counts by as much as those trials contribute to the variance of all.
        weight = len(part) * variance / (len(trials) * whole)
        found |= {name: weight * float(shares[name]) for name in group}
    return found


def _filled(trial: ComparedTrial) -> ComparedTrial:
    # A forest knows no gaps. What other parameters explain must not be laid to those that are asked about, so they are
    # in the forest with the middle of their range where they do not apply.
    return ComparedTrial(tuple(_MIDDLE if unit is None else unit for unit in trial.units), trial.place)


def _variance(trials: Sequence[ComparedTrial]) -> float:
    if not trials:
        return 0.0
    mean = sum(trial.place for trial in trials) / len(trials)
    return sum((trial.place - mean) ** 2 for trial in trials) / len(trials)
