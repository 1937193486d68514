"""Train a compiled model for the epochs of an assignment: by a program where that is possible, or else by `fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from worker import order
from worker.checkpoints import building
from worker.programs import epochs, signature
from worker.programs.cache import PROGRAMS, Rows

# More than this is not kept in tensors beside the arrays.
_MAX_BYTES = 2**30


def fit(
    model: Any,
    train: Any,
    validation: Any,
    *,
    options: Mapping[str, Any],
    callbacks: Sequence[Any],
    seed: int,
    first_epoch: int,
    max_epochs: int,
) -> None:
    """Train from an epoch to another, or until a callback sets `stop_training`.

    Args:
        model: Compiled, with its weights and the state of its optimizer as they are before the first epoch.
        train: The training set as its objective gave it.
        validation: The validation set.
        options: Further arguments of Keras's `fit`, without callbacks.
        callbacks: Keras callbacks, in the order in which they are called.
        seed: Of the trial.
        first_epoch: The first epoch to train, from 1.
        max_epochs: The last one.
    """
    plan = _plan(model, train, validation, options=options, callbacks=callbacks, seed=seed)
    if plan is not None and epochs.train(
        model, plan, callbacks, PROGRAMS, first_epoch=first_epoch, max_epochs=max_epochs
    ):
        return
    arguments = order.fit_arguments(
        train, options, steps_per_execution=model.steps_per_execution, seed=seed, first_epoch=first_epoch
    )
    model.fit(
        validation_data=validation,
        initial_epoch=first_epoch - 1,
        epochs=max_epochs,
        callbacks=list(callbacks),
        verbose=0,
        **arguments,
    )


def _plan(
    model: Any, train: Any, validation: Any, *, options: Mapping[str, Any], callbacks: Sequence[Any], seed: int
) -> epochs.Plan | None:
    if not (PROGRAMS.is_on and order.is_ours(options) and options.get("validation_steps") is None):
        return None
    if not epochs.accepts(callbacks) or _is_limited():
        return None
    try:
        sets = [order.plain_rows(train), *([] if validation is None else [order.plain_rows(validation)])]
    except order.NotPlain:
        return None
    if sum(map(order.num_bytes, sets)) > _MAX_BYTES:
        return None
    if not model.built and signature.is_known_kind(model):
        building.build(model, sets[0])
    tensors = [Rows(PROGRAMS.tensors.of(rows), order.count(rows)) for rows in sets]
    batch_size = order.batch_size_of(options)
    return epochs.Plan(
        train=tensors[0],
        validation=tensors[1] if len(tensors) == 2 else None,
        batch_size=batch_size,
        validation_batch_size=options.get("validation_batch_size") or batch_size,
        validation_freq=options.get("validation_freq", 1),
        seed=seed,
    )


def _is_limited() -> bool:
    # For debugging, Keras can be told to take no more than some epochs or steps.
    return keras.config.max_epochs() is not None or keras.config.max_steps_per_epoch() is not None
