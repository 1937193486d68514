"""A compact sample of trials for pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from caviar.contract.points import Points
from caviar.contract.space import CategoricalParameter, Parameter, ParamValue, Space
from caviar.contract.states import TrialState
from caviar.contract.study import Metric, StudySpec
from service.store import samples
from service.store.transaction import Record, Transaction
from service.use_cases import access

MAX_POINTS = 5000
USUAL_POINTS = 2000
# Under half a megabyte in any case, with some room for the rest of the answer.
_MAX_BYTES = 480_000
_BYTES_PER_TRIAL = 80
_BYTES_PER_NUMBER = 14
_BYTES_PER_NUMBER_NEAR_ONE = 21
_BYTES_PER_UNIT = 8
_DIGITS = 6
_NEAR_ONE = ("reverse_log", "logit")


def points(tx: Transaction, name: str, *, limit: int = USUAL_POINTS, states: Sequence[TrialState] = ()) -> Points:
    """A sample of a study's trials: the best ones, those that run, and an even part of all.

    Args:
        tx: Reads them.
        name: The study.
        limit: At most this many trials; fewer where the space has so many parameters that they would take 500 kB.
        states: Only trials in these states; all without any.
    Raises:
        NotFound: There is no such study (404).
    """
    row = access.study(tx, name)
    spec = StudySpec.model_validate(row.spec)
    metric, space = Metric.model_validate(row.spec["metric"]), Space.model_validate(row.spec["space"])
    is_minimized = spec.metric.direction == "minimize"
    sample = samples.chosen(tx, row.id, is_minimized=is_minimized, limit=min(limit, _max_trials(space)), states=states)
    rows = samples.facts(tx, sample.ids)
    columns = {name: _column(parameter, name, rows) for name, parameter in space.items()}
    return Points.model_construct(
        study=name,
        metric=metric,
        total=sample.total,
        num_shown=len(rows),
        how=sample.how,
        trial_ids=[one.id for one in rows],
        numbers=[one.number for one in rows],
        states=[TrialState(one.state) for one in rows],
        rounds=[one.round for one in rows],
        values=[one.value for one in rows],
        epochs=[one.num_epochs for one in rows],
        params={name: natural for name, (natural, _) in columns.items()},
        units={name: units for name, (_, units) in columns.items()},
    )


def shortened(parameter: Parameter, value: float) -> float:
    """A value with its first 6 digits; on the scales that resolve the way to 1, with those of its distance to 1."""
    is_near_one = getattr(parameter, "scale", "") in _NEAR_ONE and value < 1
    distance = min(abs(value), 1 - value) if is_near_one else abs(value)
    return value if distance == 0 else round(value, _DIGITS - 1 - math.floor(math.log10(distance)))


def _max_trials(space: Space) -> int:
    """How many trials fit into an answer, whatever their values are."""
    size = _BYTES_PER_TRIAL + sum(_max_bytes(parameter) + _BYTES_PER_UNIT for _, parameter in space.items())
    return max(4, _MAX_BYTES // size)


def _max_bytes(parameter: Parameter) -> int:
    if isinstance(parameter, CategoricalParameter):
        return max(len(json.dumps(choice)) for choice in parameter.choices) + 1
    return _BYTES_PER_NUMBER_NEAR_ONE if parameter.scale in _NEAR_ONE else _BYTES_PER_NUMBER


def _column(
    parameter: Parameter, name: str, rows: Sequence[Record]
) -> tuple[list[ParamValue | None], list[float | None]]:
    place = _placing(parameter)
    stored = [row.params.get(name) for row in rows]
    natural = [shortened(parameter, value) if isinstance(value, float) else value for value in stored]
    return natural, [None if value is None else place(value) for value in stored]


def _placing(parameter: Parameter) -> Callable[[Any], float | None]:
    """`to_unit` for many values; None for one from before the parameter was edited."""
    if isinstance(parameter, CategoricalParameter):
        return lambda value: None if parameter.refuse(value) is not None else round(parameter.to_unit(value), 4)
    axis = parameter.axis
    forward = axis.scale.forward
    start, end = map(forward, axis.edges)

    def place(value: Any) -> float | None:
        if isinstance(value, (bool, str)) or not axis.low <= value <= axis.high:
            return None
        return round((forward(value) - start) / (end - start), 4)

    return place
