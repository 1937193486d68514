"""Learning rates, step by step, against their formulas."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

from caviar.contract.mlp import MlpOptions
from caviar.contract.study import Metric
from worker.objectives import schedules
from worker.objectives.errors import Infeasible

STEPS = 10


def rates(steps: list[int], max_epochs: int | None = 20, **options: Any) -> list[float]:
    chosen = MlpOptions(learning_rate=0.1, **options)
    schedule = schedules.build(chosen, steps_per_epoch=STEPS, max_epochs=max_epochs)
    return [float(schedule(np.int64(step))) for step in steps]


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [("sgd", 0.01), ("momentum", 0.01), ("nesterov", 0.01), ("adam", 0.001), ("lion", 0.001)],
)
def test_a_constant_rate_is_a_number(optimizer: str, expected: float) -> None:
    options = MlpOptions.model_validate({"optimizer": optimizer})
    assert schedules.build(options, steps_per_epoch=STEPS, max_epochs=None) == expected


def test_step_decay_halves_every_ten_epochs() -> None:
    assert rates([0, 99, 100, 199, 200], learning_rate_schedule="step") == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025])
    assert rates([19, 20, 40], learning_rate_schedule="step", decay_epochs=2, decay_rate=0.1) == pytest.approx(
        [0.1, 0.01, 0.001]
    )


def test_exponential_decay_falls_with_every_step() -> None:
    found = rates([0, 5, 10, 20], learning_rate_schedule="exponential")
    assert found == pytest.approx([0.1 * 0.96 ** (step / STEPS) for step in (0, 5, 10, 20)])
    found = rates([30], learning_rate_schedule="exponential", decay_epochs=3, decay_rate=0.5)
    assert found == pytest.approx([0.05])


def test_cosine_ends_with_the_trial() -> None:
    found = rates([0, 50, 100, 200, 300], learning_rate_schedule="cosine")
    expected = [0.05 * (1 + math.cos(math.pi * step / 200)) for step in (0, 50, 100, 200)]
    assert found == pytest.approx([*expected, 0.0], abs=1e-8)
    found = rates([40, 80], learning_rate_schedule="cosine", decay_epochs=4, alpha=0.1)
    assert found == pytest.approx([0.01, 0.01])


def test_cosine_ends_with_the_trial_after_a_warmup() -> None:
    found = rates([49, 50, 125, 200], learning_rate_schedule="cosine", warmup_epochs=5)
    assert found == pytest.approx([0.1, 0.1, 0.05, 0.0], abs=1e-7)


def test_cosine_starts_again() -> None:
    found = rates([0, 99, 100, 299, 300], learning_rate_schedule="cosine_restarts", m_mul=0.5)
    assert found[0] == pytest.approx(0.1)
    assert found[1] < 1e-3
    assert found[2] == pytest.approx(0.05)
    assert found[3] < 1e-3
    assert found[4] == pytest.approx(0.025)
    equal = rates([50, 100], learning_rate_schedule="cosine_restarts", decay_epochs=5, t_mul=1.0)
    assert equal == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("kind", ["constant", "step", "exponential", "cosine", "cosine_restarts"])
def test_each_schedule_can_warm_up(kind: str) -> None:
    found = rates(list(range(25)), learning_rate_schedule=kind, warmup_epochs=2)
    assert found[:20] == pytest.approx([0.1 * (step + 1) / 20 for step in range(20)])
    assert found[20] == pytest.approx(0.1)
    plain = [0.1] * 5 if kind == "constant" else rates(list(range(5)), 18, learning_rate_schedule=kind)
    assert found[20:] == pytest.approx(plain)


def test_warm_up_may_last_a_part_of_an_epoch() -> None:
    assert rates([0, 4, 5], warmup_epochs=0.5) == pytest.approx([0.02, 0.1, 0.1])


def test_a_cosine_without_an_end_is_infeasible() -> None:
    with pytest.raises(Infeasible, match="set decay_epochs"):
        rates([0], None, learning_rate_schedule="cosine")
    with pytest.raises(Infeasible, match="leaves nothing of 5 epochs"):
        rates([0], 5, learning_rate_schedule="cosine", warmup_epochs=5)


def test_a_warm_up_survives_keras_serialization() -> None:
    options = MlpOptions(learning_rate=0.1, learning_rate_schedule="step", decay_epochs=1, warmup_epochs=1)
    optimizer = keras.optimizers.SGD(schedules.build(options, steps_per_epoch=4, max_epochs=None))
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for step in (0, 3, 4, 8):
        optimizer.iterations.assign(step)
        again.iterations.assign(step)
        assert float(again.learning_rate) == pytest.approx(float(optimizer.learning_rate))


def test_plateau_options_reach_the_callback() -> None:
    options = MlpOptions(
        reduce_lr_on_plateau=True,
        plateau_factor=0.3,
        plateau_patience=4,
        plateau_min_delta=0.01,
        plateau_cooldown=2,
        plateau_min_lr=1e-5,
    )
    (callback,) = schedules.callbacks(options, Metric(name="val_accuracy", direction="maximize"))
    assert isinstance(callback, keras.callbacks.ReduceLROnPlateau)
    found = (callback.factor, callback.patience, abs(callback.min_delta), callback.cooldown, callback.min_lr)
    assert found == (0.3, 4, 0.01, 2, 1e-5)
    assert (callback.monitor, callback.mode) == ("val_accuracy", "max")
    assert schedules.callbacks(MlpOptions(), Metric()) == []


def test_plateau_defaults_are_those_of_keras() -> None:
    (callback,) = schedules.callbacks(MlpOptions(reduce_lr_on_plateau=True), Metric())
    expected = keras.callbacks.ReduceLROnPlateau()
    for name in ("factor", "patience", "min_delta", "cooldown", "min_lr", "monitor"):
        assert getattr(callback, name) == getattr(expected, name)
