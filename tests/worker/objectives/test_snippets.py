"""The Keras program of a configuration: it runs by itself, and builds and trains what the worker does."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from caviar.contract.study import EarlyStopping, Metric
from caviar.snippets import mlp, plain
from caviar.snippets.source import Source
from worker.checkpoints.best import BestWeights
from worker.objectives.mlp import MlpObjective

DATA_SEED = 11
MAX_EPOCHS = 3


def source(config: Mapping[str, Any], params: Mapping[str, Any], **changes: Any) -> Source:
    """A trial of a study on a named set."""
    facts: dict[str, Any] = {
        "study": "digits",
        "objective": "mlp",
        "config": config,
        "trial_id": 7,
        "number": 3,
        "params": params,
        "metric": Metric(),
        "value": 0.25,
        "best_epoch": 2,
        "max_epochs": MAX_EPOCHS,
        "early_stopping": EarlyStopping(patience=2),
        "seed": 5,
        "data_seed": DATA_SEED,
        "has_weights": False,
    }
    return Source(**(facts | changes))


def run(text: str) -> tuple[dict[str, Any], str]:
    """Run a program; what it left, and what it printed last."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    said = io.StringIO()
    with redirect_stdout(said):
        exec(compile(text, "snippet", "exec"), scope)
    return scope, said.getvalue().splitlines()[-1]


def built(config: Mapping[str, Any]) -> MlpObjective:
    """What a worker makes of the same study."""
    return MlpObjective(config=config, data_seed=DATA_SEED, metric=Metric(), max_epochs=MAX_EPOCHS)


def without_names(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration of Keras without what differs between two equal objects, such as the place of their classes."""
    kept = {name: value for name, value in config.items() if name not in ("module", "registered_name", "name")}
    return {name: without_names(value) if isinstance(value, dict) else value for name, value in kept.items()}


CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"dataset": "digits"}, {"learning_rate": 0.01, "units": 32, "num_layers": 2}),
    (
        {"dataset": "digits", "scaling": "standard", "labels": "one_hot", "test_fraction": 0.0},
        {"optimizer": "nesterov", "momentum": 0.8, "dropout": 0.2, "batch_normalization": True, "activation": "selu"},
    ),
    (
        {"dataset": "breast_cancer", "scaling": "none"},
        {"optimizer": "adamw", "weight_decay": 0.01, "l2": 1e-3, "batch_size": "full", "clipnorm": 1.0, "beta_1": 0.95},
    ),
    (
        {"dataset": "diabetes", "target_scaling": "standard"},
        {"optimizer": "rmsprop", "centered": True, "input_dropout": 0.1, "activation": "tanh", "num_layers": 0},
    ),
    (
        {"dataset": "wine", "validation_fraction": 0.3},
        {"optimizer": "lion", "learning_rate_schedule": "cosine", "warmup_epochs": 1.0, "units_1": 8, "units_2": 4},
    ),
    ({"dataset": "iris"}, {"optimizer": "sgd", "learning_rate_schedule": "step", "decay_epochs": 2.0}),
    ({"dataset": "iris"}, {"learning_rate_schedule": "cosine_restarts", "m_mul": 0.5, "initializer": "he_uniform"}),
    ({"dataset": "iris", "loss": "sparse_categorical_crossentropy"}, {"reduce_lr_on_plateau": True, "units": 4}),
]


@pytest.mark.parametrize(("config", "params"), CASES)
def test_the_program_builds_and_trains_what_the_worker_does(config: dict[str, Any], params: dict[str, Any]) -> None:
    scope, said = run(mlp.write(source(config, params)))
    objective = built(config)
    (x_train, y_train), (x_validation, y_validation) = objective.data(params)
    for part, x, y in (("train", x_train, y_train), ("validation", x_validation, y_validation)):
        np.testing.assert_allclose(scope["x"][scope[part]], x, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(scope["y"][scope[part]], y, rtol=1e-6)
    model, own = objective.build(params), scope["model"]
    assert [type(layer) for layer in own.layers] == [type(layer) for layer in model.layers]
    for mine, theirs in zip(own.layers, model.layers, strict=True):
        assert without_names(mine.get_config()) == without_names(theirs.get_config())
    assert own.count_params() == model.count_params()
    assert type(own.optimizer) is type(model.optimizer)
    rate, unlike = "learning_rate", ("learning_rate", "name")
    mine, theirs = own.optimizer.get_config(), model.optimizer.get_config()
    if not params.get("reduce_lr_on_plateau"):
        assert rates(own, mine.pop(rate)) == pytest.approx(rates(model, theirs.pop(rate)))
    assert {name: mine[name] for name in mine if name not in unlike} == {
        name: theirs[name] for name in theirs if name not in unlike
    }
    assert type(own.loss) is type(model.loss)
    assert scope["batch_size"] == objective.fit_options(params)["batch_size"]
    assert len(scope["history"].epoch) == MAX_EPOCHS
    assert set(scope["history"].history) >= {"loss", "val_loss"}
    assert "'loss': " in said


def rates(model: Any, config: Any) -> list[float]:
    """The learning rate at some steps."""
    schedule = getattr(model.optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return [float(schedule(step)) for step in (0, 1, 3, 10, 50)]
    return [float(config)]


def test_kept_weights_give_the_value_that_was_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config, params = CASES[0]
    objective = built(config)
    (train, validation) = objective.data(params)
    model = objective.build(params)
    best = BestWeights(Metric(), is_wanted=True, is_cut=lambda: False)
    model.fit(*train, validation_data=validation, epochs=1, verbose=0, callbacks=[best])
    told = model.evaluate(*validation, return_dict=True, verbose=0)
    best.write(model, [tmp_path / "trial-7.weights.h5"])
    scope, said = run(mlp.write(source(config, params, has_weights=True)))
    assert "history" not in scope, "nothing was trained again"
    assert said == str(told)


def test_early_stopping_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = EarlyStopping(patience=0, min_delta=10.0)
    text = mlp.write(source(*CASES[0], early_stopping=stopping, max_epochs=20))
    scope, _ = run(text)
    assert len(scope["history"].epoch) < 20
    assert "EarlyStopping" not in mlp.write(source(*CASES[0], early_stopping=None))


def test_downloaded_sets_are_split_as_by_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (60, 4, 4), dtype=np.uint8), np.arange(60, dtype=np.uint8)[:, None] % 10
    parts = (x[:50], y[:50]), (x[50:], y[50:])
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: parts)
    config, params = {"dataset": "cifar10"}, {"units": 4, "num_layers": 1}
    scope, _ = run(mlp.write(source(config, params)))
    objective = built(config)
    (x_train, y_train), (x_validation, _) = objective.data(params)
    np.testing.assert_allclose(scope["x"][scope["train"]], x_train, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(scope["y"][scope["train"]], y_train)
    np.testing.assert_allclose(scope["x"][scope["validation"]], x_validation, rtol=1e-5, atol=1e-6)
    assert list(scope["test"]) == list(range(50, 60))


def test_the_program_of_another_objective_rebuilds_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def build(params: Mapping[str, Any]) -> Any:
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(params["units"])])

    model = build({"units": 3})
    model.save_weights("trial-7.weights.h5")
    text = plain.write(source({"depth": 'a "quoted" text'}, {"units": 3}, objective="Line", has_weights=True))
    scope: dict[str, Any] = {}
    exec(text, scope)
    assert scope["config"] == {"depth": 'a "quoted" text'}
    rebuilt = scope["rebuilt"](build)
    for mine, theirs in zip(rebuilt.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
