"""How a study's metric goes with two of its parameters."""

from __future__ import annotations

import numpy as np

from caviar.contract.errors import FieldError, InvalidRequest, StateConflict
from caviar.contract.points import Contour, ContourAxis, Points
from caviar.contract.space import CategoricalParameter, Parameter, Space
from caviar.contract.wording import nearest
from service.search import landscape
from service.store.transaction import Transaction
from service.use_cases import access
from service.use_cases.points import points as sample

_PLACES = 40


def contour(tx: Transaction, name: str, x: str, y: str) -> Contour:
    """The metric of a study over two parameters, smoothed over a sample of its trials.

    Args:
        tx: Reads them.
        name: The study.
        x: One parameter.
        y: Another one.
    Raises:
        NotFound: There is no such study (404).
        InvalidRequest: It has no such parameters, or they are the same (422).
        StateConflict: Fewer than 5 of its trials have a value and both parameters (409).
    """
    space = Space.model_validate(access.study(tx, name).spec["space"])
    _check(space, x, y)
    return over(sample(tx, name), space, x, y)


def over(found: Points, space: Space, x: str, y: str) -> Contour:
    """The metric over two parameters, from a sample of trials.

    Raises:
        StateConflict: Fewer than 5 of them have a value and both parameters (409).
    """
    rows = [
        (left, low, value, max(epochs, 1))
        for left, low, value, epochs in zip(found.units[x], found.units[y], found.values, found.epochs, strict=True)
        if left is not None and low is not None and value is not None
    ]
    if len(rows) < landscape.MIN_TRIALS:
        raise StateConflict(
            f"received {len(rows)} trials of study {found.study!r} with a value, {x} and {y}, expected at least "
            f"{landscape.MIN_TRIALS}: ask again later, or choose parameters that apply together"
        )
    table = np.array(rows)
    values = landscape.tamed(table[:, 2], is_minimized=found.metric.direction == "minimize")
    columns, lines = _axis(x, space[x]), _axis(y, space[y])
    is_choice = isinstance(space[x], CategoricalParameter), isinstance(space[y], CategoricalParameter)
    # A trial that was stopped after an epoch says less of its place than one that was trained to the end.
    grid = landscape.smoothed(
        table[:, :2], values, table[:, 3], np.array(columns.units), np.array(lines.units), is_choice=is_choice
    )
    return Contour(
        study=found.study,
        metric=found.metric,
        x=columns,
        y=lines,
        grid=[[None if np.isnan(value) else float(f"{value:.5g}") for value in line] for line in grid],
        num_trials=len(rows),
        how=f"a mean of near trials, weighted by nearness and by epochs trained, over {found.how}",
    )


def _axis(name: str, parameter: Parameter) -> ContourAxis:
    count = parameter.num_values
    if isinstance(parameter, CategoricalParameter) or (count is not None and count <= _PLACES):
        natural = [parameter.value_at(position) for position in range(count or 0)]
        return ContourAxis(name=name, units=[round(parameter.to_unit(value), 4) for value in natural], params=natural)
    units = [round(place / (_PLACES - 1), 4) for place in range(_PLACES)]
    return ContourAxis(name=name, units=units, params=[parameter.from_unit(unit) for unit in units])


def _check(space: Space, x: str, y: str) -> None:
    errors = [
        FieldError(field=field, received=name, expected=f"a parameter of this study{nearest(name, space.names)}")
        for field, name in (("x", x), ("y", y))
        if name not in space
    ]
    if not errors and x == y:
        errors = [FieldError(field="y", received=y, expected="another parameter than x")]
    if errors:
        raise InvalidRequest(f"{len(errors)} parameter(s) were refused", errors=errors)
