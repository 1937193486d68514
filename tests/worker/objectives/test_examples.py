"""Every example: a valid study whose objective trains configurations of its own space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml
from keras.src.datasets import mnist

from caviar.contract.messages import Checkpoint
from caviar.contract.objectives import BUILT_IN
from caviar.contract.space import Space
from caviar.contract.states import Outcome
from caviar.contract.study import ObjectiveRef, StudySpec
from tests.worker.wire import assignment
from worker.callbacks import StopRequest
from worker.channel import EpochDone
from worker.checkpoints.shelf import Shelf
from worker.fitting import Trainer
from worker.forms.result import Result
from worker.objectives.loading import BUILTIN, fit_options, instantiate, load, offer

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.yaml"))
OWN = {
    "own_objective/study.yaml": EXAMPLES / "own_objective" / "objective.py",
    "function_objective/study.yaml": EXAMPLES / "function_objective" / "objective.py",
    "keras_tuner/study.yaml": EXAMPLES / "keras_tuner" / "build_model.py",
}


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
    names = {"digits", "mnist", "binary", "one_hot", "regression"}
    assert {f"{name}.yaml" for name in names} | set(OWN) <= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_each_example_is_a_study_that_is_accepted(file: str) -> None:
    spec = study(file)
    if spec.objective.name in BUILT_IN:
        assert BUILT_IN[spec.objective.name].check(spec.objective.config, spec.space) == []
    else:
        assert spec.objective.name in load(str(OWN[file]))


@pytest.mark.parametrize("file", [file for file in FILES if file not in ("mnist.yaml", *OWN)])
def test_each_example_trains(file: str) -> None:
    spec = study(file)
    assert spec.space is not None
    for number in range(2):
        history = train(spec, spec.space, BUILTIN["mlp"], number)
        assert len(history[spec.metric.name]) == 2
        assert np.isfinite(history[spec.metric.name]).all()


@pytest.mark.parametrize("file", OWN)
def test_each_objective_of_one_s_own_trains(file: str, tmp_path: Path) -> None:
    spec = study(file)
    name = spec.objective.name
    found = load(str(OWN[file]))
    assert list(found) == [name]
    space = spec.space or offer(name, found[name]).space
    assert space is not None
    sent: list[EpochDone] = []
    trainer = Trainer(found, tmp_path, None, Shelf(tmp_path), sent.append)
    for number in range(2):
        params = space.params_at(np.random.default_rng(number).random(len(space)).tolist())
        given = assignment(
            objective=spec.objective,
            metric=spec.metric,
            early_stopping=spec.early_stopping,
            params=params,
            max_epochs=2,
            checkpoint_every_epochs=1,
        )
        assert trainer.train(given, StopRequest()) == Result(Outcome.COMPLETE)
    assert [(done.epoch, done.checkpoint) for done in sent] == [(1, True), (2, False)] * 2
    assert all(np.isfinite(done.metrics[spec.metric.name]) for done in sent)


def test_the_training_function_resumes_with_the_same_curve(tmp_path: Path) -> None:
    found = load(str(OWN["function_objective/study.yaml"]))
    sent: list[EpochDone] = []
    trainer = Trainer(found, tmp_path, None, Shelf(tmp_path), sent.append)
    params = {"learning_rate": 0.5, "momentum": 0.9, "batch_size": 64}
    changes: dict[str, Any] = {"objective": ObjectiveRef(name="digits-numpy"), "params": params, "max_epochs": 5}
    trainer.train(assignment(**changes, checkpoint_epochs=[3]), StopRequest())
    trainer.train(assignment(**changes, first_epoch=4, checkpoint=Checkpoint(epoch=3)), StopRequest())
    assert [done.metrics for done in sent[3:5]] == [done.metrics for done in sent[5:]]
    assert sent[4].metrics["val_accuracy"] > 0.9


def test_the_space_of_the_keras_tuner_example_is_read_from_its_function() -> None:
    space = offer("build_model", load(str(OWN["keras_tuner/study.yaml"]))["build_model"]).space
    assert space is not None
    assert {name: parameter.when for name, parameter in space.items() if parameter.when} == {
        "filters": {"kind": ["convolutional"]}, "units_1": {"num_layers": [2, 3]}, "units_2": {"num_layers": [3]},
    }  # fmt: skip


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
