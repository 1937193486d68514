"""The order of the training rows: in each epoch another one, which follows from the trial's seed and the epoch alone.

Keras shuffles arrays on TensorFlow by an operation whose state begins anew with every epoch: once the global seed is
set, all epochs have the same order. So arrays go through a pipeline of our own there. On JAX and torch, Keras draws
each order from generators that `worker.chance` seeds before each epoch. Anything but arrays is handed to Keras as it
is.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import keras
import numpy as np

_DEFAULT_BATCH_SIZE = 32
# Other options of fit concern the rows as well, so Keras gets the arrays themselves.
_INDIFFERENT = frozenset({"batch_size", "shuffle", "validation_batch_size", "validation_freq", "validation_steps"})


class NotPlain(Exception):
    """Something else than arrays of numbers, or arrays of several lengths."""


def fit_arguments(
    train: Any, options: Mapping[str, Any], *, steps_per_execution: int, seed: int, first_epoch: int
) -> dict[str, Any]:
    """Arguments of `fit` for a training set and the objective's other options.

    Args:
        train: The training set of an objective.
        options: Of `fit`, without callbacks.
        steps_per_execution: Of the compiled model.
        seed: Of the trial.
        first_epoch: The first epoch that will be trained, from 1.
    """
    as_given = {**_by_name(train), **options}
    if not is_ours(options):
        return as_given
    try:
        rows = plain_rows(train)
    except NotPlain:
        return as_given
    num_rows = count(rows)
    batch_size = batch_size_of(options)
    num_steps = -(-num_rows // batch_size)
    if num_steps % steps_per_execution:
        # An execution of several steps would run on into the next epoch.
        return as_given
    ours = {name: value for name, value in options.items() if name != "batch_size"}
    ours["validation_batch_size"] = options.get("validation_batch_size") or batch_size
    dataset = _dataset(rows, num_rows=num_rows, batch_size=batch_size, seed=seed, first_epoch=first_epoch)
    return {**ours, "x": dataset, "steps_per_epoch": num_steps, "shuffle": False}


def _by_name(train: Any) -> dict[str, Any]:
    if isinstance(train, (tuple, list)):
        return dict(zip(("x", "y", "sample_weight"), train, strict=False))
    return {"x": train}


def batch_size_of(options: Mapping[str, Any]) -> int:
    """Rows per step."""
    return int(options.get("batch_size") or _DEFAULT_BATCH_SIZE)


def is_ours(options: Mapping[str, Any]) -> bool:
    """Whether the order of arrays is ours to decide with these options of `fit`."""
    return (
        keras.backend.backend() == "tensorflow"
        and options.get("shuffle", True) is True
        and not options.keys() - _INDIFFERENT
    )


def plain_rows(train: Any) -> Any:
    """A set as a nested tuple of arrays: inputs, labels and, if there are any, weights of the rows.

    Raises:
        NotPlain: It is anything else.
    """
    if not isinstance(train, (tuple, list)) or len(train) not in (2, 3) or any(part is None for part in train[:2]):
        raise NotPlain
    parts = [part for part in train if part is not None]
    if len(parts) == 3 and isinstance(parts[1], (Mapping, list, tuple)):
        # Keras has rules of its own for the weights of several outputs.
        raise NotPlain
    rows = tuple(_plain(part) for part in parts)
    if len({len(array) for array in _leaves(rows)}) != 1 or not len(_leaves(rows)[0]):
        raise NotPlain
    return rows


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    array = _array(value)
    if not isinstance(array, np.ndarray) or array.ndim == 0 or array.dtype.kind not in "biuf":
        raise NotPlain
    is_float = array.dtype.kind == "f"
    return array.astype(keras.config.floatx(), copy=False) if is_float else array


def _array(value: Any) -> Any:
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return value.to_numpy()
    # As Keras does it: a column is a table of one column.
    if pandas is not None and isinstance(value, pandas.Series):
        return value.to_numpy()[:, None]
    return value


def count(rows: Any) -> int:
    """How many rows there are."""
    return len(_leaves(rows)[0])


def num_bytes(rows: Any) -> int:
    """Of all arrays of a set."""
    return sum(int(array.nbytes) for array in _leaves(rows))


def of_epoch(num_rows: int, *, seed: int, epoch: int) -> Any:
    """The numbers of the rows in the order of an epoch, a tensor of shape `(num_rows,)`.

    Args:
        num_rows: How many.
        seed: Of the trial.
        epoch: From 1.
    """
    import tensorflow as tf

    return _compiled_order()(tf.constant([num_rows, seed, epoch], tf.int64))


@cache
def _compiled_order() -> Any:
    import tensorflow as tf

    def order(values: Any) -> Any:
        with tf.device("CPU:0"):
            return _drawn(values[0], values[1], values[2])

    return tf.function(order, input_signature=[tf.TensorSpec([3], tf.int64)], autograph=False)


def _drawn(num_rows: Any, seed: Any, epoch: Any) -> Any:
    import tensorflow as tf

    draws = tf.random.stateless_uniform([num_rows], tf.stack([seed, epoch]), None, None, dtype=tf.int32)
    return tf.argsort(draws, stable=True)


def _leaves(rows: Any) -> list[Any]:
    if isinstance(rows, Mapping):
        return [leaf for item in rows.values() for leaf in _leaves(item)]
    if isinstance(rows, tuple):
        return [leaf for item in rows for leaf in _leaves(item)]
    return [rows]


def _dataset(rows: Any, *, num_rows: int, batch_size: int, seed: int, first_epoch: int) -> Any:
    import tensorflow as tf

    num_full, num_left = divmod(num_rows, batch_size)
    # Autograph would leave a file in the temporary folder for each function, and there is nothing to convert.
    as_it_is = tf.autograph.experimental.do_not_convert
    with tf.device("CPU:0"):
        tensors = tf.nest.map_structure(tf.convert_to_tensor, rows)

    def order(epoch: Any) -> Any:
        return _drawn(num_rows, seed, epoch)

    def batches(numbers: Any) -> Any:
        last = tf.data.Dataset.from_tensors(numbers[num_full * batch_size :])
        if not num_full:
            return last
        full = tf.data.Dataset.from_tensor_slices(tf.reshape(numbers[: num_full * batch_size], [num_full, batch_size]))
        return full.concatenate(last) if num_left else full

    def gather(numbers: Any) -> Any:
        return tf.nest.map_structure(lambda tensor: tf.gather(tensor, numbers), tensors)

    # One iterator serves all epochs: to make a new one for each, as Keras does, takes longer than a small epoch.
    epochs = tf.data.Dataset.range(first_epoch, sys.maxsize)
    ordered = epochs.map(as_it_is(order)).prefetch(1)
    dataset = ordered.flat_map(as_it_is(batches)).map(as_it_is(gather)).prefetch(2)
    plain = tf.data.Options()
    # Nothing here could be made faster by TensorFlow, and its attempt costs time in every trial.
    plain.experimental_optimization.apply_default_optimizations = False
    return dataset.with_options(plain)
