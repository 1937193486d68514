"""Sets by name: the shipped ones, and Keras's through its own loaders up to the download."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.datasets import mnist
from keras.src.utils import file_utils

from caviar.contract.data import DATASETS, DataOptions
from worker.data import dataset, named
from worker.data.errors import DataError

SHIPPED = [name for name, facts in DATASETS.items() if facts.source == "scikit-learn"]
DOWNLOADED = [name for name, facts in DATASETS.items() if facts.source == "keras"]


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "shape"),
    [("digits", (1797, 64)), ("breast_cancer", (569, 30)), ("wine", (178, 13)), ("iris", (150, 4)),
     ("diabetes", (442, 10))],
)  # fmt: skip
def test_shipped_sets(name: str, shape: tuple[int, int]) -> None:
    table = named.load(name)
    assert table.x.shape == shape
    assert table.num_test is None
    prepared = dataset.prepare(table, DataOptions(), seed=0)
    assert prepared.num_classes == DATASETS[name].num_classes


def test_the_shapes_of_all_shipped_sets_are_tested() -> None:
    assert set(SHIPPED) == {"digits", "breast_cancer", "wine", "iris", "diabetes"}


@pytest.mark.parametrize("name", DOWNLOADED)
def test_each_downloaded_set_has_a_loader_in_keras(name: str) -> None:
    assert callable(getattr(keras.datasets, name).load_data)


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_failed_download_is_a_clear_error(name: str, monkeypatch: pytest.MonkeyPatch, keras_home: Path) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(file_utils, "urlretrieve", unreachable)
    with pytest.raises(DataError) as caught:
        named.load(name)
    message = str(caught.value)
    assert f"{name} could not be downloaded by Keras: URL fetch failure" in message
    assert "no route to host" in message
    assert str(keras_home / "datasets") in message
    assert "digits" in message


def test_a_broken_download_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(_: str, target: str, *__: Any) -> None:
        Path(target).write_bytes(b"half a file")

    monkeypatch.setattr(file_utils, "urlretrieve", torn)
    with pytest.raises(DataError, match="Incomplete or corrupted file"):
        named.load("mnist")


def test_an_error_that_is_no_failed_download_is_not_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: Any, **__: Any) -> None:
        raise KeyError("x_train")

    monkeypatch.setattr(mnist, "get_file", faulty)
    with pytest.raises(KeyError):
        named.load("mnist")


def test_a_downloaded_set_keeps_its_test_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "x_train": random.integers(0, 256, (100, 28, 28), dtype=np.uint8),
        "y_train": (np.arange(100) % 10).astype(np.uint8),
        "x_test": random.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "y_test": (np.arange(20) % 10).astype(np.uint8),
    }
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setattr(mnist, "get_file", lambda **_: str(tmp_path / "mnist.npz"))
    table = named.load("mnist")
    assert (table.x.shape, table.num_test) == ((120, 784), 20)
    prepared = dataset.prepare(table, DataOptions(validation_fraction=0.2), seed=0)
    assert np.allclose(prepared.test.x, arrays["x_test"].reshape(20, 784) / 255.0, atol=1e-6)
    assert prepared.test.y.tolist() == arrays["y_test"].tolist()
    assert (len(prepared.train.x), len(prepared.validation.x)) == (80, 20)
