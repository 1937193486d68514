"""Train a compiled model for the epochs of an assignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from worker import order


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
