"""Objectives written for KerasTuner, trained as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from structlog.testing import capture_logs

from caviar.contract.messages import Checkpoint
from caviar.contract.states import Outcome
from caviar.contract.study import EarlyStopping, ObjectiveRef
from tests.worker.wire import assignment
from worker.callbacks import StopRequest
from worker.channel import EpochDone
from worker.checkpoints.shelf import Shelf
from worker.fitting import Trainer
from worker.forms.result import Result
from worker.objectives.hypermodel import TunerObjective
from worker.objectives.loading import offer

SEEN: list[Any] = []


def build_model(hp: Any, loss: str = "sparse_categorical_crossentropy") -> Any:
    model = keras.Sequential([keras.layers.Flatten()])
    for number in range(hp.Int("num_layers", 1, 2)):
        model.add(keras.layers.Dense(hp.Int(f"units_{number}", 4, 16), activation="relu"))
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.compile(keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1, sampling="log")), loss=loss, metrics=["accuracy"])
    return model


def build_one_hot(hp: Any) -> Any:
    return build_model(hp, "categorical_crossentropy")


def data(params: Any, data_seed: int) -> Any:
    random = np.random.default_rng(data_seed)
    x = random.normal(size=(60, 2, 2)).astype("float32")
    y = x.reshape(60, 4)[:, :3].argmax(axis=1)
    return (x[:40], y[:40]), (x[40:], y[40:])


class Plain(keras_tuner.HyperModel):
    def build(self, hp: Any) -> Any:
        return build_model(hp)


class Fitting(Plain):
    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        SEEN.append({name: value for name, value in kwargs.items() if name not in ("callbacks", "validation_data")})
        return model.fit(*args, batch_size=hp.Choice("batch_size", [5, 20]), **kwargs)


class ByName(Plain):
    def fit(self, hp: Any, model: Any, x: Any, y: Any, *, validation_data: Any, callbacks: Any, epochs: int) -> Any:
        if hp.Boolean("normalize"):
            x = (x - x.mean()) / x.std()
        return model.fit(x, y, validation_data=validation_data, callbacks=callbacks, epochs=epochs, verbose=0)


class Looping(Plain):
    """Trains by steps of its own, and calls the callbacks as KerasTuner's guide does."""

    def fit(self, hp: Any, model: Any, x: Any, y: Any, callbacks: Any = None, **kwargs: Any) -> Any:
        for callback in callbacks:
            callback.set_model(model)
        for epoch in range(kwargs["initial_epoch"], kwargs["epochs"]):
            loss = float(model.train_on_batch(x, y)[0])
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"val_loss": loss})
            if model.stop_training:
                break
        return {"val_loss": loss}


class Silent(Plain):
    def fit(self, hp: Any, model: Any, x: Any, y: Any, **kwargs: Any) -> Any:
        return model.fit(x, y, verbose=0)


class Desk:
    """A trainer of one objective, and what it has sent."""

    def __init__(self, tmp_path: Path, origin: Any, own_data: Any = data) -> None:
        self.sent: list[EpochDone] = []
        self.stop = StopRequest()
        self.stop_after: int | None = None
        self.target = TunerObjective("tuned", origin, own_data)
        self.trainer = Trainer({"tuned": self.target}, tmp_path, None, Shelf(tmp_path / "shelf"), self.take)

    def take(self, done: EpochDone) -> None:
        self.sent.append(done)
        if done.epoch == self.stop_after:
            self.stop.wanted = "batch"

    def train(self, config: dict[str, Any] | None = None, **changes: Any) -> Result:
        given = {"params": {"num_layers": 2, "units_0": 8, "units_1": 6, "rate": 0.01}, **changes}
        return self.trainer.train(
            assignment(objective=ObjectiveRef(name="tuned", config=config or {}), **given), self.stop
        )

    def curve(self) -> list[tuple[int, float]]:
        return [(done.epoch, done.metrics["val_loss"]) for done in self.sent]


@pytest.fixture(autouse=True)
def clean() -> None:
    SEEN.clear()


def test_a_function_trains_on_the_data_of_its_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path, build_model)
    assert desk.train() == Result(Outcome.COMPLETE)
    assert set(desk.sent[0].metrics) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert [done.epoch for done in desk.sent] == [1, 2, 3]


@pytest.mark.parametrize("build", [build_model, build_one_hot])
def test_without_data_the_study_names_a_set(tmp_path: Path, build: Any) -> None:
    desk = Desk(tmp_path, build, None)
    config = {"dataset": "iris", "validation_fraction": 0.3, "batch_size": 16}
    assert desk.train(config, max_epochs=8) == Result(Outcome.COMPLETE)
    assert desk.curve()[-1][1] < desk.curve()[0][1]


def test_labels_are_encoded_as_the_loss_wants_them(tmp_path: Path) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    for build in (build_model, build_one_hot):
        target = TunerObjective("tuned", build, None)
        trial = target.for_trial(config={"dataset": "iris"}, data_dir=None, data_seed=1, metric=None, max_epochs=1)  # type: ignore[arg-type]  # not used here
        (_, y), _ = trial.data({})
        shapes[build.__name__] = y.shape[1:]
    assert shapes == {"build_model": (), "build_one_hot": (3,)}


def test_the_model_that_tells_the_loss_is_the_one_that_is_trained(tmp_path: Path) -> None:
    built: list[Any] = []

    def build(hp: Any) -> Any:
        built.append(hp)
        return build_model(hp)

    chosen, given = Desk(tmp_path, build, None), Desk(tmp_path, build, None)
    chosen.train({"dataset": "iris"})
    given.train({"dataset": "iris", "labels": "integer"})
    assert len(built) == 2
    assert chosen.curve() == given.curve()


