"""Prepared data: split, scaled by the training part, cached, read-only."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from caviar.contract.data import DataOptions, ScalingName
from worker.data import dataset, named, scaling, split
from worker.data.errors import DataError
from worker.data.table import table


def identified(num_rows: int, num_classes: int) -> dataset.Dataset:
    """A set whose only input is the number of its row."""
    x = np.arange(num_rows, dtype=np.float64)[:, None]
    return dataset.prepare(table("rows", x, np.arange(num_rows) % num_classes), DataOptions(scaling="none"), seed=4)


def test_rows_keep_their_labels_through_the_split() -> None:
    data = identified(120, 3)
    for part in (data.train, data.validation, data.test):
        assert (part.x[:, 0] % 3).astype(int).tolist() == part.y.tolist()
    together = np.concatenate([data.train.x, data.validation.x, data.test.x])[:, 0]
    assert sorted(together.tolist()) == list(range(120))
    assert (len(data.train.x), len(data.validation.x), len(data.test.x)) == (72, 24, 24)


@pytest.mark.parametrize("kind", ["minmax", "standard"])
def test_scaling_is_fitted_on_the_training_part_only(kind: ScalingName) -> None:
    raw = named.load("wine")
    data = dataset.prepare(raw, DataOptions(scaling=kind), seed=9)
    rows = split.split(len(raw.x), validation_fraction=0.2, test_fraction=0.2, seed=9, classes=raw.y)
    expected = scaling.fit(raw.x[rows.train], kind)
    assert np.array_equal(data.validation.x, expected(raw.x[rows.validation]))
    assert np.array_equal(data.test.x, expected(raw.x[rows.test]))
    leaking = scaling.fit(raw.x, kind)
    assert not np.array_equal(data.train.x, leaking(raw.x[rows.train]))
    if kind == "minmax":
        assert (data.train.x.min(axis=0) == 0).all()
        assert (data.train.x.max(axis=0) == 1).all()
    else:
        assert np.allclose(data.train.x.mean(axis=0), 0, atol=1e-5)


def test_numbers_to_predict_are_scaled_only_when_asked() -> None:
    raw = named.load("diabetes")
    plain = dataset.prepare(raw, DataOptions(), seed=1)
    scaled = dataset.prepare(raw, DataOptions(target_scaling="standard"), seed=1)
    assert plain.train.y.dtype == np.float32
    assert plain.train.y.max() == pytest.approx(raw.y.max(), rel=0.2)
    assert abs(float(scaled.train.y.mean())) < 1e-5
    assert abs(float(scaled.train.y.std()) - 1) < 1e-5
    assert np.allclose((plain.test.y - plain.train.y.mean()) / plain.train.y.std(), scaled.test.y, atol=1e-4)


def test_one_hot_labels_are_stratified_like_integers() -> None:
    raw = named.load("iris")
    integers = dataset.prepare(raw, DataOptions(), seed=2)
    one_hot = dataset.prepare(raw, DataOptions(labels="one_hot"), seed=2)
    assert one_hot.train.y.shape == (90, 3)
    assert np.array_equal(one_hot.train.y.argmax(axis=1), integers.train.y)
    assert np.bincount(integers.validation.y).tolist() == [10, 10, 10]


def test_the_test_part_may_be_left_out() -> None:
    data = dataset.prepare(named.load("iris"), DataOptions(test_fraction=0.0), seed=2)
    assert (len(data.train.x), len(data.validation.x), len(data.test.x)) == (120, 30, 0)


def test_equal_options_get_the_very_same_arrays() -> None:
    first = dataset.load(DataOptions(dataset="iris"), data_dir=None, seed=1)
    assert dataset.load(DataOptions(dataset="iris"), data_dir=None, seed=1) is first
    assert dataset.load(DataOptions(dataset="iris"), data_dir=None, seed=2) is not first
    assert dataset.load(DataOptions(dataset="iris", scaling="none"), data_dir=None, seed=1) is not first


def test_arrays_are_read_only() -> None:
    data = dataset.load(DataOptions(dataset="iris"), data_dir=None, seed=1)
    for part in (data.train, data.validation, data.test):
        with pytest.raises(ValueError, match="read-only"):
            part.x[0] = 0
        with pytest.raises(ValueError, match="read-only"):
            part.y[0] = 0


def test_a_replaced_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    options = DataOptions(file="a.npz", scaling="none")
    np.savez(file, x=np.zeros((10, 1)), y=np.arange(10) % 2)
    first = dataset.load(options, data_dir=tmp_path, seed=0)
    assert dataset.load(options, data_dir=tmp_path, seed=0) is first
    np.savez(file, x=np.ones((10, 1)), y=np.arange(10) % 2)
    os.utime(file, ns=(0, 0))
    assert dataset.load(options, data_dir=tmp_path, seed=0).train.x.tolist() == [[1.0]] * 6


def test_data_errors_name_the_source(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((10, 1)), y=np.zeros(10, dtype=int))
    with pytest.raises(DataError, match=r"a\.npz: all labels are"):
        dataset.load(DataOptions(file="a.npz"), data_dir=tmp_path, seed=0)
