"""Configurations as rows of numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.space import Space
from service.search.columns import Columns
from service.search.draws import uniforms

SPACE = Space.model_validate(
    {
        "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
        "size": {"type": "categorical", "choices": [1, 2, 4], "ordered": True},
        "depth": {"type": "int", "low": 1, "high": 5, "when": {"kind": ["a", "b"]}},
        "width": {"type": "int", "low": 1, "high": 1_000_000, "scale": "log"},
        "rate": {"type": "float", "low": 1e-3, "high": 1.0, "scale": "log", "when": {"depth": [2, 4]}},
        "drop": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.05},
        "seven": {"type": "float", "low": 0.0, "high": 1.0, "when": {"width": [7, 8, 9], "size": [1, 4]}},
        "flavour": {"type": "categorical", "choices": ["x", "y"], "when": {"kind": ["c"]}},
    }
)
COLUMNS = Columns(SPACE)


@given(st.integers(0, 2**32))
def test_candidates_and_trials_become_the_same_rows(seed: int) -> None:
    units = np.array(uniforms(20 * len(SPACE), seed)).reshape(20, len(SPACE))
    found = COLUMNS.rows(units)
    trials = [COLUMNS.row(SPACE.units_of(SPACE.params_at(point))) for point in units.tolist()]
    np.testing.assert_allclose(found, trials, atol=1e-9)


def test_edges_become_the_first_and_the_last_values() -> None:
    for edge in (0.0, 1.0):
        point = [edge] * len(SPACE)
        trial = COLUMNS.row(SPACE.units_of(SPACE.params_at(point)))
        np.testing.assert_allclose(COLUMNS.rows(np.array([point]))[0], trial, atol=1e-9)


def test_unordered_choices_stand_as_positions() -> None:
    assert COLUMNS.unordered == (True, False, False, False, False, False, False, True)
    row = COLUMNS.row(SPACE.units_of({"kind": "c", "size": 2, "width": 1, "drop": 0.1, "flavour": "y"}))
    assert row[0] == 2
    assert row[-1] == 1
    assert np.isnan(row[2])
