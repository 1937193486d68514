"""Knobs: the numbers of a compiled model that may differ from trial to trial without another program.

While a program is traced, each knob's place in the model is taken by a `Runtime`, which stands for an input of the
program. Afterwards the model has its plain numbers back: nobody ever sees anything but an ordinary Keras model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras.optimizers import schedules

from worker.objectives.schedules import WarmUp

_EVERYWHERE = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm")
_MOMENTS = ("beta_1", "beta_2", "epsilon")

OPTIMIZERS: dict[type, tuple[str, ...]] = {
    keras.optimizers.SGD: ("momentum",),
    keras.optimizers.RMSprop: ("rho", "momentum", "epsilon"),
    keras.optimizers.Adagrad: ("epsilon",),
    keras.optimizers.Adadelta: ("rho", "epsilon"),
    keras.optimizers.Adam: _MOMENTS,
    keras.optimizers.AdamW: _MOMENTS,
    keras.optimizers.Nadam: _MOMENTS,
    keras.optimizers.Adamax: _MOMENTS,
    keras.optimizers.Lion: ("beta_1", "beta_2"),
}
"""The knobs of each optimizer, beside those that all have."""

SCHEDULES: dict[type, tuple[str, ...]] = {
    schedules.ExponentialDecay: ("initial_learning_rate", "decay_steps", "decay_rate"),
    schedules.InverseTimeDecay: ("initial_learning_rate", "decay_steps", "decay_rate"),
    schedules.CosineDecay: ("initial_learning_rate", "decay_steps", "alpha", "warmup_target", "warmup_steps"),
    schedules.CosineDecayRestarts: ("initial_learning_rate", "first_decay_steps", "_t_mul", "_m_mul", "alpha"),
    WarmUp: ("peak", "warmup_steps"),
}
"""The knobs of each schedule of the learning rate."""

REGULARIZERS: dict[type, tuple[str, ...]] = {
    keras.regularizers.L1: ("l1",),
    keras.regularizers.L2: ("l2",),
    keras.regularizers.L1L2: ("l1", "l2"),
}
"""The knobs of each penalty."""


@dataclass(frozen=True)
class Knob:
    """A number of a model.

    Attributes:
        owner: The optimizer, schedule, layer or regularizer that has it.
        name: Of the attribute.
        value: Never 0: what is 0 or None switches something off, and so belongs to the architecture.
    """

    owner: Any
    name: str
    value: float


def find(owner: Any, names: Iterable[str]) -> list[Knob]:
    """The knobs among some attributes; what is None or 0 is none."""
    present = [(name, getattr(owner, name)) for name in names]
    return [Knob(owner, name, float(value)) for name, value in present if value is not None and float(value)]


def of_optimizer(optimizer: Any) -> list[Knob]:
    """The knobs of an optimizer of a known class, without those of its schedule."""
    return find(optimizer, (*OPTIMIZERS[type(optimizer)], *_EVERYWHERE))


class Runtime:
    """An input of a program in the place of a Python number, with a Python number's arithmetic.

    What Keras computes with the number alone is computed in 64 bits and then rounded to 32, as with the number itself:
    the results are the same to the last bit.

    Attributes:
        exact: The number in 64 bits.
        rounded: The number in 32 bits.
    """

    def __init__(self, exact: Any) -> None:
        """Stand for a scalar tensor of 64 bits."""
        import tensorflow as tf

        self.exact = exact
        self.rounded = tf.cast(exact, tf.float32)
        # Made here, outside the loop over the steps, and not again in each of them.
        self._complement = tf.cast(1.0 - exact, tf.float32)
        self._reciprocal = tf.cast(1.0 / exact, tf.float32)
        self._negative = -self.rounded

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        """The number in 32 bits, where TensorFlow expects a tensor."""
        return self.rounded

    def __rsub__(self, other: Any) -> Any:
        """One minus the number."""
        return self._complement if isinstance(other, (int, float)) and other == 1 else other - self.rounded

    def __rtruediv__(self, other: Any) -> Any:
        """One over the number."""
        return self._reciprocal if isinstance(other, (int, float)) and other == 1 else other / self.rounded

    def __mul__(self, other: Any) -> Any:
        """The product with a tensor."""
        return self.rounded * other

    def __rmul__(self, other: Any) -> Any:
        """The product with a tensor."""
        return other * self.rounded

    def __neg__(self) -> Any:
        """The negative number."""
        return self._negative

    def __bool__(self) -> bool:
        """Never 0."""
        return True

    def __gt__(self, other: float) -> bool:
        """All knobs are positive numbers; they are compared with 0 alone."""
        return other == 0

    def __eq__(self, other: object) -> bool:
        """Never 0, and compared with 0 alone."""
        return self is other

    __hash__ = object.__hash__


class _RuntimeDropout(keras.layers.Dropout):
    """Dropout whose rate is an input of the program; the draws and the products are those of Keras."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop some of the inputs, and scale up the others."""
        import tensorflow as tf

        if not training:
            return inputs
        seed = tf.cast(self.seed_generator.next(), tf.int32)
        shape = tf.shape(inputs)
        if self.noise_shape is not None:
            shape = [shape[axis] if size is None else size for axis, size in enumerate(self.noise_shape)]
        scale, rate = self.rate
        draws = tf.random.stateless_uniform(shape, seed, dtype=inputs.dtype)
        kept = tf.where(draws >= rate, inputs * scale, tf.zeros([], inputs.dtype))
        kept.set_shape(inputs.shape)
        return kept


@contextmanager
def at_runtime(knobs: Sequence[Knob], values: Any) -> Iterator[None]:
    """Put inputs of a program in the place of the knobs of a model.

    Args:
        knobs: Of the model.
        values: Tensor of shape `(num_knobs,)`, in 64 bits.
    """
    import tensorflow as tf

    former = []
    try:
        for knob, exact in zip(knobs, tf.unstack(values, num=len(knobs)), strict=True):
            owner = knob.owner
            former.append((owner, knob.name, getattr(owner, knob.name), type(owner)))
            if isinstance(owner, keras.layers.Dropout):
                owner.__class__ = _RuntimeDropout
                owner.rate = (tf.cast(1.0 / (1.0 - exact), tf.float32), tf.cast(exact, tf.float32))
            else:
                setattr(owner, knob.name, Runtime(exact))
        yield
    finally:
        for owner, name, value, kind in reversed(former):
            setattr(owner, name, value)
            if type(owner) is not kind:
                owner.__class__ = kind
