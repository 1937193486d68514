"""Which loss and output layer go with which labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from caviar.contract.data import LabelsName

LossName = Literal[
    "auto", "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy",
    "mean_squared_error", "mean_squared_logarithmic_error",
]  # fmt: skip
OutputName = Literal["auto", "sigmoid", "softmax", "linear"]


class LossMismatch(ValueError):
    """Labels, loss and output layer do not go together.

    Attributes:
        field: The option to blame: `loss`, `output` or `labels`.
        expected: What would fit, and how to fix it.
    """

    def __init__(self, field: str, received: str, expected: str) -> None:
        """Keep the option to blame and what would fit it."""
        super().__init__(f"{field} {received} does not fit: {expected}")
        self.field = field
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss function, the labels it is defined on, and the activation of the output layer in front of it.

    Attributes:
        name: Keras's name of the function.
        labels: Encoding of the labels that it compares with.
        output: Activation of the output layer.
    """

    name: str
    labels: Literal["integer", "one_hot", "number"]
    output: Literal["sigmoid", "softmax", "linear"]


_LOSSES = (
    Loss("binary_crossentropy", "integer", "sigmoid"),
    Loss("sparse_categorical_crossentropy", "integer", "softmax"),
    Loss("categorical_crossentropy", "one_hot", "softmax"),
    Loss("mean_squared_error", "number", "linear"),
    Loss("mean_squared_logarithmic_error", "number", "linear"),
)

_KINDS = {"integer": "integer classes", "one_hot": "one-hot classes", "number": "numbers"}


def fitting(labels: LabelsName, num_classes: int | None, loss: LossName, output: OutputName) -> list[Loss]:
    """The losses and output layers for some labels, at least one, the most natural first.

    Args:
        labels: Encoding of the labels; `auto` if it is not known yet.
        num_classes: Number of classes; None if it is not known yet, or the labels are numbers.
        loss: A loss, or `auto` for the first that fits.
        output: An activation of the output layer, or `auto` for the one that goes with the loss.
    Returns:
        All that fit; for two integer classes binary cross-entropy behind one sigmoid comes first.
    Raises:
        LossMismatch: Nothing fits.
    """
    named = [entry for entry in _LOSSES if loss in ("auto", entry.name)]
    with_output = [entry for entry in named if output in ("auto", entry.output)]
    if not with_output:
        raise LossMismatch("output", output, f"{named[0].output}, the output layer of {loss}; leave output out for it")
    with_labels = [entry for entry in with_output if labels in ("auto", entry.labels)]
    if not with_labels:
        _refuse_labels(with_output[0], labels, num_classes, loss, output)
    found = [entry for entry in with_labels if _fits_classes(entry, num_classes)]
    if not found:
        field, received = ("loss", loss) if loss != "auto" else ("output", output)
        raise LossMismatch(
            field,
            received,
            f"the data have {num_classes} classes and one sigmoid tells two apart; use "
            "sparse_categorical_crossentropy with softmax, or leave both out",
        )
    return found


def _fits_classes(entry: Loss, num_classes: int | None) -> bool:
    return entry.name != "binary_crossentropy" or num_classes in (None, 2)


def _refuse_labels(entry: Loss, labels: LabelsName, num_classes: int | None, loss: str, output: str) -> None:
    kind = _KINDS[labels] if num_classes is None else f"{num_classes} {_KINDS[labels]}"
    field, received = ("loss", loss) if loss != "auto" else ("output", output)
    suitable = " or ".join(
        other.name for other in _LOSSES if other.labels == labels and _fits_classes(other, num_classes)
    )
    raise LossMismatch(
        field,
        received,
        f"{received} is for {_KINDS[entry.labels]} and the labels are {kind}; "
        f"set labels: {entry.labels}, or use {suitable}",
    )
