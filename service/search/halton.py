"""Quasi-random points: the Halton sequence with randomly permuted digits.

Any first n points lie evenly in every coordinate, and each point is a function of seed and position alone.

Source: Halton 1960; Owen 2017, "A randomized Halton algorithm in R", for the scrambling.
"""

from __future__ import annotations

from functools import cache, lru_cache

from service.search.draws import uniforms

# Digits are permuted down to cells of this size; within a cell the point lies anywhere.
_CELL = 2.0**-20


@cache
def first_primes(count: int) -> tuple[int, ...]:
    """The first primes."""
    primes: list[int] = []
    candidate = 2
    while len(primes) < count:
        if all(candidate % prime for prime in primes if prime * prime <= candidate):
            primes.append(candidate)
        candidate += 1
    return tuple(primes)


@lru_cache(maxsize=4096)
def _permutations(seed: int, base: int) -> tuple[tuple[int, ...], ...]:
    levels = 1
    while base**-levels > _CELL:
        levels += 1
    keys = uniforms(levels * base, seed, "halton digits", base)
    by_level = (keys[level * base : (level + 1) * base] for level in range(levels))
    return tuple(tuple(sorted(range(base), key=level_keys.__getitem__)) for level_keys in by_level)


def _coordinate(seed: int, position: int, base: int, jitter: float) -> float:
    value, weight = 0.0, 1.0
    for permutation in _permutations(seed, base):
        position, digit = divmod(position, base)
        weight /= base
        value += weight * permutation[digit]
    return value + weight * jitter


def halton(seed: int, position: int, dimensions: int) -> list[float]:
    """A point of the scrambled sequence.

    Args:
        seed: Seed of the scrambling.
        position: Which point, from 0.
        dimensions: Number of coordinates.
    Returns:
        Coordinates in (0, 1), shape `(dimensions,)`.
    """
    jitters = uniforms(dimensions, seed, "halton cell", position)
    return [
        _coordinate(seed, position, base, jitter)
        for base, jitter in zip(first_primes(dimensions), jitters, strict=True)
    ]
