"""A training function: softmax regression on handwritten digits, in NumPy alone, with checkpoints.

Offer it with `caviar work --objective examples/function_objective/objective.py`, then submit `study.yaml`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import caviar

SPACE = {
    "learning_rate": {"type": "float", "low": 0.01, "high": 2.0, "scale": "log"},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "scale": "reverse_log"},
    "batch_size": {"type": "int", "low": 16, "high": 256, "scale": "log"},
}


@caviar.objective(name="digits-numpy", space=SPACE)
def train(trial: Any) -> None:
    """Train one configuration, epoch by epoch."""
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=0.25, stratify=y, random_state=trial.data_seed)
    x_train, x_validation, y_train, y_validation = parts
    weights, velocity = np.zeros((64, 10)), np.zeros((64, 10))
    if trial.checkpoint:
        saved = np.load(trial.checkpoint / "state.npz")
        weights, velocity = saved["weights"], saved["velocity"]
    for epoch in trial.epochs():
        # A generator for each epoch: a resumed training draws what an uninterrupted one would have drawn.
        order = np.random.default_rng([trial.seed, epoch]).permutation(len(x_train))
        for start in range(0, len(order), trial.params["batch_size"]):
            rows = order[start : start + trial.params["batch_size"]]
            error = probabilities(x_train[rows], weights) - np.eye(10)[y_train[rows]]
            gradient = x_train[rows].T @ error / len(rows)
            velocity = trial.params["momentum"] * velocity - trial.params["learning_rate"] * gradient
            weights = weights + velocity
        if trial.should_checkpoint(epoch):
            with trial.save_checkpoint(epoch) as folder:
                np.savez(folder / "state.npz", weights=weights, velocity=velocity)
        predicted = probabilities(x_validation, weights)
        chosen = predicted[np.arange(len(y_validation)), y_validation]
        accuracy = (predicted.argmax(axis=1) == y_validation).mean()
        trial.report(epoch, {"val_loss": -np.log(np.maximum(chosen, 1e-12)).mean(), "val_accuracy": accuracy})
        if trial.should_stop():
            break


def probabilities(x: Any, weights: Any) -> Any:
    """The probability of each class, shape `(num_rows, 10)`."""
    scores = x @ weights
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
