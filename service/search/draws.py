"""Chance: every draw is a function of the study's seed, the trial's number and what the draw is for.

Nothing is carried from one draw to the next, so the order of questions, a restart or another number of workers changes
nothing. Only raw output of Philox is used: NumPy keeps that stable for good, its distributions may change.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox); NumPy NEP 19 (stability of streams).
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import numpy.typing as npt


def derive(*parts: int | str) -> int:
    """A 128-bit key that depends on every part and on their order."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def uniforms(count: int, *parts: int | str) -> list[float]:
    """Independent draws from the open interval (0, 1).

    Args:
        count: How many; a longer list begins with a shorter one.
        parts: Study seed, trial number, purpose, and what else tells this draw from others.
    """
    drawn: list[float] = uniform_array((count,), *parts).tolist()
    return drawn


def uniform_array(shape: tuple[int, ...], *parts: int | str) -> npt.NDArray[np.float64]:
    """Independent draws from the open interval (0, 1); arguments as for `uniforms`."""
    words = np.random.Philox(key=derive(*parts)).random_raw(math.prod(shape)).reshape(shape)
    drawn: npt.NDArray[np.float64] = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return drawn
