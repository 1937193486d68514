"""Which loss and output layer follow from which labels, over all combinations."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from caviar.contract.data import LabelsName
from caviar.contract.losses import Loss, LossMismatch, LossName, OutputName, fitting

FITTING = {
    ("binary_crossentropy", "integer", "sigmoid"),
    ("sparse_categorical_crossentropy", "integer", "softmax"),
    ("categorical_crossentropy", "one_hot", "softmax"),
    ("mean_squared_error", "number", "linear"),
    ("mean_squared_logarithmic_error", "number", "linear"),
}


@pytest.mark.parametrize(
    ("labels", "num_classes", "expected"),
    [
        ("integer", 2, Loss("binary_crossentropy", "integer", "sigmoid")),
        ("integer", 3, Loss("sparse_categorical_crossentropy", "integer", "softmax")),
        ("one_hot", 2, Loss("categorical_crossentropy", "one_hot", "softmax")),
        ("one_hot", 10, Loss("categorical_crossentropy", "one_hot", "softmax")),
        ("number", None, Loss("mean_squared_error", "number", "linear")),
    ],
)
def test_the_loss_follows_from_the_labels(labels: LabelsName, num_classes: int | None, expected: Loss) -> None:
    assert fitting(labels, num_classes, "auto", "auto")[0] == expected


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("labels", ["integer", "one_hot", "number"])
def test_exactly_the_fitting_combinations_are_accepted(labels: LabelsName, num_classes: int) -> None:
    classes = None if labels == "number" else num_classes
    for loss, output in itertools.product(get_args(LossName), get_args(OutputName)):
        expected = {
            entry
            for entry in FITTING
            if entry[1] == labels
            and loss in ("auto", entry[0])
            and output in ("auto", entry[2])
            and (entry[0] != "binary_crossentropy" or classes == 2)
        }
        if expected:
            found = fitting(labels, classes, loss, output)
            assert {(entry.name, entry.labels, entry.output) for entry in found} == expected
        else:
            with pytest.raises(LossMismatch) as caught:
                fitting(labels, classes, loss, output)
            assert caught.value.field in ("loss", "output")
            assert len(caught.value.expected) > 20


def test_the_output_can_be_overridden_alone() -> None:
    assert [entry.name for entry in fitting("integer", 2, "auto", "softmax")] == ["sparse_categorical_crossentropy"]


def test_unknown_labels_leave_the_loss_open() -> None:
    assert len(fitting("auto", None, "auto", "auto")) == len(FITTING)
    assert [entry.labels for entry in fitting("auto", None, "mean_squared_error", "auto")] == ["number"]
    with pytest.raises(LossMismatch):
        fitting("auto", None, "mean_squared_error", "sigmoid")