def test_an_image_shape_shapes_the_rows() -> None:
    target = TunerObjective("tuned", build_model, None)
    config = {"dataset": "digits", "image_shape": [8, 8, 1], "labels": "integer"}
    trial = target.for_trial(config=config, data_dir=None, data_seed=1, metric=None, max_epochs=1)  # type: ignore[arg-type]  # not used here
    (x, _), (x_validation, _) = trial.data({})
    assert x.shape[1:] == x_validation.shape[1:] == (8, 8, 1)


@pytest.mark.parametrize(
    ("config", "own_data", "words"),
    [
        ({}, None, "neither dataset nor file"),
        ({"dataset": "iris", "image_shape": [3, 3]}, None, "image_shape [3, 3] has 9 numbers, but a row of iris has 4"),
        ({"dataset": "irises"}, None, "config of tuned: dataset: received 'irises'"),
        ({"dataset": "iris", "colour": "red"}, None, "config of tuned: colour"),
        ({"colour": "red"}, data, "the function data takes none"),
    ],
)
def test_a_faulty_config_is_infeasible(tmp_path: Path, config: dict[str, Any], own_data: Any, words: str) -> None:
    result = Desk(tmp_path, build_model, own_data).train(config)
    assert result.outcome is Outcome.INFEASIBLE
    assert result.error is not None
    assert words in result.error.message


def test_a_hypermodel_trains(tmp_path: Path) -> None:
    by_function, by_class, by_instance = (Desk(tmp_path, origin) for origin in (build_model, Plain, Plain()))
    for desk in (by_function, by_class, by_instance):
        assert desk.train() == Result(Outcome.COMPLETE)
    assert by_function.curve() == by_class.curve() == by_instance.curve()


def test_a_fit_of_its_own_is_respected(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Fitting)
    assert desk.train(max_epochs=4, early_stopping=EarlyStopping(patience=0, min_delta=1e9)) == Result(Outcome.COMPLETE)
    assert [(done.epoch, done.is_last) for done in desk.sent] == [(1, False), (2, True)]
    assert SEEN == [{"epochs": 4, "initial_epoch": 0, "verbose": 0}]


def test_the_hyperparameters_of_a_fit_are_in_the_space(tmp_path: Path) -> None:
    for kind, name in ((Fitting, "batch_size"), (ByName, "normalize")):
        space = offer("tuned", TunerObjective("tuned", kind, data)).space
        assert space is not None
        assert name in space
        assert {"num_layers", "units_0", "rate"} <= set(space.names)


def test_a_fit_with_named_arguments_gets_those_that_it_takes(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ByName)
    assert desk.train(params={"num_layers": 1, "units_0": 8, "rate": 0.01, "normalize": True}) == Result(
        Outcome.COMPLETE
    )
    assert len(desk.sent) == 3
    result = desk.train(first_epoch=2, max_epochs=3)
    assert result.error is not None
    assert "takes no initial_epoch; add **kwargs" in result.error.message


def test_a_loop_of_its_own_reports_by_the_callbacks(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Looping)
    assert desk.train() == Result(Outcome.COMPLETE)
    assert [(done.epoch, done.is_last) for done in desk.sent] == [(1, False), (2, False), (3, True)]


def test_a_fit_that_keeps_its_epochs_to_itself_has_failed(tmp_path: Path) -> None:
    result = Desk(tmp_path, Silent).train()
    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert "fit of tuned has ended no epoch" in result.error.message


@pytest.mark.parametrize("origin", [build_model, Fitting])
def test_a_paused_trial_goes_on(tmp_path: Path, origin: Any) -> None:
    first, second = Desk(tmp_path, origin), Desk(tmp_path, origin)
    first.stop_after = 2
    assert first.train(max_epochs=5, checkpoint_epochs=[2]) == Result(None)
    assert first.sent[1].checkpoint
    changes: dict[str, Any] = {"first_epoch": 3, "checkpoint": Checkpoint(epoch=2), "attempt": 2}
    assert second.train(max_epochs=5, **changes) == Result(Outcome.COMPLETE)
    assert [done.epoch for done in [*first.sent, *second.sent]] == [1, 2, 3, 4, 5]


def test_a_resumed_function_has_the_curve_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, first, second = (Desk(tmp_path / name, build_model) for name in "abb")
    whole.train(max_epochs=5)
    first.stop_after = 2
    first.train(max_epochs=5, checkpoint_epochs=[2])
    second.train(max_epochs=5, first_epoch=3, checkpoint=Checkpoint(epoch=2), attempt=2)
    assert dict([*first.curve(), *second.curve()]) == pytest.approx(dict(whole.curve()), rel=1e-6)


def test_what_the_study_does_not_give_is_at_its_default_and_says_so(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert Desk(tmp_path, build_model).train(params={"rate": 0.01}) == Result(Outcome.COMPLETE)
    assert {"names": ["num_layers", "units_0"]}.items() <= next(
        log for log in logs if log["event"] == "hyperparameters_at_default"
    ).items()


@pytest.mark.parametrize(
    ("origin", "words"),
    [(lambda hp: 3, "returned int, expected a compiled Keras model"),
     (lambda hp: keras.Sequential([keras.layers.Dense(1)]), "returned a model that is not compiled")],
)  # fmt: skip
def test_what_is_no_compiled_model_is_an_error(tmp_path: Path, origin: Any, words: str) -> None:
    result = Desk(tmp_path, origin).train()
    assert result.error is not None
    assert words in result.error.message
