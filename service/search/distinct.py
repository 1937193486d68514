"""No configuration twice: the first draw that has no trial yet, or else the nearest configuration that has none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge

from caviar.contract.space import FloatParameter, Params, ParamValue, Space
from service.search.mirror import Mirror
from service.search.parameters import AnyParameter, is_unordered
from service.search.sampler import SpaceExhausted

# What is tried of a continuous parameter once the draw itself is taken: steps away from it, to both sides.
_STEPS_PER_RANGE = 1 << 20


def first_distinct(mirror: Mirror, draws: Iterable[Params]) -> Params:
    """The first of some draws that has no trial yet.

    If all have one, the configurations near the last draw are gone through, each once: the last parameter's values are
    tried first, nearest first, then those of the one before it, and so on. This takes at most one step more than there
    are trials.

    Args:
        mirror: The study.
        draws: Configurations of its space, at least one, made only as far as they are asked for. Each should have its
            own key of chance, so that the result depends on the mirror and the key alone.
    Raises:
        SpaceExhausted: Every configuration of the space has a trial.
        ValueError: There are no draws.
    """
    draw: Params | None = None
    for draw in draws:
        if not mirror.is_taken(draw):
            return draw
    if draw is None:
        raise ValueError("received no draws, expected at least one")
    for params in nearby(mirror.space, draw):
        if not mirror.is_taken(params):
            return params
    raise SpaceExhausted(f"every configuration of the space of study {mirror.spec.name!r} has a trial")


def nearby(space: Space, draw: Params) -> Iterator[Params]:
    """All configurations of a space, each once, beginning with the draw.

    A continuous parameter takes about a million values here, or as many as its range has numbers.
    """
    order = space.parents_first
    units = dict(zip(space.names, space.units_of(draw), strict=True))
    values: Params = {}

    def walk(depth: int) -> Iterator[Params]:
        if depth == len(order):
            yield {name: values[name] for name in space.names if name in values}
            return
        name = order[depth]
        if not space.is_active(name, values):
            yield from walk(depth + 1)
            return
        unit = units[name]
        for value in _by_distance(space[name], draw.get(name), 0.5 if unit is None else unit):
            values[name] = value
            yield from walk(depth + 1)
        del values[name]

    return walk(0)


def _by_distance(parameter: AnyParameter, drawn: ParamValue | None, unit: float) -> Iterator[ParamValue]:
    """Values of a parameter, the drawn one first, then the nearest in its scale's coordinate."""
    count = parameter.num_values
    if isinstance(parameter, FloatParameter) and count is None:
        yield from _continuous(parameter, drawn, unit)
        return
    count = count or 1
    start = parameter.position(parameter.from_unit(unit) if drawn is None else drawn)
    if is_unordered(parameter):
        yield from (parameter.value_at((start + step) % count) for step in range(count))
        return
    yield parameter.value_at(start)
    above = (parameter.value_at(position) for position in range(start + 1, count))
    below = (parameter.value_at(position) for position in range(start - 1, -1, -1))
    yield from merge(above, below, key=lambda value: abs(parameter.to_unit(value) - unit))


def _continuous(parameter: FloatParameter, drawn: ParamValue | None, unit: float) -> Iterator[ParamValue]:
    yield parameter.from_unit(unit) if drawn is None else drawn
    # Between neighbouring numbers there is nothing: of several such parameters the same few would come without end.
    num_steps = max(1, min(_STEPS_PER_RANGE, parameter.axis.resolution // 2))
    for step in range(1, num_steps + 1):
        distance = step / num_steps
        if unit + distance <= 1:
            yield parameter.from_unit(unit + distance)
        if unit - distance >= 0:
            yield parameter.from_unit(unit - distance)
