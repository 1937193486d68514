"""Round natural values along the scale of a parameter."""

from __future__ import annotations

import math
from collections.abc import Iterator

from caviar.contract.space import FloatParameter, IntParameter
from service.web import formats
from service.web.pictures.axes import Tick

_MIN_GAP = 0.17
_FEW, _MOST = 3, 6


def scale_ticks(parameter: FloatParameter | IntParameter, min_gap: float = _MIN_GAP) -> list[Tick]:
    """Round values of a parameter with their places on its scale, in percent, rising.

    The roundest values come first; others follow where they leave room for their labels.

    Args:
        parameter: Its range and scale.
        min_gap: Least distance of two ticks, as a share of the width.
    """
    taken = _taken(parameter, _candidates(parameter), min_gap)
    if len(taken) < _FEW:
        taken = _taken(parameter, _linear(parameter), min_gap)
    return [Tick(round(100 * place, 2), _label(parameter, value)) for place, value in sorted(taken.items())]


def _taken(parameter: FloatParameter | IntParameter, candidates: Iterator[float], min_gap: float) -> dict[float, float]:
    taken: dict[float, float] = {}
    for value in candidates:
        if not parameter.low <= value <= parameter.high:
            continue
        place = parameter.to_unit(value)
        if all(abs(place - other) >= min_gap for other in taken):
            taken[place] = value
    return taken


def _label(parameter: FloatParameter | IntParameter, value: float) -> str:
    return formats.parameter(int(value) if parameter.type == "int" else float(value), parameter.scale)


def _candidates(parameter: FloatParameter | IntParameter) -> Iterator[float]:
    """Values from the roundest on."""
    if parameter.scale == "log":
        yield from _powers_of_two(parameter)
        yield from _decades(parameter.low, parameter.high)
    elif parameter.scale == "reverse_log":
        yield from (1 - value for value in _decades(1 - parameter.high, 1 - parameter.low))
    elif parameter.scale == "logit":
        yield 0.5
        for value in _decades(min(parameter.low, 1 - parameter.high), 0.5):
            yield from (value, 1 - value)
    else:
        yield from _linear(parameter)


def _powers_of_two(parameter: FloatParameter | IntParameter) -> Iterator[float]:
    if parameter.type == "int" and math.log2(parameter.low).is_integer() and math.log2(parameter.high).is_integer():
        first, last = int(math.log2(parameter.low)), int(math.log2(parameter.high))
        yield from (2.0**power for power in (first, last, *range(first, last)))


def _decades(low: float, high: float) -> Iterator[float]:
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (3,), (5,), (2,)):
        for exponent in exponents:
            yield from (float(f"{factor}e{exponent}") for factor in factors)


def _linear(parameter: FloatParameter | IntParameter) -> Iterator[float]:
    """Multiples of the smallest round step of which at most seven fit."""
    width = parameter.high - parameter.low
    power = 10.0 ** math.floor(math.log10(width))
    steps = [power * factor for factor in (0.1, 0.2, 0.5, 1, 2, 5) if parameter.type == "float" or power * factor >= 1]
    step = next(step for step in steps if width / step <= _MOST)
    first, last = math.ceil(parameter.low / step - 1e-9), math.floor(parameter.high / step + 1e-9)
    yield from (float(f"{position * step:.12g}") for position in range(first, last + 1))
