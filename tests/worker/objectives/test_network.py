"""The layers that the options ask for."""

from __future__ import annotations

from typing import Any, get_args

import keras
import pytest

from caviar.contract.losses import Loss
from caviar.contract.mlp import ActivationName, InitializerName, MlpOptions
from worker.objectives import network, output

SIGMOID = Loss("binary_crossentropy", "integer", "sigmoid")


def build(**options: Any) -> Any:
    return network.build(MlpOptions(**options), num_inputs=4, head=output.head(SIGMOID, 1))


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_layers_in_their_order() -> None:
    model = build(num_layers=2, units=3, dropout=0.2, input_dropout=0.1, batch_normalization=True)
    hidden = ["Dense", "BatchNormalization", "Activation", "Dropout"]
    assert kinds(model) == ["Dropout", *hidden, *hidden, "Dense"]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.1, 0.2, 0.2]
    assert [layer.use_bias for layer in model.layers if isinstance(layer, keras.layers.Dense)] == [False, False, True]


def test_a_plain_network_has_nothing_else() -> None:
    assert kinds(build(num_layers=1)) == ["Dense", "Activation", "Dense"]
    assert kinds(build(num_layers=0)) == ["Dense"]


def test_sizes() -> None:
    model = build(units_1=300, units_2=200, units_3=100)
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)] == [300, 200, 100, 1]
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 1)


def test_penalties_are_on_the_hidden_kernels_alone() -> None:
    first, *_, last = build(num_layers=1, l1=0.01, l2=0.02).layers
    assert (float(first.kernel_regularizer.l1), float(first.kernel_regularizer.l2)) == pytest.approx((0.01, 0.02))
    assert first.bias_regularizer is None
    assert last.kernel_regularizer is None
    assert build(num_layers=1).layers[0].kernel_regularizer is None


@pytest.mark.parametrize("activation", get_args(ActivationName))
def test_auto_picks_the_initializer_of_the_activation(activation: str) -> None:
    expected = (
        "LecunNormal"
        if activation == "selu"
        else "GlorotUniform"
        if activation in ("sigmoid", "tanh", "softsign", "linear")
        else "HeNormal"
    )
    model = build(num_layers=1, activation=activation)
    assert type(model.layers[0].kernel_initializer).__name__ == expected
    assert model.layers[1].activation.__name__ == activation


@pytest.mark.parametrize("name", [name for name in get_args(InitializerName) if name != "auto"])
def test_each_initializer_is_keras_s(name: str) -> None:
    layer = build(num_layers=1, initializer=name).layers[0]
    assert type(layer.kernel_initializer) is type(keras.initializers.get(name))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("binary_crossentropy", keras.losses.BinaryCrossentropy),
        ("categorical_crossentropy", keras.losses.CategoricalCrossentropy),
        ("sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy),
        ("mean_squared_error", keras.losses.MeanSquaredError),
        ("mean_squared_logarithmic_error", keras.losses.MeanSquaredLogarithmicError),
    ],
)
def test_each_loss_is_keras_s(name: str, expected: type) -> None:
    assert type(output.loss_function(Loss(name, "integer", "softmax"))) is expected


@pytest.mark.parametrize(
    ("loss", "names"),
    [
        (SIGMOID, ["accuracy"]),
        (Loss("sparse_categorical_crossentropy", "integer", "softmax"), ["accuracy"]),
        (Loss("categorical_crossentropy", "one_hot", "softmax"), ["accuracy"]),
        (Loss("mean_squared_error", "number", "linear"), ["mae", "mse"]),
    ],
)
def test_metrics_follow_from_the_labels(loss: Loss, names: list[str]) -> None:
    assert [metric.name for metric in output.metrics(loss)] == names
