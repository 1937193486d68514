"""No configuration twice, and an end when none is left."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.space import Params, Space
from caviar.contract.study import StudySpec
from service.search.distinct import first_distinct, nearby
from service.search.mirror import Mirror
from service.search.registry import SAMPLERS, build_sampler
from service.search.sampler import SpaceExhausted
from tests.caviar.contract.spaces import UNIT, small_spaces, spaces
from tests.service.search.studies import SPACE, study

FINITE = {
    "layers": {"type": "int", "low": 1, "high": 4},
    "units": {"type": "int", "low": 16, "high": 64, "scale": "log", "step": 16},
    "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
    "nesterov": {"type": "categorical", "choices": [True, False], "when": {"optimizer": ["sgd"]}},
}


def add(mirror: Mirror, params: Params) -> None:
    number = len(mirror.trials)
    mirror.add(number, number + 1, params)


@given(small_spaces(), st.data())
def test_all_configurations_are_gone_through_once(space: Space, data: st.DataObject) -> None:
    draw = space.params_at(data.draw(st.lists(UNIT, min_size=len(space), max_size=len(space))))
    found = list(nearby(space, draw))
    assert repr(found[0]) == repr(draw)
    assert len({tuple(space.units_of(params)) for params in found}) == len(found) == space.num_configurations
    for params in found:
        assert space.check(params) == params


@given(spaces(), st.data())
def test_there_is_always_another_nearby_in_any_larger_space(space: Space, data: st.DataObject) -> None:
    draw = space.params_at(data.draw(st.lists(UNIT, min_size=len(space), max_size=len(space))))
    wanted = min(30, space.num_configurations or 30)
    found: list[Params] = []
    for params in nearby(space, draw):
        found.append(params)
        if len(found) == wanted:
            break
    assert len(found) == wanted
    for params in found:
        assert space.check(params) == params


def test_the_nearest_come_first() -> None:
    space = Space.model_validate(
        {
            "n": {"type": "int", "low": 1, "high": 16, "scale": "log"},
            "c": {"type": "categorical", "choices": ["a", "b"]},
        }
    )
    found = [(params["n"], params["c"]) for params in nearby(space, {"n": 4, "c": "b"})]
    assert found[:8] == [(4, "b"), (4, "a"), (5, "b"), (5, "a"), (3, "b"), (3, "a"), (6, "b"), (6, "a")]


def test_draws_are_made_only_as_far_as_needed() -> None:
    mirror = Mirror(study(space=FINITE))
    made = []

    def draws() -> Iterator[Params]:
        for unit in (0.1, 0.6, 0.9):
            made.append(unit)
            yield mirror.space.params_at([unit] * 4)

    assert first_distinct(mirror, draws()) == mirror.space.params_at([0.1] * 4)
    add(mirror, mirror.space.params_at([0.1] * 4))
    assert first_distinct(mirror, draws()) == mirror.space.params_at([0.6] * 4)
    assert made == [0.1, 0.1, 0.6]
    with pytest.raises(ValueError, match="no draws"):
        first_distinct(mirror, iter([]))


@pytest.mark.parametrize("kind", sorted(SAMPLERS))
def test_every_strategy_tries_everything_once_and_then_says_so(kind: str) -> None:
    mirror = Mirror(study(space=FINITE, strategy={"kind": kind}, budget={"max_trials": 40, "max_epochs": 4}))
    sampler = build_sampler(mirror.spec)
    assert mirror.space.num_configurations == 48
    # One that a person has tried before counts.
    mirror.add(0, 1, {"layers": 1, "units": 16, "optimizer": "adam"}, is_proposed=False)
    for number in range(1, 48):
        proposal = sampler.propose(mirror, number)
        if proposal.opened is not None:
            mirror.open_round(proposal.opened)
        assert not mirror.is_taken(proposal.params)
        mirror.add(number, number + 1, proposal.params, round=proposal.round)
        mirror.start(number)
        mirror.measure(number, 2, float(number % 7))
        if number % 3:
            mirror.pause(number)
    with pytest.raises(SpaceExhausted, match=r"(have|has) a trial"):
        sampler.propose(mirror, 48)


def test_a_continuous_parameter_always_has_another_value() -> None:
    mirror = Mirror(study(space=SPACE))
    draw = mirror.space.params_at([0.0] * len(mirror.space))
    for _ in range(5):
        add(mirror, first_distinct(mirror, [draw]))
    assert len({tuple(trial.units) for trial in mirror.trials}) == 5


def test_a_space_of_neighbouring_numbers_is_gone_through_and_then_exhausted() -> None:
    low = 0.5
    narrow = {"type": "float", "low": low, "high": math.nextafter(low, 1.0)}
    spec = StudySpec.model_validate(
        {"name": "s", "objective": {"name": "o"}, "space": dict.fromkeys("abc", narrow), "strategy": {"kind": "random"}}
    )
    sampler, mirror = build_sampler(spec), Mirror(spec)
    for number in range(8):
        mirror.add(number, number + 1, sampler.propose(mirror, number).params)
    assert len({tuple(trial.params.values()) for trial in mirror.trials}) == 8
    with pytest.raises(SpaceExhausted):
        sampler.propose(mirror, 8)
