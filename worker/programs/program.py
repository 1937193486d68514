"""A program: the training and the validation of one architecture, traced once, run for any number of trials."""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from worker.programs.knobs import Knob, at_runtime

_Function = Callable[..., dict[str, Any]]

_FUNCTION_BYTES = 8 * 2**20


class Program:
    """Two compiled functions and the variables that they change.

    A model that is to be trained lends the program its Keras variables: their values are copied into the program's own
    storage, and from then on they are views of that storage. So the model and its optimizer show at any time what the
    program has computed, and whatever is assigned to them, a learning rate or a set of weights, is what the program
    goes on with.

    Attributes:
        size_bytes: Of its variables, and of the functions, as measured with small models.
    """

    def __init__(self, model: Any, knobs: Sequence[Knob], train: Any, validation: Any) -> None:
        """Trace the steps of a model, which is not trained by that.

        Args:
            model: Built and compiled; becomes the first borrower.
            knobs: Of the model.
            train: Tensors of the training set, as `train_step` takes them, with any number of rows.
            validation: Tensors of the validation set; None for no validation.
        """
        model.optimizer.build(model.trainable_variables)
        _build_metrics(model, train)
        variables = _variables(model)
        self._storage = [variable._value for variable in variables]
        self._borrower = weakref.ref(model)
        self._train = _trace(model, knobs, train, is_training=True)
        self._test = _nothing if validation is None else _trace(model, knobs, validation, is_training=False)
        # The compiled functions do not keep variables alive, those of the metrics no more than the others.
        self._held = model.metrics_variables
        self.size_bytes = _FUNCTION_BYTES + sum(
            int(np.prod(storage.shape)) * storage.dtype.size for storage in self._storage
        )

    def adopt(self, model: Any) -> None:
        """Make the variables of a fresh model of the same signature views of the program's storage."""
        former = self._borrower()
        if former is not None and former is not model:
            self._release(former)
        model.optimizer.build(model.trainable_variables)
        for variable, storage in zip(_variables(model), self._storage, strict=True):
            if variable._value is not storage:
                storage.assign(variable._value)
                variable._value = storage
        _index(model.optimizer)
        self._borrower = weakref.ref(model)

    def train(self, knobs: Any, rows: Any, order: Any, *, first: int, last: int, batch_size: int) -> dict[str, Any]:
        """Train some steps of an epoch.

        Args:
            knobs: Values, shape `(num_knobs,)`, in 64 bits.
            rows: Tensors of the training set.
            order: Numbers of the rows in the order of the epoch.
            first: The first step, from 0; with 0 the metrics begin anew.
            last: The step before which to end.
            batch_size: Rows per step.
        Returns:
            The metrics of the epoch so far.
        """
        return self._train(knobs, rows, order, _int([first, last, batch_size]))

    def test(self, knobs: Any, rows: Any, *, last: int, batch_size: int) -> dict[str, Any]:
        """Evaluate rows in their own order; the arguments are those of `train`."""
        return self._test(knobs, rows, _int([]), _int([0, last, batch_size]))

    def _release(self, model: Any) -> None:
        # Somebody still holds a model that was trained before: it gets storage of its own again.
        import tensorflow as tf

        ours = set(map(id, self._storage))
        for variable in _variables(model):
            if id(variable._value) in ours:
                variable._value = tf.Variable(variable._value, trainable=variable.trainable, name=variable.name)
        _index(model.optimizer)


def _index(optimizer: Any) -> None:
    # An optimizer knows the weights by their storage.
    keys = map(optimizer._var_key, optimizer._trainable_variables)
    optimizer._trainable_variables_indices = {key: number for number, key in enumerate(keys)}


def _build_metrics(model: Any, train: Any) -> None:
    # Keras makes them within the first step; here they begin anew before it, so they have to be there.
    labels = keras.tree.map_structure(_symbol, train[1])
    predicted = getattr(model, "_functional", model)._outputs_struct
    for part in (model._compile_metrics, model._compile_loss):
        if part is not None and not part.built:
            part.build(labels, predicted)


def _symbol(tensor: Any) -> Any:
    return keras.KerasTensor((None, *tensor.shape[1:]), tensor.dtype.name)


def _variables(model: Any) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _int(value: list[int]) -> Any:
    import tensorflow as tf

    return tf.constant(value, tf.int32)


def _nothing(*_inputs: Any) -> dict[str, Any]:
    return {}


def _trace(model: Any, knobs: Sequence[Knob], rows: Any, *, is_training: bool) -> _Function:
    import tensorflow as tf

    run = model.train_step if is_training else model.test_step
    if model.jit_compile:
        # As Keras does it, and by default wherever there is a GPU: each step is one kernel of XLA.
        run = tf.function(run, jit_compile=True, autograph=False)

    def steps(values: Any, rows: Any, order: Any, sizes: Any) -> dict[str, Any]:
        first, last, batch_size = tf.unstack(sizes, num=3)

        def step(number: Any) -> tuple[Any]:
            start = number * batch_size
            if is_training:
                rows_of_step = order[start : start + batch_size]
                run(tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows_of_step), rows))
            else:
                run(tf.nest.map_structure(lambda tensor: tensor[start : start + batch_size], rows))
            return (number + 1,)

        with at_runtime(knobs, values):
            tf.cond(tf.equal(first, 0), lambda: _reset(model, first), lambda: first)
            tf.while_loop(lambda number: number < last, step, [first], parallel_iterations=1)
        return dict(model.get_metrics_result())

    specs = tf.nest.map_structure(lambda tensor: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype), rows)
    with _forgotten_gradients():
        function: _Function = tf.function(steps, autograph=False).get_concrete_function(
            tf.TensorSpec([len(knobs)], tf.float64),
            specs,
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([3], tf.int32),
        )
    return function


@contextmanager
def _forgotten_gradients() -> Iterator[None]:
    # TensorFlow enters every function with a gradient of its own, and with it the whole graph, in a register for ever.
    # Nobody derives a training step a second time, so it can be freed together with its program.
    register = importlib.import_module("tensorflow.python.framework.ops").gradient_registry._registry
    former = set(register)
    try:
        yield
    finally:
        for name in [name for name in register if name not in former]:
            del register[name]


def _reset(model: Any, answer: Any) -> Any:
    model.reset_metrics()
    return answer
