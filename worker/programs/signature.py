"""The signature of a compiled model: equal for two models that one program can train.

It holds all that shapes the computation: layers, optimizer, loss, metrics. It leaves out what a program takes over from
each model: weights and seeds, and the knobs. A model with anything that is not known to be safe has no signature.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers
from keras.src.models.functional import Functional
from keras.src.optimizers.schedules.learning_rate_schedule import LearningRateSchedule
from keras.src.trainers.compile_utils import CompileLoss, CompileMetrics

from worker.objectives.schedules import WarmUp
from worker.programs.knobs import OPTIMIZERS, REGULARIZERS, SCHEDULES, Knob, find, of_optimizer

_LAYERS: frozenset[type] = frozenset(
    {
        layers.InputLayer, layers.Dense, layers.Activation, layers.Dropout, layers.BatchNormalization,
        layers.LayerNormalization, layers.Flatten, layers.Reshape, layers.Permute, layers.RepeatVector,
        layers.Concatenate, layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum,
        layers.Minimum, layers.Dot, layers.Embedding, layers.Rescaling, layers.ReLU, layers.LeakyReLU, layers.ELU,
        layers.PReLU, layers.Softmax, layers.GaussianNoise, layers.ZeroPadding1D, layers.ZeroPadding2D,
        layers.Conv1D, layers.Conv2D, layers.SeparableConv1D, layers.SeparableConv2D, layers.DepthwiseConv2D,
        layers.MaxPooling1D, layers.MaxPooling2D, layers.AveragePooling1D, layers.AveragePooling2D,
        layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D, layers.GlobalAveragePooling1D,
        layers.GlobalAveragePooling2D,
    }
)  # fmt: skip
_REGULARIZED = ("kernel", "bias", "activity", "gamma", "beta", "embeddings", "alpha", "depthwise", "pointwise")
# What the weights at the beginning come from, and names, which shape no computation.
_PASSED_OVER = frozenset({"name", "seed", "dtype"})
_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics", "call")


class NotReusable(Exception):
    """The model has something that is not known to be safe; the message names it."""


@dataclass(frozen=True)
class Signature:
    """What a program needs to know of a model.

    Attributes:
        text: Equal for models that one program can train.
        knobs: The numbers that the program takes as inputs, in an order that follows from the architecture.
    """

    text: str
    knobs: tuple[Knob, ...]


def of(model: Any) -> Signature:
    """The signature of a built and compiled model.

    Raises:
        NotReusable: The model is not known to be safe.
    """
    _check_model(model)
    reader = _Reader()
    facts = {
        "layers": [reader.layer(layer) for layer in model.layers],
        "links": _links(model),
        "outputs": _output_names(model),
        "optimizer": reader.optimizer(model.optimizer),
        "compile": [*_compiled(model), bool(model.jit_compile)],
    }
    try:
        return Signature(json.dumps(facts, sort_keys=True), tuple(reader.knobs))
    except (TypeError, ValueError) as error:
        raise NotReusable(f"a configuration that is no JSON: {error}") from error


def is_known_kind(model: Any) -> bool:
    """Whether a model is made of layers alone, without code of its own."""
    return type(model) in (keras.Sequential, Functional)


def _check_model(model: Any) -> None:
    _require(is_known_kind(model), f"a model of class {type(model).__name__}")
    _require(not any(name in vars(model) for name in _STEPS), "a step of its own")
    _require(bool(model.built) and bool(model.compiled), "a model that is not built")
    _require(not model.run_eagerly, "run_eagerly")
    _require(not model._metrics, "metrics that were not given to compile")
    _require(getattr(model, "_distribute_strategy", None) is None, "a distribution strategy")
    _require(all(str(variable.dtype) == "float32" for variable in model.weights), "weights other than float32")


class _Reader:
    """Reads layers and optimizer, and collects their knobs on the way."""

    def __init__(self) -> None:
        self.knobs: list[Knob] = []
        self._owners: dict[int, int] = {}

    def layer(self, layer: Any) -> dict[str, Any]:
        kind = type(layer)
        _require(kind in _LAYERS, f"a layer of class {kind.__name__}")
        _require(layer.dtype_policy.name == "float32", f"the dtype policy {layer.dtype_policy.name}")
        _require(not layer._metrics, "metrics of a layer")
        _require("call" not in vars(layer), "a layer with a method of its own")
        _require(_is_keras_function(getattr(layer, "activation", None)), "an activation that is not Keras's own")
        with warnings.catch_warnings():
            # Keras warns of functions without a name; here nothing is saved.
            warnings.simplefilter("ignore")
            config = {name: value for name, value in layer.get_config().items() if _shapes_computation(name)}
        for what in _REGULARIZED:
            name = f"{what}_regularizer"
            if name in config:
                config[name] = self._regularizer(getattr(layer, name))
            constraint = getattr(layer, f"{what}_constraint", None)
            _require(constraint is None or _is_kerass(constraint), "a constraint that is not Keras's own")
        if kind is layers.Dropout:
            _require(config["rate"] < 1, "dropout of everything")
            config["rate"] = self._add(layer, ("rate",))
        return {"class": kind.__name__, **config, "trainable": layer.trainable}

    def optimizer(self, optimizer: Any) -> dict[str, Any]:
        kind = type(optimizer)
        _require(kind in OPTIMIZERS, f"an optimizer of class {kind.__name__}")
        config = optimizer.get_config()
        for name in ("use_ema", "gradient_accumulation_steps", "loss_scale_factor"):
            _require(not config[name], name)
        excluded = getattr(optimizer, "_exclude_from_weight_decay", None)
        pattern = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
        _require(not excluded and pattern is None, "weights that do not decay")
        flags = {name: value for name, value in config.items() if isinstance(value, bool)}
        rate = self._rate(optimizer._learning_rate)
        return {"class": kind.__name__, **flags, "knobs": self._take(of_optimizer(optimizer)), "rate": rate}

    def _rate(self, rate: Any) -> Any:
        if isinstance(rate, keras.Variable):
            return "variable"
        kind = type(rate)
        if kind not in SCHEDULES:
            _require(isinstance(rate, LearningRateSchedule) and _is_kerass(rate), "a schedule that is not known")
            return {"class": kind.__name__, **rate.get_config()}
        config = {name: value for name, value in rate.get_config().items() if isinstance(value, bool)}
        after = None if kind is not WarmUp or rate.after is None else self._rate(rate.after)
        return {"class": kind.__name__, **config, "knobs": self._add(rate, SCHEDULES[kind]), "after": after}

    def _regularizer(self, regularizer: Any) -> Any:
        if regularizer is None:
            return None
        kind = type(regularizer)
        _require(kind in REGULARIZERS, f"a regularizer of class {kind.__name__}")
        return {"class": kind.__name__, "knobs": self._add(regularizer, REGULARIZERS[kind])}

    def _add(self, owner: Any, names: tuple[str, ...]) -> Any:
        # Layers may share a regularizer: then its knobs are there once, and the signature says where else.
        if id(owner) in self._owners:
            return self._owners[id(owner)]
        self._owners[id(owner)] = len(self.knobs)
        return self._take(find(owner, names))

    def _take(self, knobs: list[Knob]) -> list[str]:
        self.knobs += knobs
        return [knob.name for knob in knobs]


def _shapes_computation(name: str) -> bool:
    return name not in _PASSED_OVER and not name.endswith("_initializer")


def _output_names(model: Any) -> list[str] | None:
    # They are names of metrics; a single output gives none.
    if len(model.outputs) == 1:
        return None
    struct = getattr(model, "_functional", model)._outputs_struct
    return sorted(struct) if isinstance(struct, Mapping) else list(model.output_names)


def _links(model: Any) -> Any:
    if type(model) is keras.Sequential:
        return [list(tensor.shape) for tensor in model.inputs]
    config = model.get_config()
    numbers = {layer["name"]: number for number, layer in enumerate(config["layers"])}
    nodes = [layer["inbound_nodes"] for layer in config["layers"]]
    return _numbered([nodes, config["input_layers"], config["output_layers"]], numbers)


def _numbered(value: Any, numbers: Mapping[str, int]) -> Any:
    if isinstance(value, Mapping):
        return {name: _numbered(item, numbers) for name, item in value.items() if name != "name"}
    if isinstance(value, (list, tuple)):
        return [_numbered(item, numbers) for item in value]
    return numbers.get(value, value) if isinstance(value, str) else value


def _compiled(model: Any) -> Any:
    loss, metrics = model._compile_loss, model._compile_metrics
    _require(type(loss) is CompileLoss and (metrics is None or type(metrics) is CompileMetrics), "a loss of its own")
    given = [loss._user_loss, loss._user_loss_weights]
    if metrics is not None:
        given += [metrics._user_metrics, metrics._user_weighted_metrics]
    return [_plain(item) for item in given]


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    inner = [getattr(value, name, None) for name in ("fn", "_fn")]
    is_known = isinstance(value, (keras.losses.Loss, keras.metrics.Metric)) and _is_kerass(value)
    if is_known and all(_is_keras_function(function) for function in inner):
        dtype = value.dtype if isinstance(value.dtype, str) else value.dtype.name
        _require(dtype == "float32", f"a loss or metric of type {dtype}")
        return [type(value).__name__, keras.saving.serialize_keras_object(value)["config"]]
    if callable(value) and hasattr(value, "__name__") and _is_keras_function(value):
        return value.__name__
    raise NotReusable(f"a loss or metric that is not Keras's own: {value!r}")


def _is_keras_function(value: Any) -> bool:
    if value is None:
        return True
    module = getattr(value, "__module__", None)
    return not isinstance(value, layers.Layer) and isinstance(module, str) and module.startswith("keras.src.")


def _is_kerass(value: Any) -> bool:
    return type(value).__module__.startswith("keras.src.")


def _require(is_safe: bool, otherwise: str) -> None:
    if not is_safe:
        raise NotReusable(otherwise)
