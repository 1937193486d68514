"""Chance: what a draw depends on, and that it is fair."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.search.draws import derive, uniforms
from service.search.halton import first_primes, halton

SEEDS = st.integers(0, 2**53 - 1)


@given(SEEDS, st.integers(0, 10**6), st.text(max_size=10), st.integers(1, 50))
def test_a_draw_depends_on_its_parts_alone(seed: int, number: int, purpose: str, count: int) -> None:
    first = uniforms(count, seed, number, purpose)
    uniforms(3, seed + 1, number)
    assert uniforms(count, seed, number, purpose) == first
    assert uniforms(count + 5, seed, number, purpose)[:count] == first
    assert all(0 < draw < 1 for draw in first)


@given(SEEDS, st.integers(0, 10**6))
def test_parts_are_not_confused(seed: int, number: int) -> None:
    keys = [derive(seed, number), derive(number, seed, ""), derive(f"{seed}", number), derive(seed, f"{number}")]
    assert len(set(keys)) == len(keys)
    assert derive("a", "b") != derive("ab")


def test_draws_are_stable_for_good() -> None:
    # A study must go on with the same draws after an upgrade of anything.
    assert uniforms(3, 7, 0, "random") == [0.6052471185467743, 0.6366000791026427, 0.23695540974131096]
    assert halton(7, 3, 3) == [0.5811920156711636, 0.9243042348326553, 0.8605049732758436]


def test_draws_have_the_right_distribution() -> None:
    draws = np.array([uniforms(1, 1, number, "test")[0] for number in range(20_000)])
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    # Chi-square with 19 degrees of freedom: above 43.8 once in a thousand, and the draws are fixed.
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8


def test_first_primes() -> None:
    assert first_primes(10) == (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)
    assert len(first_primes(256)) == 256


@given(SEEDS, st.integers(1, 8))
def test_halton_points_lie_evenly_in_every_coordinate(seed: int, dimensions: int) -> None:
    for axis, base in enumerate(first_primes(dimensions)):
        cells = base if base > 3 else base**2
        points = [halton(seed, position, dimensions)[axis] for position in range(cells)]
        assert sorted(int(point * cells) for point in points) == list(range(cells))


@given(SEEDS, st.integers(0, 10**9))
def test_a_halton_point_is_inside_and_depends_on_seed_and_position_alone(seed: int, position: int) -> None:
    point = halton(seed, position, 12)
    assert all(0 <= coordinate < 1 for coordinate in point)
    halton(seed, position + 1, 12)
    assert halton(seed, position, 12) == point
    assert halton(seed + 1, position, 12) != point
