"""The options of the built-in objective `mlp`, and the space that is searched when a study gives none."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from caviar.contract.data import DataOptions
from caviar.contract.errors import refusal
from caviar.contract.losses import LossName, OutputName
from caviar.contract.space import Space

OptimizerName = Literal[
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "nadam", "adamax", "lion"
]  # fmt: skip
ScheduleName = Literal["constant", "step", "exponential", "cosine", "cosine_restarts"]
ActivationName = Literal[
    "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "softsign", "sigmoid", "tanh", "linear"
]  # fmt: skip
InitializerName = Literal[
    "auto", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"
]  # fmt: skip

MAX_LAYERS = 64
DEFAULT_LAYERS = 2

Units = Annotated[int, Field(ge=1, le=65_536)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
DropRate = Annotated[float, Field(ge=0, lt=1)]
Epochs = Annotated[int, Field(ge=0, le=1_000_000)]
BatchSize = Annotated[int, Field(ge=1, le=2**31 - 1)]

_LAYER_UNITS = re.compile(r"units_([1-9][0-9]?)")


class MlpOptions(DataOptions):
    """Every option of `mlp`; each can be fixed in the study's config or searched. None means Keras's default.

    Beside the options below there are `units_1`, `units_2`, … up to `units_64`: the size of that layer alone.

    Attributes:
        optimizer: `momentum` and `nesterov` are SGD with (Nesterov's) momentum.
        learning_rate: None for Keras's default: 0.01 for the three kinds of SGD, else 0.001.
        momentum: Of SGD and RMSprop; None for 0.9 with `momentum` and `nesterov`, 0 with `sgd` and `rmsprop`.
        beta_1: Decay of the first moment in adam, adamw, nadam, adamax, lion.
        beta_2: Decay of the second moment in the same; None for 0.999, lion 0.99.
        rho: Decay of the squared gradients in rmsprop.
        epsilon: Small number against division by zero.
        amsgrad: Keep the greatest second moment, in adam and adamw.
        centered: Normalise by the variance of the gradient, in rmsprop.
        initial_accumulator_value: Start of the squared gradients in adagrad.
        weight_decay: Decoupled decay; None for 0.004 with adamw, none with the others.
        clipnorm: Greatest norm of the gradient of each weight. At most one of the three kinds of clipping.
        clipvalue: Greatest absolute value in a gradient.
        global_clipnorm: Greatest norm of all gradients together.
        learning_rate_schedule: How the rate falls over the training; see `decay_epochs`.
        warmup_epochs: Epochs in which the rate rises linearly to `learning_rate` before the schedule begins.
        decay_epochs: Epochs between two steps (`step`, default 10), per `decay_rate` (`exponential`, default 1), to the
            end of the cosine (`cosine`, default all epochs after the warm-up), to the first restart
            (`cosine_restarts`, default 10).
        decay_rate: Factor per `decay_epochs`; None for 0.5 with `step`, 0.96 with `exponential`.
        alpha: Least rate of the two cosines, as a fraction of `learning_rate`.
        t_mul: Factor from the length of a period to that of the next one (`cosine_restarts`).
        m_mul: Factor from the rate at a restart to that at the next one (`cosine_restarts`).
        reduce_lr_on_plateau: Lower the rate when the study's metric stops improving, in place of a schedule.
        plateau_factor: By which the rate is multiplied.
        plateau_patience: Epochs without a gain after which it is.
        plateau_min_delta: Least change that counts as a gain.
        plateau_cooldown: Epochs to wait after a reduction.
        plateau_min_lr: Least rate.
        batch_size: Rows per step; `full` for plain gradient descent on the whole training part.
        num_layers: Hidden layers; None for as many as there are `units_N`, or 2. 0 is a linear model.
        units: Units of each layer that has no `units_N` of its own.
        activation: Of the hidden layers.
        initializer: Of the kernels of the hidden layers. `auto` picks He for ReLU and its like, LeCun for selu, Glorot
            for sigmoid, tanh, softsign and linear.
        dropout: Share of the units dropped after each hidden layer.
        input_dropout: Share of the inputs dropped.
        l1: Factor of the L1 penalty on the kernels of the hidden layers. Keras adds penalties to loss and val_loss.
        l2: Factor of the L2 penalty.
        batch_normalization: Normalise each hidden layer before its activation.
        loss: None other than the labels call for: `auto`.
        output: Activation of the output layer; `auto` follows the loss.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Units] = Field(init=False)

    optimizer: OptimizerName = "adam"
    learning_rate: Positive | None = None
    momentum: Decay | None = None
    beta_1: Decay = 0.9
    beta_2: Decay | None = None
    rho: Decay = 0.9
    epsilon: Positive = 1e-7
    amsgrad: bool = False
    centered: bool = False
    initial_accumulator_value: NotNegative = 0.1
    weight_decay: NotNegative | None = None
    clipnorm: Positive | None = None
    clipvalue: Positive | None = None
    global_clipnorm: Positive | None = None

    learning_rate_schedule: ScheduleName = "constant"
    warmup_epochs: NotNegative = 0.0
    decay_epochs: Positive | None = None
    decay_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.0
    t_mul: Annotated[float, Field(ge=1)] = 2.0
    m_mul: Annotated[float, Field(gt=0, le=1)] = 1.0

    reduce_lr_on_plateau: bool = False
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    plateau_patience: Epochs = 10
    plateau_min_delta: NotNegative = 1e-4
    plateau_cooldown: Epochs = 0
    plateau_min_lr: NotNegative = 0.0

    batch_size: BatchSize | Literal["full"] = 32
    num_layers: Annotated[int, Field(ge=0, le=MAX_LAYERS)] | None = None
    units: Units = 64
    activation: ActivationName = "relu"
    initializer: InitializerName = "auto"
    dropout: DropRate = 0.0
    input_dropout: DropRate = 0.0
    l1: NotNegative = 0.0
    l2: NotNegative = 0.0
    batch_normalization: bool = False
    loss: LossName = "auto"
    output: OutputName = "auto"

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, values: Any) -> Any:
        for name in values if isinstance(values, dict) else ():
            if not is_option(name):
                raise refusal(name, "the name of an option", advise(name), field=str(name))
        return values

    @property
    def layer_units(self) -> tuple[int, ...]:
        """Sizes of the hidden layers, from the input to the output."""
        own = {int(name.removeprefix("units_")): size for name, size in (self.__pydantic_extra__ or {}).items()}
        count = self.num_layers if self.num_layers is not None else max(own, default=DEFAULT_LAYERS)
        return tuple(own.get(layer, self.units) for layer in range(1, count + 1))


