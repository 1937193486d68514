"""The complete Keras program of a configuration of the built-in `mlp` on a named set."""

from __future__ import annotations

from typing import Any

from caviar.contract import mlp_keras
from caviar.contract.losses import Loss, fitting
from caviar.contract.mlp import MlpOptions
from caviar.contract.mlp_rules import parse
from caviar.contract.study import EarlyStopping, Metric
from caviar.snippets import mlp_data, mlp_rates
from caviar.snippets.source import Source, call, indented, listed, literal

_MODES = {"minimize": "min", "maximize": "max"}


def write(source: Source) -> str:
    """The program: data, model, optimizer, training, evaluation.

    Raises:
        InvalidRequest: The options contradict each other, so that nothing can be trained.
    """
    options = parse({**source.config, **source.params})
    data = mlp_data.write(options, source.data_seed)
    loss, *_ = fitting(
        data.labels, data.num_classes, "auto" if options.loss == "auto" else options.loss, options.output
    )
    num_outputs = data.num_classes or 1 if loss.output == "softmax" else 1
    path = "from pathlib import Path\n\n" if source.has_weights else ""
    imports = "\n".join(["import keras", "import numpy as np", *data.imports])
    rates = mlp_rates.write(options, source.max_epochs)
    blocks = [
        f'"""{source.headline}\n\n{_needs(data)}\n"""\n\n{path}{imports}',
        f"# The data, split and scaled as in the study.\n{data.body}",
        f"batch_size = {_batch_size(options)}",
        *rates.blocks,
        _model(source, options, loss, num_outputs),
        _compile(options, loss, rates.name),
        _training(source, options),
    ]
    return "\n\n".join(blocks) + "\n"


def _needs(data: mlp_data.DataText) -> str:
    more = " and scikit-learn" if data.imports else ""
    return f"Needs keras with a backend, numpy{more}. Nothing of Caviar."


def _batch_size(options: MlpOptions) -> str:
    return "len(train)" if options.batch_size == "full" else f"min({options.batch_size}, len(train))"


def _model(source: Source, options: MlpOptions, loss: Loss, num_outputs: int) -> str:
    layers = ['keras.Input(shape=(x.shape[1],), name="inputs")']
    if options.input_dropout > 0:
        layers.append(f'keras.layers.Dropout({options.input_dropout!r}, name="input_dropout")')
    for number, units in enumerate(options.layer_units, start=1):
        layers += _hidden(options, number, units)
    activation = f"activation={literal(loss.output)}"
    layers.append(
        f'keras.layers.Dense({num_outputs}, {activation}, kernel_initializer="glorot_uniform", name="output")'
    )
    sequential = call("model = keras.Sequential", listed(layers), name='"mlp"')
    return f"keras.utils.set_random_seed({source.seed})\n{sequential}"


def _hidden(options: MlpOptions, number: int, units: int) -> list[str]:
    arguments = {"kernel_initializer": literal(mlp_keras.initializer(options))}
    if options.l1 or options.l2:
        arguments["kernel_regularizer"] = f"keras.regularizers.L1L2(l1={options.l1!r}, l2={options.l2!r})"
    if options.batch_normalization:
        arguments["use_bias"] = "False"
    layers = [call("keras.layers.Dense", str(units), **arguments, name=literal(f"dense_{number}"))]
    if options.batch_normalization:
        layers.append(f'keras.layers.BatchNormalization(name="normalization_{number}")')
    layers.append(f'keras.layers.Activation({literal(options.activation)}, name="activation_{number}")')
    if options.dropout > 0:
        layers.append(f'keras.layers.Dropout({options.dropout!r}, name="dropout_{number}")')
    return layers


def _compile(options: MlpOptions, loss: Loss, rate: str) -> str:
    cls, arguments = mlp_keras.optimizer(options)
    # The others are Keras's own defaults.
    told = {name: value for name, value in arguments.items() if _is_told(options, name, value)}
    optimizer = call(
        f"keras.optimizers.{cls}", learning_rate=rate, **{name: literal(value) for name, value in told.items()}
    )
    return call(
        "model.compile",
        optimizer=optimizer,
        loss=f"keras.losses.{mlp_keras.LOSS_CLASSES[loss.name]}()",
        metrics=f"[{', '.join(_metrics(loss))}]",
    )


def _is_told(options: MlpOptions, name: str, value: Any) -> bool:
    return name in options.model_fields_set or getattr(options, name, None) != value


def _metrics(loss: Loss) -> list[str]:
    if loss.labels == "number":
        return ['keras.metrics.MeanAbsoluteError(name="mae")', 'keras.metrics.MeanSquaredError(name="mse")']
    cls = "Sparse" if loss.labels == "integer" else ""
    kind = "Binary" if loss.output == "sigmoid" else f"{cls}Categorical"
    return [f'keras.metrics.{kind}Accuracy(name="accuracy")']


def _training(source: Source, options: MlpOptions) -> str:
    callbacks = ["keras.callbacks.TerminateOnNaN()", *_plateau(options, source.metric)]
    if source.early_stopping is not None:
        callbacks.append(_early_stopping(source.early_stopping, source.metric))
    fit = call(
        "history = model.fit",
        "x[train]",
        "y[train]",
        validation_data="(x[validation], y[validation])",
        batch_size="batch_size",
        epochs=str(source.max_epochs),
        callbacks=listed(callbacks),
        verbose="2",
    )
    told = "print(model.evaluate(x[validation], y[validation], return_dict=True, verbose=0))"
    if not source.has_weights:
        return f"{fit}\n{told}"
    return "\n".join(
        [
            f"# `caviar weights {source.trial_id}` saves the weights of the best epoch; with them nothing is trained.",
            f"weights = Path({literal(source.weights_name)})",
            "if weights.exists():",
            "    model.load_weights(weights)",
            "else:",
            indented(fit),
            told,
        ]
    )


def _plateau(options: MlpOptions, metric: Metric) -> list[str]:
    if not options.reduce_lr_on_plateau:
        return []
    return [
        call(
            "keras.callbacks.ReduceLROnPlateau",
            monitor=literal(metric.name),
            mode=literal(_MODES[metric.direction]),
            factor=literal(options.plateau_factor),
            patience=literal(options.plateau_patience),
            min_delta=literal(options.plateau_min_delta),
            cooldown=literal(options.plateau_cooldown),
            min_lr=literal(options.plateau_min_lr),
        )
    ]


def _early_stopping(spec: EarlyStopping, metric: Metric) -> str:
    monitor = spec.monitor or metric.name
    mode = _MODES[metric.direction] if spec.mode == "auto" and monitor == metric.name else spec.mode
    return call(
        "keras.callbacks.EarlyStopping",
        monitor=literal(monitor),
        min_delta=literal(spec.min_delta),
        patience=literal(spec.patience),
        mode=literal(mode),
        baseline=literal(spec.baseline),
        restore_best_weights=literal(spec.restore_best_weights),
        start_from_epoch=literal(spec.start_from_epoch),
    )
