"""The objective `mlp` as a whole: it trains, it learns, it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest

from caviar.contract.mlp import DEFAULT_SPACE, ActivationName, InitializerName, OptimizerName, ScheduleName
from caviar.contract.study import Metric
from worker.data.errors import DataError
from worker.objectives.errors import Infeasible
from worker.objectives.mlp import MlpObjective


def train(config: dict[str, Any], *, epochs: int = 1, data_dir: Path | None = None, eager: bool = True) -> Any:
    """Train as a worker does; without tracing, which costs more than these epochs."""
    keras.utils.set_random_seed(1)
    objective = MlpObjective(config=config, data_dir=data_dir, data_seed=3, metric=Metric(), max_epochs=epochs)
    model = objective.build({})
    model.run_eagerly = eager
    (x, y), validation = objective.data({})
    return model.fit(x, y, validation_data=validation, epochs=epochs, verbose=0, **objective.fit_options({})).history


IRIS = {"dataset": "iris", "batch_size": "full", "units": 4, "num_layers": 1}


@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
def test_each_optimizer_trains(optimizer: str) -> None:
    history = train({**IRIS, "optimizer": optimizer, "global_clipnorm": 1.0})
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.parametrize("schedule", get_args(ScheduleName))
def test_each_schedule_trains(schedule: str) -> None:
    history = train({**IRIS, "learning_rate_schedule": schedule, "warmup_epochs": 1.0}, epochs=2)
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.parametrize("activation", get_args(ActivationName))
def test_each_activation_trains(activation: str) -> None:
    assert np.isfinite(train({**IRIS, "activation": activation})["val_loss"]).all()


@pytest.mark.parametrize("initializer", get_args(InitializerName))
def test_each_initializer_trains(initializer: str) -> None:
    assert np.isfinite(train({**IRIS, "initializer": initializer, "activation": "tanh"})["val_loss"]).all()


@pytest.mark.parametrize(
    ("config", "loss", "num_outputs", "metrics"),
    [
        ({"dataset": "breast_cancer"}, "binary_crossentropy", 1, {"accuracy"}),
        ({"dataset": "breast_cancer", "output": "softmax"}, "sparse_categorical_crossentropy", 2, {"accuracy"}),
        ({"dataset": "breast_cancer", "labels": "one_hot"}, "categorical_crossentropy", 2, {"accuracy"}),
        ({"dataset": "wine"}, "sparse_categorical_crossentropy", 3, {"accuracy"}),
        ({"dataset": "wine", "labels": "one_hot"}, "categorical_crossentropy", 3, {"accuracy"}),
        ({"dataset": "wine", "labels": "number"}, "mean_squared_error", 1, {"mae", "mse"}),
        ({"dataset": "diabetes"}, "mean_squared_error", 1, {"mae", "mse"}),
        (
            {"dataset": "diabetes", "loss": "mean_squared_logarithmic_error"},
            "mean_squared_logarithmic_error",
            1,
            {"mae", "mse"},
        ),
    ],
)
def test_loss_output_and_metrics_follow_from_the_labels(
    config: dict[str, Any], loss: str, num_outputs: int, metrics: set[str]
) -> None:
    model = MlpObjective(config=config).build({})
    assert model.loss.name == loss
    assert model.output_shape == (None, num_outputs)
    history = train({**config, "batch_size": 64})
    assert {"loss", "val_loss", *metrics, *(f"val_{name}" for name in metrics)} == set(history)
    assert np.isfinite(history["val_loss"]).all()


def test_a_binary_loss_is_keras_s_own_number() -> None:
    objective = MlpObjective(config={"dataset": "breast_cancer"})
    model = objective.build({})
    _, (x, y) = objective.data({})
    predicted = model.predict(x, verbose=0)[:, 0]
    expected = -np.mean(y * np.log(predicted) + (1 - y) * np.log(1 - predicted))
    assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(expected, rel=1e-4)


def test_it_learns() -> None:
    history = train({"dataset": "digits", "learning_rate": 0.005}, epochs=6, eager=False)
    assert min(history["val_loss"]) < 0.2
    assert max(history["val_accuracy"]) > 0.94


def test_the_same_seed_gives_the_same_curve() -> None:
    config = {**IRIS, "batch_size": 30, "dropout": 0.2}
    assert train(config, epochs=2) == train(config, epochs=2)


def test_parameters_go_over_the_config() -> None:
    objective = MlpObjective(config={"dataset": "iris", "units": 4, "num_layers": 1})
    assert [layer.units for layer in objective.build({"units": 9}).layers if hasattr(layer, "units")] == [9, 3]


@pytest.mark.parametrize(("batch_size", "expected"), [(16, 16), ("full", 90), (5000, 90)])
def test_batch_sizes(batch_size: int | str, expected: int) -> None:
    options = MlpObjective(config={"dataset": "iris"}).fit_options({"batch_size": batch_size})
    assert options["batch_size"] == expected
    assert options["callbacks"] == []


def test_a_plateau_lowers_the_rate() -> None:
    config = {
        **IRIS,
        "reduce_lr_on_plateau": True,
        "plateau_patience": 1,
        "plateau_min_delta": 100.0,
        "optimizer": "sgd",
    }
    history = train(config, epochs=3)
    assert history["learning_rate"] == pytest.approx([0.01, 0.01, 0.001])


def test_a_schedule_knows_the_steps_of_an_epoch() -> None:
    config = {"dataset": "iris", "batch_size": 40, "learning_rate_schedule": "step", "decay_epochs": 1}
    rate = MlpObjective(config=config).build({}).optimizer.learning_rate
    assert float(rate) == pytest.approx(0.001)
    model = MlpObjective(config=config).build({})
    model.optimizer.iterations.assign(3)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.0005)


def test_the_test_part_is_never_given_to_a_training() -> None:
    objective = MlpObjective(config={"dataset": "digits", "scaling": "none"})
    (x, _), (x_validation, _) = objective.data({})
    assert len(x) + len(x_validation) == pytest.approx(0.8 * 1797, abs=10)


@pytest.mark.parametrize(
    ("config", "params", "words"),
    [
        ({"dataset": "digits"}, {"loss": "binary_crossentropy"}, "10 classes"),
        ({"dataset": "digits"}, {"learning_rate": -1.0}, "above 0"),
        ({"dataset": "digits"}, {"lerning_rate": 1.0}, "did you mean learning_rate"),
        ({"dataset": "iris", "clipnorm": 1.0}, {"clipvalue": 1.0}, "clipnorm is given too"),
        (
            {"dataset": "diabetes", "target_scaling": "standard"},
            {"loss": "mean_squared_logarithmic_error"},
            "expected none below 0",
        ),
    ],
)
def test_configurations_that_cannot_be_trained_are_infeasible(
    config: dict[str, Any], params: dict[str, Any], words: str
) -> None:
    with pytest.raises(Infeasible, match=words):
        MlpObjective(config=config).build(params)


def test_a_mismatch_with_a_file_is_found_when_the_data_are_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,target\n" + "".join(f"{i},{i % 3}\n" for i in range(30)))
    for loss, words in (("binary_crossentropy", "3 classes"), ("mean_squared_error", "set labels: number")):
        objective = MlpObjective(config={"file": "a.csv", "loss": loss}, data_dir=tmp_path)
        with pytest.raises(Infeasible, match=words):
            objective.build({})
    history = train({"file": "a.csv", "labels": "number"}, data_dir=tmp_path)
    assert np.isfinite(history["val_loss"]).all()


def test_several_numbers_per_row_can_be_predicted(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=random.normal(size=(40, 3)), y=random.normal(size=(40, 2)))
    model = MlpObjective(config={"file": "a.npz"}, data_dir=tmp_path).build({})
    assert model.output_shape == (None, 2)
    assert np.isfinite(train({"file": "a.npz"}, data_dir=tmp_path)["val_loss"]).all()


def test_missing_data_is_an_error_and_not_infeasible(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        MlpObjective(config={"file": "a.npz"}, data_dir=tmp_path).data({})


@pytest.mark.parametrize("unit", [0.0, 0.3, 0.6, 1.0])
def test_configurations_of_the_default_space_can_be_built(unit: float) -> None:
    params = DEFAULT_SPACE.params_at([unit] * len(DEFAULT_SPACE))
    model = MlpObjective(config={"dataset": "wine"}).build(params)
    assert model.output_shape == (None, 3)


def test_naming_the_objective_loads_neither_keras_nor_numpy() -> None:
    code = (
        "import sys; from worker.objectives.loading import BUILTIN; "
        "print(sorted({'keras', 'numpy', 'tensorflow', 'sklearn', 'pyarrow'} & sys.modules.keys()), *BUILTIN)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "mlp"]
