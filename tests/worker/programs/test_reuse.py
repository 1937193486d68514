"""What trials of one architecture share, and what they do not; what goes through plain `fit`."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pytest

from tests.worker.programs.small import TRAIN, VALIDATION, assert_equal, network, trained
from worker.callbacks import EpochReporter, StopRequest
from worker.programs import signature
from worker.programs.cache import Programs


@pytest.fixture(autouse=True)
def _from_zero(programs: Programs) -> None:
    programs.num_traced = programs.num_reused = 0


def test_a_model_that_is_still_held_keeps_its_weights_when_the_next_one_trains(programs: Programs) -> None:
    first, _curve = trained(network)
    kept = first.get_weights()
    second, _curve = trained(network, seed=8)
    assert programs.num_reused == 1
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(first.get_weights(), kept, strict=True))
    assert not np.array_equal(second.get_weights()[0], kept[0])
    # Its optimizer still knows its weights.
    first.fit(*TRAIN, verbose=0)
    assert not np.array_equal(first.get_weights()[0], kept[0])


def test_one_model_may_be_trained_again_and_again(programs: Programs) -> None:
    model = network()
    small = TRAIN[0][:, :], TRAIN[1].astype("int64")
    for number, train in enumerate([TRAIN, small, TRAIN, small]):
        trained(lambda: model, train=train, max_epochs=1)
        before = model.get_weights()
        # Another model goes on with the program that this one was trained by.
        trained(network, train=train, seed=number, max_epochs=1)
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(model.get_weights(), before, strict=True))
        trained(lambda: model, train=train, max_epochs=1)
        assert not np.array_equal(model.get_weights()[0], before[0])
    assert programs.num_traced == 2


def test_a_program_keeps_no_model(programs: Programs) -> None:
    models = [weakref.ref(trained(network, seed=seed, max_epochs=1)[0]) for seed in (1, 2)]
    programs.end_trial()
    gc.collect()
    assert [model() for model in models] == [None, None]
    assert (programs.num_traced, programs.num_reused) == (1, 1)


def test_the_model_that_callbacks_see_is_the_one_that_is_trained() -> None:
    class Watching(keras.callbacks.Callback):
        """Looks at the model and changes it, as users do."""

        def __init__(self) -> None:
            super().__init__()
            self.told: list[float] = []
            self.found: list[float] = []

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            self.told.append((logs or {})["val_loss"])
            self.found.append(self.model.evaluate(*VALIDATION, verbose=0, return_dict=True)["loss"])
            self.model.optimizer.learning_rate = 0.02 / (epoch + 1)
            if epoch == 1:
                self.model.set_weights([0.5 * weight for weight in self.model.get_weights()])

    for seed in (7, 8):
        ours, plain = Watching(), Watching()
        assert_equal(
            trained(network, callbacks=[ours], seed=seed), trained(network, callbacks=[plain], seed=seed, is_on=False)
        )
        assert ours.found == pytest.approx(ours.told, rel=1e-5)


def test_numbers_that_a_callback_sets_before_the_first_step_count(programs: Programs) -> None:
    class Setting(keras.callbacks.Callback):
        """Changes an option of the optimizer, and then one of its schedule's kind."""

        def on_train_begin(self, logs: object = None) -> None:
            self.model.optimizer.beta_1 = 0.3

    class Clipping(keras.callbacks.Callback):
        """Needs another program than the model that was built."""

        def on_train_begin(self, logs: object = None) -> None:
            self.model.optimizer.clipnorm = 0.01

    for callback in (Setting(), Clipping()):
        assert_equal(trained(network, callbacks=[callback]), trained(network, callbacks=[callback], is_on=False))
    assert programs.num_traced == 2


def test_the_architecture_decides_and_not_the_numbers() -> None:
    def text(*arguments: Any, **options: Any) -> str:
        return signature.of(network(*arguments, **options)).text

    same = text(keras.optimizers.Adam(0.1), dropout=0.2)
    assert text(keras.optimizers.Adam(0.2, beta_1=0.5), dropout=0.3) == same
    others = [
        text(keras.optimizers.Adam(0.1)),
        text(keras.optimizers.Adam(0.1, clipnorm=1.0), dropout=0.2),
        text(keras.optimizers.Adam(0.1, amsgrad=True), dropout=0.2),
        text(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 5)), dropout=0.2),
        text(keras.optimizers.AdamW(0.1), dropout=0.2),
        text(keras.optimizers.Adam(0.1), dropout=0.2, units=9),
        text(keras.optimizers.Adam(0.1), dropout=0.2, penalty=keras.regularizers.L2(0.1)),
        text(keras.optimizers.Adam(0.1), dropout=0.2, metrics=()),
    ]
    assert len({same, *others}) == 1 + len(others)