def is_option(name: object) -> bool:
    """Whether `mlp` has an option of this name."""
    if not isinstance(name, str):
        return False
    layer = _LAYER_UNITS.fullmatch(name)
    return name in MlpOptions.model_fields or (layer is not None and int(layer[1]) <= MAX_LAYERS)


def advise(name: object) -> str:
    """What to do about an unknown option: the most similar known one, or where all are listed."""
    if isinstance(name, str) and name.startswith("units_"):
        return f"layers have units_1 to units_{MAX_LAYERS}"
    similar = difflib.get_close_matches(str(name)[:100], list(MlpOptions.model_fields), n=1)
    return f"did you mean {similar[0]}?" if similar else "docs/objectives.md lists all options"


DEFAULT_SPACE = Space.model_validate(
    {
        "optimizer": {"type": "categorical", "choices": ["nesterov", "rmsprop", "adam", "adamw"]},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "scale": "log"},
        "momentum": {
            "type": "float", "low": 0.5, "high": 0.99, "scale": "reverse_log", "when": {"optimizer": ["nesterov"]},
        },
        "beta_1": {
            "type": "float", "low": 0.8, "high": 0.999, "scale": "reverse_log",
            "when": {"optimizer": ["adam", "adamw"]},
        },
        "batch_size": {"type": "int", "low": 16, "high": 256, "scale": "log"},
        "num_layers": {"type": "int", "low": 1, "high": 4},
        "units": {"type": "int", "low": 16, "high": 512, "scale": "log"},
        "activation": {"type": "categorical", "choices": ["relu", "gelu", "tanh"]},
        "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    }
)  # fmt: skip
