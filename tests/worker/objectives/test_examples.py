"""Every example: a valid study whose objective trains configurations of its own space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml
from keras.src.datasets import mnist

from caviar.contract.objectives import BUILT_IN
from caviar.contract.space import Space
from caviar.contract.study import StudySpec
from worker.objectives.loading import BUILTIN, fit_options, instantiate, load, offer

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.yaml"))
OWN = EXAMPLES / "own_objective" / "objective.py"


def study(file: str) -> StudySpec:
    return StudySpec.model_validate(yaml.safe_load((EXAMPLES / file).read_text(encoding="utf-8")))


def train(spec: StudySpec, space: Space, cls: Any, number: int) -> dict[str, list[float]]:
    params = space.params_at(np.random.default_rng(number).random(len(space)).tolist())
    keras.utils.set_random_seed(number)
    objective = instantiate(
        cls, config=spec.objective.config, data_dir=None, data_seed=spec.seed, metric=spec.metric, max_epochs=2
    )
    model = objective.build(params)
    (x, y), validation = objective.data(params)
    history: dict[str, list[float]] = model.fit(
        x, y, validation_data=validation, epochs=2, verbose=0, **fit_options(objective, params)
    ).history
    return history


def test_there_is_an_example_of_each_kind() -> None:
    names = {"digits", "mnist", "binary", "one_hot", "regression", "own_objective/study"}
    assert {f"{name}.yaml" for name in names} <= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_each_example_is_a_study_that_is_accepted(file: str) -> None:
    spec = study(file)
    if spec.objective.name in BUILT_IN:
        assert BUILT_IN[spec.objective.name].check(spec.objective.config, spec.space) == []
    else:
        assert spec.objective.name in load(str(OWN))


@pytest.mark.parametrize("file", [file for file in FILES if file not in ("mnist.yaml", "own_objective/study.yaml")])
def test_each_example_trains(file: str) -> None:
    spec = study(file)
    assert spec.space is not None
    for number in range(2):
        history = train(spec, spec.space, BUILTIN["mlp"], number)
        assert len(history[spec.metric.name]) == 2
        assert np.isfinite(history[spec.metric.name]).all()


def test_the_own_objective_trains() -> None:
    spec, cls = study("own_objective/study.yaml"), load(str(OWN))["iris-towers"]
    space = spec.space or offer("iris-towers", cls).space
    assert space is not None
    for number in range(2):
        assert np.isfinite(train(spec, space, cls, number)[spec.metric.name]).all()


def test_the_mnist_example_trains_on_a_file_of_its_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "x_train": random.integers(0, 256, (400, 28, 28), dtype=np.uint8),
        "y_train": (np.arange(400) % 10).astype(np.uint8),
        "x_test": random.integers(0, 256, (50, 28, 28), dtype=np.uint8),
        "y_test": (np.arange(50) % 10).astype(np.uint8),
    }
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # All of Keras's loader runs but the download, which checks the hash of the real 11 MB.
    monkeypatch.setattr(mnist, "get_file", lambda **_: str(tmp_path / "mnist.npz"))
    spec = study("mnist.yaml")
    assert spec.space is not None
    assert np.isfinite(train(spec, spec.space, BUILTIN["mlp"], 0)[spec.metric.name]).all()
    classic = {"learning_rate": 0.005, "units_1": 300, "units_2": 200, "units_3": 100, "beta_1": 0.9, "dropout": 0.0,
               "initializer": "glorot_uniform"}  # fmt: skip
    assert spec.space.check(classic) == classic