def test_weights_that_are_frozen_make_another_architecture() -> None:
    frozen = network()
    frozen.layers[0].trainable = False
    assert signature.of(frozen).text != signature.of(network()).text


class Doubling(keras.layers.Layer):
    """A user's own layer."""

    def call(self, inputs: Any) -> Any:
        return 2 * inputs


class Own(keras.Sequential):
    """A user's own model."""

    def train_step(self, data: Any) -> dict[str, Any]:
        return {**super().train_step(data), "one": keras.ops.ones(())}


def _with(layer: Any) -> Any:
    model = keras.Sequential([keras.Input((6,)), layer, keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def _own() -> Any:
    model = Own([keras.Input((6,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def _loss(truth: Any, predicted: Any) -> Any:
    return keras.losses.sparse_categorical_crossentropy(truth, predicted) * 2


UNKNOWN = {
    "layer": lambda: _with(Doubling()),
    "activation": lambda: _with(keras.layers.Dense(4, activation=lambda x: 2 * x)),
    "penalty": lambda: _with(keras.layers.Dense(4, kernel_regularizer=keras.ops.sum)),
    "types": lambda: _with(keras.layers.Dense(4, dtype="mixed_bfloat16")),
    "model": _own,
    "metric": lambda: network(metrics=[_loss]),
    "moving averages": lambda: network(keras.optimizers.SGD(0.1, use_ema=True)),
    "accumulation": lambda: network(keras.optimizers.Adam(0.1, gradient_accumulation_steps=2)),
    "scaled": lambda: network(keras.optimizers.Adam(0.1, loss_scale_factor=4.0)),
    "optimizer": lambda: network(keras.optimizers.Ftrl(0.1)),
    "eager": lambda: network(run_eagerly=True),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_to_be_safe_is_left_to_fit(programs: Programs, name: str) -> None:
    assert_equal(trained(UNKNOWN[name], max_epochs=1), trained(UNKNOWN[name], max_epochs=1, is_on=False))
    assert programs.num_traced == 0


@pytest.mark.parametrize("options", [{"class_weight": {0: 2.0}}, {"shuffle": False}, {"validation_steps": 1}])
def test_options_that_concern_the_rows_are_left_to_fit(programs: Programs, options: dict[str, Any]) -> None:
    assert_equal(trained(network, max_epochs=1, **options), trained(network, max_epochs=1, is_on=False, **options))
    assert programs.num_traced == 0


def test_callbacks_that_look_at_batches_see_each_of_them(programs: Programs) -> None:
    batches: list[int] = []
    watching = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    trained(network, max_epochs=2, callbacks=[watching])
    assert batches == [0, 1, 2, 3, 4] * 2
    assert programs.num_traced == 0


def test_a_model_s_own_mistake_is_told_in_keras_s_words() -> None:
    with pytest.raises(ValueError, match="shape"):
        trained(network, train=(TRAIN[0][:, :4], TRAIN[1]))


def test_an_urgent_stop_ends_an_epoch_that_has_begun() -> None:
    stop = StopRequest()
    sent: list[int] = []

    def ask(_epoch: int, _logs: object) -> None:
        stop.wanted = "batch"

    reporter = EpochReporter(
        lambda epoch, _metrics, _elapsed: sent.append(epoch),
        metric="val_loss",
        required=["val_loss"],
        stop=stop,
        started=0.0,
        max_seconds=None,
    )
    asking = keras.callbacks.LambdaCallback(on_epoch_begin=ask)
    trained(network, callbacks=[asking, reporter], max_epochs=50)
    assert sent == []
    assert reporter.verdict is not None
    assert reporter.verdict.kind == "stopped"


def test_few_programs_are_kept_and_the_oldest_go() -> None:
    programs = Programs(max_programs=3)
    keys: list[str] = []
    for units in (4, 5, 6, 7, 8):
        found = signature.of(model := network(units=units))
        assert programs.find(model, found, *_rows(programs)) is not None
        keys.append(found.text)
    model = network(units=8)
    programs.find(model, signature.of(model), *_rows(programs))
    assert (programs.num_traced, programs.num_reused) == (5, 1)
    model = network(units=4)
    programs.find(model, signature.of(model), *_rows(programs))
    assert programs.num_traced == 6


def _rows(programs: Programs) -> Any:
    from worker.programs.cache import Rows

    return [Rows(programs.tensors.of(part), len(part[0])) for part in (TRAIN, VALIDATION)]
