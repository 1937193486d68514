"""Prospects: what a round chooses among, and what it takes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.states import StopReason, TrialState
from caviar.contract.views import RoundView
from service.search import prospects
from service.search.carrying import natural_window
from service.search.mirror import Mirror
from service.search.prospects import Prospects
from service.search.surrogate import Surrogate
from service.search.windows import whole_space
from tests.service.search.studies import SPACE, study

RUNGS = (2, 8)
PLANE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "y": {"type": "float", "low": 0.0, "high": 1.0},
}


def plane(num_trials: int = 15) -> Mirror:
    """Complete trials of a bowl whose least value lies at (0.7, 0.3)."""
    mirror = Mirror(study(space=PLANE))
    for number in range(num_trials):
        x, y = (number * 0.37) % 1, (number * 0.61) % 1
        mirror.add(number, number + 1, {"x": x, "y": y})
        mirror.start(number)
        mirror.measure(number, 16, (x - 0.7) ** 2 + (y - 0.3) ** 2)
        mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    return mirror


def look(
    mirror: Mirror, *, elite: list[int] | None = None, has_model: bool = True, **windows: tuple[float, float]
) -> Prospects:
    surrogate = mirror.index(Surrogate, RUNGS, 120)
    all_windows = whole_space(mirror.space) | {
        name: natural_window(mirror.space[name], low, high, "set by hand")  # type: ignore[arg-type]  # numbers only
        for name, (low, high) in windows.items()
    }
    origin = "manual" if windows else "sampler"
    opened = RoundView(number=1, first_trial=0, elite=elite or [], windows=all_windows, origin=origin)
    model = prospects.learn(surrogate, None) if has_model else None
    return Prospects(mirror, surrogate, opened, spread=2.5, model=model)


@pytest.mark.parametrize(("count", "num_points"), [(1, 4), (2, 5), (3, 5), (4, 3)])
def test_chances_are_those_of_the_best_of_several_picks(count: int, num_points: int) -> None:
    picks = list(itertools.product(range(num_points), repeat=count))
    best = np.bincount([min(pick) for pick in picks], minlength=num_points) / len(picks)
    assert prospects.chances(count, num_points) == pytest.approx(best)


@given(st.integers(1, 5000), st.integers(1, 600))
def test_chances_sum_to_one_and_fall_with_the_rank(count: int, num_points: int) -> None:
    found = prospects.chances(count, num_points)
    assert found.shape == (num_points,)
    assert found.sum() == pytest.approx(1)
    assert (np.diff(found) <= 1e-12).all()


def test_half_of_the_points_lie_anywhere_and_the_others_near_the_elite() -> None:
    mirror = plane()
    points = look(mirror, elite=[4, 7, 12]).points(200, 7, 15)
    alone = look(mirror).points(200, 7, 15)
    assert np.array_equal(look(mirror, elite=[4, 7, 12]).points(200, 7, 15), points)
    assert (points == alone).all(axis=1).sum() == 100
    assert (points[:7] == alone[:7]).all(axis=1).sum() in (3, 4)
    assert not np.array_equal(look(mirror).points(200, 7, 16), alone)


def test_the_most_promising_point_lies_where_losses_are_least() -> None:
    found = look(plane())
    points = found.points(400, 7, 15)
    best = points[found.order(points)[:5]]
    assert np.abs(best - [0.7, 0.3]).max() < 0.25
    assert sorted(found.order(points).tolist()) == list(range(400))


def test_without_a_model_or_a_result_points_stay_as_they_were_drawn() -> None:
    points = look(plane()).points(20, 7, 15)
    assert look(plane(), has_model=False).order(points).tolist() == list(range(20))
    assert look(plane(0)).order(points).tolist() == list(range(20))


def test_pending_trials_are_kept_away_from() -> None:
    mirror = plane()
    first = look(mirror)
    points = first.points(400, 7, 15)
    taken = points[first.order(points)[0]]
    mirror.add(15, 16, mirror.space.params_at(taken.tolist()))
    waiting = look(mirror)
    second = points[waiting.order(points)[0]]
    assert np.linalg.norm(second - taken) > 0.05
    mirror.start(15)
    assert np.array_equal(look(mirror).order(points), waiting.order(points)), "it runs, but nothing is known of it yet"


def test_windows_of_a_person_are_kept_to_and_filled() -> None:
    mirror = plane()
    found = look(mirror, elite=[0, 1, 2], x=(0.2, 0.4))
    points = found.points(500, 7, 15)
    assert (points[:, 0] >= 0.2).all()
    assert (points[:, 0] <= 0.4).all()
    for column, low, high in ((0, 0.2, 0.4), (1, 0.0, 1.0)):
        counts, _ = np.histogram(points[:, column], bins=5, range=(low, high))
        assert counts.min() > 70


def test_the_model_of_a_round_is_plain_data_and_of_another_space_it_says_nothing() -> None:
    mirror = plane()
    surrogate = mirror.index(Surrogate, RUNGS, 120)
    model = prospects.learn(surrogate, None)
    assert model is not None
    assert len(model["lengths"]) == 3, "both parameters and the epoch"
    assert all(float(f"{figure:.6g}") == figure for figure in [*model["lengths"], model["noise_variance"]])
    opened = RoundView(number=1, first_trial=0, elite=[0, 1], windows=whole_space(mirror.space))
    foreign = model | {"lengths": model["lengths"][:2]}
    found = Prospects(mirror, surrogate, opened, spread=2.5, model=foreign)
    assert found.order(found.points(9, 7, 15)).tolist() == list(range(9))
    again = prospects.learn(surrogate, model)
    assert again is not None
    assert again["lengths"] == pytest.approx(model["lengths"], rel=0.3)


def test_there_is_no_model_before_the_first_result() -> None:
    assert prospects.learn(Mirror(study(space=SPACE)).index(Surrogate, RUNGS, 120), None) is None
