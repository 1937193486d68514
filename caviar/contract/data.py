"""Which data an objective trains on: the sets known by name, files of the worker's operator, and how they are split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints

from caviar.contract.model import Model
from caviar.contract.wording import patterned

DatasetName = Literal[
    "digits", "breast_cancer", "wine", "iris", "diabetes",
    "mnist", "fashion_mnist", "cifar10", "cifar100", "california_housing", "boston_housing",
]  # fmt: skip
LabelsName = Literal["auto", "integer", "one_hot", "number"]
ScalingName = Literal["minmax", "standard", "none"]

FileName = Annotated[
    str,
    StringConstraints(max_length=200),
    patterned(
        r"^([A-Za-z0-9_][A-Za-z0-9_. -]*/)*[A-Za-z0-9_][A-Za-z0-9_. -]*$",
        "a relative name inside the worker's data folder, such as sales.csv or 2026/sales.csv, "
        "of which no part begins with a dot",
    ),
]
"""A plain name, or names joined by `/`, none of which begins with a dot: it cannot leave the folder it is sought in."""

ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What is known of a named set before it is loaded.

    Attributes:
        source: Who ships or loads it.
        num_classes: Number of classes; None where the target is a number.
        has_test: Whether the set comes with its own test part.
    """

    source: Literal["scikit-learn", "keras"]
    num_classes: int | None
    has_test: bool


DATASETS: dict[str, DatasetFacts] = {
    "digits": DatasetFacts("scikit-learn", 10, False),
    "breast_cancer": DatasetFacts("scikit-learn", 2, False),
    "wine": DatasetFacts("scikit-learn", 3, False),
    "iris": DatasetFacts("scikit-learn", 3, False),
    "diabetes": DatasetFacts("scikit-learn", None, False),
    "mnist": DatasetFacts("keras", 10, True),
    "fashion_mnist": DatasetFacts("keras", 10, True),
    "cifar10": DatasetFacts("keras", 10, True),
    "cifar100": DatasetFacts("keras", 100, True),
    "california_housing": DatasetFacts("keras", None, True),
    "boston_housing": DatasetFacts("keras", None, True),
}

DATASET_NAMES: tuple[str, ...] = get_args(DatasetName)


class DataOptions(Model):
    """Where rows come from and how they are prepared. One of `dataset` and `file` is needed.

    Attributes:
        dataset: A set by name. Those of scikit-learn are shipped with it, those of Keras are downloaded once.
        file: An `.npz`, `.csv` or `.parquet` file below the data folder of the worker.
        features: Array of the inputs in an NPZ file, shape `(num_rows, ...)`.
        columns: Columns of the inputs in a CSV or Parquet file; None for all but the target.
        target: Array or column of the labels; None for `y` in an NPZ file and `target` in a CSV or Parquet file.
        separator: Character between the cells of a CSV file.
        labels: What labels are given to the model: `integer` classes, `one_hot` classes or a `number`. `auto` takes
            whole numbers, words and booleans for integer classes, rows with a single 1 for one-hot, others for numbers.
        scaling: Of each input column, fitted on the training part: `minmax` to [0, 1], `standard` to mean 0 and
            deviation 1. The columns of an array of bytes are pixels of one unit and are scaled together.
        target_scaling: The same for labels that are numbers. Losses are then in the scaled unit.
        validation_fraction: Share of the rows that is validated on; of those outside the test part, where a set comes
            with its own.
        test_fraction: Share of the rows that is kept out of every training. A set with its own test part keeps it.
    """

    dataset: DatasetName | None = None
    file: FileName | None = None
    features: ColumnName = "x"
    columns: Annotated[list[ColumnName], Field(min_length=1, max_length=100_000)] | None = None
    target: ColumnName | None = None
    separator: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    labels: LabelsName = "auto"
    scaling: ScalingName = "minmax"
    target_scaling: ScalingName = "none"
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2
