"""Labels: recognised, encoded, refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from caviar.contract.data import LabelsName
from worker.data.errors import DataError
from worker.data.labels import encode

ONE_HOT = [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("raw", "kind", "num_classes"),
    [
        ([3, 1, 3], "integer", 2),
        ([True, False, True], "integer", 2),
        (["setosa", "virginica", "setosa"], "integer", 2),
        ([0.5, 1.0, 2.0], "number", None),
        ([1.0, 2.0, 3.0], "number", None),
        (ONE_HOT, "one_hot", 3),
        (np.array(ONE_HOT, dtype=float), "one_hot", 3),
        ([[0.1, 0.9], [1.0, 0.0]], "number", None),
        ([[1, 1], [1, 0]], "number", None),
    ],
)
def test_auto_recognises_labels(raw: Any, kind: str, num_classes: int | None) -> None:
    labels = encode("set", np.array(raw), "auto")
    assert (labels.kind, labels.num_classes) == (kind, num_classes)


@pytest.mark.parametrize(
    ("raw", "wanted", "values"),
    [
        ([7, 3, 7, 5], "integer", [2, 0, 2, 1]),
        (["b", "a", "b"], "integer", [1, 0, 1]),
        ([2.0, 1.0, 2.0], "integer", [1, 0, 1]),
        (ONE_HOT, "integer", [1, 0, 2]),
        ([5, 3, 5], "one_hot", [[0, 1], [1, 0], [0, 1]]),
        (ONE_HOT, "one_hot", ONE_HOT),
        ([3, 1, 2], "number", [3.0, 1.0, 2.0]),
        ([True, False], "number", [1.0, 0.0]),
        ([[1.5, 2.0], [0.0, 1.0]], "auto", [[1.5, 2.0], [0.0, 1.0]]),
    ],
)
def test_labels_are_encoded(raw: Any, wanted: LabelsName, values: Any) -> None:
    assert encode("set", np.array(raw), wanted).values.tolist() == values


@pytest.mark.parametrize(
    ("raw", "wanted", "words"),
    [
        (["a", "b"], "number", "the labels are words such as .*'a'"),
        ([0.5, 1.0], "integer", "numbers such as 0.5, expected whole ones"),
        ([0.5, 1.0], "one_hot", "numbers such as 0.5, expected whole ones"),
        ([4, 4, 4], "auto", "all labels are .*4.*, expected at least two classes"),
        ([[1, 1], [0, 1]], "integer", "expected one class per row"),
    ],
)
def test_labels_that_cannot_be_encoded_are_refused(raw: Any, wanted: LabelsName, words: str) -> None:
    with pytest.raises(DataError, match=words):
        encode("set", np.array(raw), wanted)


def test_classes_of_each_row() -> None:
    for wanted in ("integer", "one_hot"):
        classes = encode("set", np.array([9, 4, 9]), wanted).classes
        assert classes is not None
        assert classes.tolist() == [1, 0, 1]
    assert encode("set", np.array([0.1, 0.2]), "auto").classes is None
