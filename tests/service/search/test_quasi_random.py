"""Quasi-random search: even, and the same list whatever happens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import StudySpec
from service.search.mirror import Mirror
from service.search.registry import build_sampler
from service.search.sobol import sobol
from tests.service.search.studies import rebuilt, study

SEEDS = st.integers(0, 2**53 - 1)
SEQUENCES = ["sobol", "halton"]


def spec_of(sequence: str, **changes: object) -> StudySpec:
    return study(strategy={"kind": "quasi_random", "sequence": sequence}, **changes)


def propose(mirror: Mirror) -> None:
    number = len(mirror.trials)
    mirror.add(number, number + 1, build_sampler(mirror.spec).propose(mirror, number).params)


@given(SEEDS, st.integers(1, 8), st.integers(0, 7))
def test_any_aligned_run_of_sobol_points_lies_evenly_in_every_coordinate(seed: int, dimensions: int, bits: int) -> None:
    count = 1 << bits
    first = 2048 - count
    points = np.array([sobol(seed, first + position, dimensions) for position in range(count)])
    assert points.shape == (count, dimensions)
    for axis in range(dimensions):
        assert sorted((points[:, axis] * count).astype(int)) == list(range(count))


@given(SEEDS, st.integers(0, 10**6))
def test_a_sobol_point_is_inside_and_depends_on_seed_and_position_alone(seed: int, position: int) -> None:
    point = sobol(seed, position, 5)
    assert all(0 < coordinate < 1 for coordinate in point)
    sobol(seed, 3, 5)
    assert sobol(seed, position, 5) == point
    assert sobol(seed + 1, position, 5) != point


def test_sobol_points_are_stable_for_good() -> None:
    # A study must go on with the same draws after an upgrade of anything.
    assert sobol(7, 3, 3) == [0.0285599404014647, 0.7293018945492804, 0.021147124003618956]


def test_sobol_points_cover_the_cube_as_well_as_scipys_own() -> None:
    ours = np.mean([qmc.discrepancy([sobol(seed, i, 5) for i in range(256)]) for seed in range(8)])
    theirs = np.mean([qmc.discrepancy(qmc.Sobol(5, rng=seed).random(256)) for seed in range(8)])
    by_chance = np.mean([qmc.discrepancy(np.random.default_rng(seed).random((256, 5))) for seed in range(8)])
    assert ours < 1.2 * theirs < 0.5 * by_chance


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_results_restarts_and_a_persons_trials_change_nothing(sequence: str) -> None:
    plain, busy = Mirror(spec_of(sequence)), Mirror(spec_of(sequence))
    for _ in range(12):
        propose(plain)
    for turn in range(12):
        if turn % 3 == 0:
            own = busy.space.params_at([turn / 12] * len(busy.space))
            busy.add(len(busy.trials), len(busy.trials) + 1, own, is_proposed=False)
        propose(busy)
        number = len(busy.trials) - 1
        busy.start(number)
        busy.measure(number, 1, float(turn))
        busy.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
        busy = rebuilt(busy)
    assert [trial.params for trial in busy.trials if trial.is_proposed] == [trial.params for trial in plain.trials]


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_another_seed_is_another_list(sequence: str) -> None:
    one, other = Mirror(spec_of(sequence, seed=1)), Mirror(spec_of(sequence, seed=2))
    for _ in range(4):
        propose(one)
        propose(other)
    assert all(mine.params != theirs.params for mine, theirs in zip(one.trials, other.trials, strict=True))


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_every_proposal_fits_the_space(sequence: str) -> None:
    mirror = Mirror(spec_of(sequence))
    for _ in range(64):
        propose(mirror)
        params = mirror.trials[-1].params
        assert mirror.space.check(params) == params
    # Each quarter of a range gets a quarter of the trials.
    quarters = [int(4 * (trial.units[0] or 0)) for trial in mirror.trials]
    allowed = range(16, 17) if sequence == "sobol" else range(14, 19)
    assert all(quarters.count(quarter) in allowed for quarter in range(4))
