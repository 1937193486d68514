"""Early stopping of training functions: Keras's rule, epoch by epoch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from caviar.contract.study import EarlyStopping, Metric
from worker.callbacks import early_stopping
from worker.failures import NotTrainable
from worker.forms.patience import Patience

CURVES = {
    "falling": [1 / (1 + epoch) for epoch in range(12)],
    "flat": [0.5] * 12,
    "wavy": [0.5, 0.25, 0.75, 0.25, 0.125, 0.5, 0.625, 0.125, 0.0625, 1.0, 1.0, 1.0],
    "noisy": np.random.default_rng(1).random(12).tolist(),
    "lost": [0.5, float("nan"), 0.25, float("nan"), 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.75],
}
SPECS = [
    {"patience": 0},
    {"patience": 2},
    {"patience": 3, "min_delta": 0.1},
    {"patience": 2, "start_from_epoch": 4},
    {"patience": 2, "baseline": 0.3},
    {"patience": 1, "mode": "max"},
    {"patience": 2, "monitor": "loss"},
]


def last_epoch_of_keras(spec: EarlyStopping, metric: Metric, curve: list[float]) -> int:
    callback = early_stopping(spec.model_copy(update={"restore_best_weights": False}), metric)
    model = SimpleNamespace(stop_training=False, metrics=[])
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(curve):
        callback.on_epoch_end(epoch, {"val_loss": value, "loss": value})
        if model.stop_training:
            return epoch + 1
    return len(curve)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("given", SPECS, ids=str)
def test_the_rule_is_that_of_keras(given: dict[str, Any], curve: str, direction: Any) -> None:
    spec, metric = EarlyStopping(**given), Metric(name="val_loss", direction=direction)
    patience = Patience(spec, metric)
    values = CURVES[curve]
    ended = next((epoch for epoch, value in enumerate(values, 1) if patience.is_over(epoch, value)), len(values))
    assert ended == last_epoch_of_keras(spec, metric, values)


def test_another_metric_needs_a_mode() -> None:
    with pytest.raises(NotTrainable, match=r"watches val_recall.*set its mode to min or max"):
        Patience(EarlyStopping(monitor="val_recall"), Metric())
    assert Patience(EarlyStopping(monitor="val_recall", mode="max"), Metric()).monitor == "val_recall"
