"""Grid search: which values, how many configurations, and each of them once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.errors import InvalidRequest
from caviar.contract.space import Params, Space
from service.search.grid import Grid, shuffled
from service.search.mirror import Mirror
from service.search.registry import build_sampler
from service.search.sampler import SpaceExhausted
from tests.caviar.contract.spaces import spaces
from tests.service.search.studies import SPACE, study


def all_of(mirror: Mirror) -> list[Params]:
    sampler = build_sampler(mirror.spec)
    found: list[Params] = []
    while True:
        try:
            params = sampler.propose(mirror, len(mirror.trials)).params
        except SpaceExhausted:
            return found
        found.append(params)
        mirror.add(len(mirror.trials), len(mirror.trials) + 1, params)


@given(st.integers(0, 2**53 - 1), st.integers(1, 300))
def test_the_order_is_a_permutation(seed: int, size: int) -> None:
    assert sorted(shuffled(seed, position, size) for position in range(size)) == list(range(size))


def test_the_order_is_shuffled_by_the_seed_for_good() -> None:
    assert [shuffled(7, position, 1000) for position in range(5)] == [116, 593, 161, 320, 280]
    assert [shuffled(8, position, 1000) for position in range(5)] != [116, 593, 161, 320, 280]


def test_values_are_evenly_spread_in_the_scale_and_end_at_the_ends() -> None:
    grid = Grid(Space.model_validate(SPACE), {"keep": 3, "learning_rate": [0.5, 0.01], "beta_1": 3}, 2)
    assert grid.values == {
        "learning_rate": [0.5, 0.01],
        "beta_1": [0.9, 0.99, 0.999],
        "num_layers": [1, 2, 3, 4],
        "units": [16, 512],
        "dropout": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
        "keep": [0.01, 0.5, 0.99],
        "optimizer": ["sgd", "rmsprop", "adam"],
        "size": ["s", "m", "l", "xl"],
        "momentum": [0.5, 0.99],
        "is_nesterov": [True, False],
    }
    # With sgd there are momentum and is_nesterov, with the two others neither.
    assert grid.size == 2 * 3 * 4 * 2 * 6 * 3 * 4 * (2 * 2 + 2)


@pytest.mark.parametrize(
    ("points", "expected"),
    [(None, [16, 38, 91, 215, 512]), (3, [16, 91, 512]), (1, [91]), (600, list(range(16, 513))), ([20, 17], [20, 17])],
)
def test_points_of_a_whole_number(points: Any, expected: list[int]) -> None:
    space = Space.model_validate({"units": SPACE["units"]})
    assert Grid(space, {} if points is None else {"units": points}, 5).values["units"] == expected


@given(spaces(), st.integers(1, 7))
def test_all_values_of_a_grid_are_of_the_space(space: Space, default_points: int) -> None:
    try:
        grid = Grid(space, {}, default_points)
    except InvalidRequest as error:
        assert "configurations" in str(error)  # noqa: PT017 - a large grid is refused, and that is all right
        return
    for name, values in grid.values.items():
        assert all(space[name].refuse(value) is None for value in values)
    for position in {0, grid.size // 2, grid.size - 1}:
        params = grid.params(position)
        assert space.check(params) == params
        assert grid.holds(params)


def test_every_configuration_comes_once_in_an_order_of_the_seed() -> None:
    space = {name: SPACE[name] for name in ("learning_rate", "num_layers", "optimizer", "is_nesterov")}
    lists = []
    for seed in (1, 1, 2):
        mirror = Mirror(study(space=space, strategy={"kind": "grid", "points": {"learning_rate": 3}}, seed=seed))
        lists.append(all_of(mirror))
        assert len(lists[-1]) == 3 * 4 * 4
        assert len({tuple(trial.units) for trial in mirror.trials}) == 48
    assert lists[0] == lists[1] != lists[2]
    # An early end has seen all of every parameter.
    assert {params["learning_rate"] for params in lists[0][:16]} == {0.0001, 0.01, 1.0}


def test_what_a_person_tried_is_passed_over() -> None:
    space = {name: SPACE[name] for name in ("num_layers", "optimizer")}
    mirror = Mirror(study(space=space, strategy={"kind": "grid"}))
    for layers in (1, 2, 3):
        mirror.add(layers - 1, layers, {"num_layers": layers, "optimizer": "adam"}, is_proposed=False)
    assert len(all_of(mirror)) == 9
    assert len({tuple(trial.units) for trial in mirror.trials}) == 12


@pytest.mark.parametrize(
    ("options", "field", "received", "expected"),
    [
        (
            {"points": {"learning_rat": 3}},
            "strategy.points.learning_rat",
            "learning_rat",
            "the name of a parameter of this space; did you mean 'learning_rate'?",
        ),
        ({"points": {"units": [16, 513]}}, "strategy.points.units.1", 513, "a number in [16, 512]"),
        ({"points": {"units": [16, 16]}}, "strategy.points.units.1", 16, "values of which no two are equal"),
        (
            {"points": {"optimizer": 2}},
            "strategy.points.optimizer",
            2,
            "a list of choices; left out, all of them are tried",
        ),
        ({"points": {"units": 0}}, "strategy.points.units", 0, "a number of at least 1, or a list"),
    ],
)
def test_points_that_do_not_fit_are_refused(
    options: dict[str, Any], field: str, received: object, expected: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build_sampler(study(strategy={"kind": "grid"} | options))
    [error] = caught.value.errors
    assert (error.field, error.received) == (field, received)
    assert error.expected == expected


def test_a_grid_that_is_too_large_is_refused_with_what_makes_it_so() -> None:
    with pytest.raises(InvalidRequest) as caught:
        build_sampler(study(strategy={"kind": "grid", "points": {"size": ["s"], "momentum": 3}, "default_points": 50}))
    [error] = caught.value.errors
    assert error.field == "strategy.points"
    # 50**4 for the continuous ones and units, 4 layers, 6 times dropout, and 3 * 2 + 1 + 1 for the optimizers.
    assert error.received == "a grid of 1,200,000,000 configurations"
    assert error.expected == (
        "a grid of at most 1,000,000 configurations; most come from learning_rate (50 values), beta_1 (50 values), "
        "units (50 values), keep (50 values), dropout (6 values), num_layers (4 values): give fewer points for some of "
        "them, or strategy quasi_random, which covers any space evenly; default_points 8 makes 786,432"
    )
