"""Quasi-random points: the Sobol sequence with a random linear scramble and a random shift.

Any first 2**k points lie evenly, in every coordinate and in pairs of them. Each point is a function of seed and
position alone. The sequence is SciPy's without its scrambling, whose draws may change with NumPy; ours are stable for
good.

Source: Joe and Kuo 2008, "Constructing Sobol sequences with better two-dimensional projections"; Matoušek 1998, "On the
    L2-discrepancy for anchored boxes", for the scramble.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from service.search.draws import derive

Words = npt.NDArray[np.uint64]

_BITS = 30
_BLOCK = 1024
MAX_POINTS = 1 << _BITS
"""Length of the sequence."""


def sobol(seed: int, position: int, dimensions: int) -> list[float]:
    """A point of the scrambled sequence.

    Args:
        seed: Seed of the scrambling.
        position: Which point, from 0 and below 2**30.
        dimensions: Number of coordinates.
    Returns:
        Coordinates in (0, 1), shape `(dimensions,)`.
    """
    block, row = divmod(position, _BLOCK)
    point: list[float] = _points(seed, block, dimensions)[row].tolist()
    return point


@lru_cache(maxsize=64)
def _points(seed: int, block: int, dimensions: int) -> npt.NDArray[np.float64]:
    """A block of points, shape `(1024, dimensions)`."""
    plain = _plain(block, dimensions)
    matrix, shift = _scramble(seed, dimensions)
    words = np.zeros_like(plain)
    for bit in range(_BITS):
        parity = np.bitwise_count(plain & matrix[bit]).astype(np.uint64) & np.uint64(1)
        words |= parity << np.uint64(bit)
    # Every point lies in the middle of its cell, so that none lies on an edge.
    points: npt.NDArray[np.float64] = ((words ^ shift).astype(np.float64) + 0.5) / MAX_POINTS
    return points


@lru_cache(maxsize=64)
def _plain(block: int, dimensions: int) -> Words:
    # Loading SciPy's statistics takes half a second, which studies without this sequence need not wait for.
    from scipy.stats import qmc

    engine = qmc.Sobol(dimensions, scramble=False, bits=_BITS)
    if block:
        engine.fast_forward(block * _BLOCK)
    words: Words = (engine.random(_BLOCK) * MAX_POINTS).astype(np.uint64)
    return words


@lru_cache(maxsize=256)
def _scramble(seed: int, dimensions: int) -> tuple[Words, Words]:
    """Rows of a lower triangular matrix over the bits of each coordinate, shape `(bits, dimensions)`, and a shift."""
    raw = np.random.Philox(key=derive(seed, "sobol")).random_raw(dimensions * (_BITS + 1))
    drawn = raw.reshape(dimensions, _BITS + 1).T & np.uint64(MAX_POINTS - 1)
    rows = drawn[:_BITS].copy()
    for bit in range(_BITS):
        # A bit of the result depends on the bit itself and on more significant ones.
        higher = np.uint64((MAX_POINTS - 1) ^ ((2 << bit) - 1))
        rows[bit] = (rows[bit] & higher) | np.uint64(1 << bit)
    return rows, drawn[_BITS].copy()
