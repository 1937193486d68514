"""Landscapes: means of what is near, nothing where nothing is, and no single diverged trial that rules the picture."""

from __future__ import annotations

import numpy as np
import pytest

from service.search.landscape import smoothed, tamed

MIDDLE = np.array([0.5])


def test_a_place_has_the_mean_of_the_trials_around_it_by_their_trust() -> None:
    points = np.array([[0.5, 0.5], [0.5, 0.5]])
    values = np.array([1.0, 4.0])
    for trust, expected in (([1.0, 1.0], 2.5), ([2.0, 1.0], 2.0)):
        found = smoothed(points, values, np.array(trust), MIDDLE, MIDDLE, is_choice=(False, False))
        assert found == pytest.approx(np.array([[expected]]))


def test_the_nearer_trial_weighs_more_and_far_places_are_empty() -> None:
    points = np.array([[0.5, 0.48], [0.5, 0.54]])
    values, trust = np.array([1.0, 2.0]), np.ones(2)
    [[near], [far]] = smoothed(points, values, trust, MIDDLE, np.array([0.5, 0.9]), is_choice=(False, False))
    assert 1.0 < near < 1.5
    assert np.isnan(far)


def test_choices_have_nothing_to_do_with_each_other() -> None:
    points = np.array([[0.25, 0.5], [0.75, 0.5]])
    values, trust = np.array([1.0, 2.0]), np.ones(2)
    [row] = smoothed(points, values, trust, np.array([0.25, 0.5, 0.75]), MIDDLE, is_choice=(True, False))
    assert (row[0], row[2]) == (1.0, 2.0)
    assert np.isnan(row[1])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_values_far_off_are_moved_to_the_fence_at_the_worse_end_only(sign: float) -> None:
    values = sign * np.array([-100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1e9])
    found = sign * tamed(values, is_minimized=sign > 0)
    assert found[:-1].tolist() == [-100.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert found[-1] == 4.5 + 3 * (4.5 - 1.5)
