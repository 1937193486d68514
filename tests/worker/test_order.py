"""The order of rows: another one in each epoch, the same wherever a training begins, and every row once."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from worker.chance import epoch_seed
from worker.order import fit_arguments

X = np.arange(10, dtype="float32")
Y = np.arange(10) * 2


def arguments(train: Any = (X, Y), *, seed: int = 7, first_epoch: int = 1, **options: Any) -> dict[str, Any]:
    return fit_arguments(train, {"batch_size": 4, **options}, steps_per_execution=1, seed=seed, first_epoch=first_epoch)


def epochs(found: dict[str, Any], count: int) -> list[list[list[int]]]:
    """The rows of so many epochs, by batches."""
    steps = found["steps_per_epoch"]
    batches = [batch[0].numpy().astype(int).tolist() for batch in itertools.islice(found["x"], count * steps)]
    return [batches[start : start + steps] for start in range(0, len(batches), steps)]


def test_every_epoch_has_every_row_once_in_an_order_of_its_own() -> None:
    found = epochs(arguments(), 20)
    assert all([len(batch) for batch in batches] == [4, 4, 2] for batches in found)
    flat = [tuple(itertools.chain.from_iterable(batches)) for batches in found]
    assert all(sorted(rows) == list(range(10)) for rows in flat)
    assert len(set(flat)) == 20


def test_an_epoch_s_order_does_not_depend_on_where_the_training_began() -> None:
    whole = epochs(arguments(), 6)
    assert epochs(arguments(first_epoch=4), 3) == whole[3:]
    assert epochs(arguments(seed=8), 6) != whole


def test_rows_stay_together() -> None:
    train = ({"a": pd.DataFrame({"p": X, "q": -X}), "b": [X.astype("float64")]}, pd.Series(Y), X / 2)
    for inputs, labels, weights in itertools.islice(arguments(train)["x"], 6):
        rows = inputs["b"][0].numpy()
        assert inputs["b"][0].dtype == "float32"
        np.testing.assert_array_equal(inputs["a"].numpy(), np.stack([rows, -rows], axis=1))
        np.testing.assert_array_equal(labels.numpy(), 2 * rows[:, None])
        np.testing.assert_array_equal(weights.numpy(), rows / 2)


@pytest.mark.parametrize(("batch_size", "sizes"), [(5, [5, 5]), (10, [10]), (64, [10]), (1, [1] * 10)])
def test_batches_of_any_size(batch_size: int, sizes: list[int]) -> None:
    found = epochs(arguments(batch_size=batch_size), 2)
    assert [[len(batch) for batch in batches] for batches in found] == [sizes, sizes]


def test_the_validation_keeps_its_batches() -> None:
    assert arguments()["validation_batch_size"] == 4
    assert arguments(validation_batch_size=9, validation_freq=2).items() >= {
        "validation_batch_size": 9, "validation_freq": 2, "shuffle": False, "steps_per_epoch": 3,
    }.items()  # fmt: skip


@pytest.mark.parametrize("train", [
    "a name", X, [X], (X, None), (X, Y[:5]), (X.astype("O"), Y), (X, [Y, Y], X), (X[:0], Y[:0]), (X[0], Y[0]),
    (iter([X]), Y), keras.utils.PyDataset(), pd.DataFrame({"a": ["b"]}),
])  # fmt: skip
def test_what_is_no_pair_of_arrays_is_handed_on_as_it_is(train: Any) -> None:
    found = arguments(train)
    given = train if isinstance(train, (tuple, list)) else (train,)
    assert len(given) == len([name for name in ("x", "y", "sample_weight") if name in found])
    assert all(found[name] is part for name, part in zip(("x", "y", "sample_weight"), given, strict=False))
    assert found["batch_size"] == 4


@pytest.mark.parametrize("option", [
    {"shuffle": False}, {"shuffle": "batch"}, {"class_weight": {0: 1.0}}, {"steps_per_epoch": 2}, {"new": 1},
])  # fmt: skip
def test_options_about_the_rows_leave_them_to_keras(option: dict[str, Any]) -> None:
    found = arguments(**option)
    assert found["x"] is X
    assert found["y"] is Y
    assert found.items() >= option.items()


def test_steps_that_would_run_into_the_next_epoch_leave_the_rows_to_keras() -> None:
    def steps_at_once(number: int) -> dict[str, Any]:
        return fit_arguments((X, Y), {"batch_size": 4}, steps_per_execution=number, seed=7, first_epoch=1)

    assert steps_at_once(2)["x"] is X
    assert steps_at_once(3)["steps_per_epoch"] == 3


def test_seeds_of_epochs_differ_and_fit_every_generator() -> None:
    seeds = {epoch_seed(seed, epoch) for seed in range(20) for epoch in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
