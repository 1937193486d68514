"""The weights of the best epoch: the first of the best, in a file that a fresh model takes, for little memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]  # it has no types
import keras
import numpy as np
import pytest

from caviar.contract.study import Metric
from worker.checkpoints.best import BestWeights
from worker.checkpoints.snapshot import numbers

X = np.random.default_rng(1).normal(size=(64, 3)).astype("float32")
Y = (X.sum(axis=1) ** 2).astype("float32")
NAN = float("nan")


def build(optimizer: Any = "adam") -> Any:
    """A model with weights, moving averages, and random states."""
    layers = keras.layers
    hidden = [layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.2), layers.Dense(8, "relu")]
    model = keras.Sequential([keras.Input((3,)), *hidden, layers.Dense(1)])
    model.compile(optimizer=optimizer, loss="mse")
    return model


def best_of(values: list[float], direction: str = "minimize", *, is_wanted: bool = True) -> tuple[BestWeights, Any]:
    """Held after epochs with these values, in which every weight is the number of the epoch."""
    best, model = (
        BestWeights(Metric.model_validate({"direction": direction}), is_wanted=is_wanted, is_cut=lambda: False),
        build(),
    )
    best.set_model(model)
    for number, value in enumerate(values):
        model.set_weights([np.full_like(weight, number + 1) for weight in model.get_weights()])
        best.on_epoch_end(number, {"val_loss": value})
    return best, model


@pytest.mark.parametrize(("values", "direction", "epoch"), [
    ([3.0, 1.0, 2.0], "minimize", 2),
    ([3.0, 1.0, 2.0], "maximize", 1),
    ([2.0, 1.0, 1.0], "minimize", 2),
    ([NAN, 2.0, NAN], "minimize", 2),
    ([float("inf"), 2.0], "maximize", 2),
])  # fmt: skip
def test_the_first_of_the_best_epochs_counts(tmp_path: Path, values: list[float], direction: str, epoch: int) -> None:
    best, model = best_of(values, direction)
    assert best.epoch == epoch
    best.write(model, [tmp_path / "a.weights.h5", tmp_path / "deep" / "b.weights.h5"])
    for file in ("a.weights.h5", "deep/b.weights.h5"):
        fresh = build()
        fresh.load_weights(tmp_path / file)
        assert all((weight == epoch).all() for weight in fresh.get_weights())
    assert all((weight == len(values)).all() for weight in model.get_weights())


def test_without_a_good_epoch_or_a_wish_there_is_no_file(tmp_path: Path) -> None:
    for best, model in (best_of([NAN]), best_of([1.0], is_wanted=False)):
        best.write(model, [tmp_path / "a.weights.h5"])
        assert best.get_state() == {"epoch": 0, "value": None, "weights": None}
    best, model = best_of([1.0])
    best.write(model, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("optimizer", [
    "sgd", "adam", keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 100), momentum=0.9),
])  # fmt: skip
def test_a_trained_model_leaves_a_small_file_and_trains_on_as_before(tmp_path: Path, optimizer: Any) -> None:
    """Warnings are errors: a fresh model takes the file without one."""
    model, best = build(optimizer), BestWeights(Metric(name="loss"), is_wanted=True, is_cut=lambda: False)
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[best], shuffle=False)
    steps = int(model.optimizer.iterations)
    before = numbers([*model.variables, *model.optimizer.variables])
    file = tmp_path / "a.weights.h5"
    best.write(model, [file])
    assert int(model.optimizer.iterations) == steps
    after = numbers([*model.variables, *model.optimizer.variables])
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    model.fit(X, Y, epochs=1, verbose=0)
    assert int(model.optimizer.iterations) == steps + 2
    kind = type(model.optimizer)
    fresh = build(kind.from_config(model.optimizer.get_config()))
    fresh.load_weights(file)
    assert [weight.shape for weight in fresh.get_weights()] == [weight.shape for weight in model.get_weights()]
    with h5py.File(file) as content:
        size = sum(item.size for item in _datasets(content))
    assert size <= sum(int(np.prod(variable.shape)) for variable in model.variables) + 2


def _datasets(group: Any) -> list[Any]:
    found: list[Any] = []
    group.visititems(lambda _name, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return found


def test_names_of_layers_do_not_matter(tmp_path: Path) -> None:
    """A model that is used again and again has other names than a fresh one in another process."""
    for _ in range(3):
        build()
    best, model = best_of([1.0])
    file = tmp_path / "a.weights.h5"
    best.write(model, [file])
    keras.utils.clear_session()
    fresh = build()
    assert [layer.name for layer in fresh.layers] != [layer.name for layer in model.layers]
    fresh.load_weights(file)
    assert all((weight == 1).all() for weight in fresh.get_weights())


def test_a_disk_that_takes_nothing_leaves_the_model_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    best, model = best_of([1.0, 2.0])
    with pytest.raises(OSError, match="file"):
        best.write(model, [tmp_path / "file" / "a.weights.h5"])
    assert all((weight == 2).all() for weight in model.get_weights())
    assert isinstance(model.optimizer, keras.optimizers.Adam)


OTHER_BACKEND = """
import sys
import pytest
# Keras's own way of saving warns with this backend.
raise SystemExit(pytest.main(["-q", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning", *sys.argv[1:]]))
"""


def test_it_is_the_same_with_jax() -> None:
    chosen = [f"{__file__}::test_a_trained_model_leaves_a_small_file_and_trains_on_as_before"]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", OTHER_BACKEND, *chosen], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "3 passed" in done.stdout
