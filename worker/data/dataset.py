"""Data ready for training: loaded, encoded, split and scaled, once per process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from caviar.contract.data import DataOptions
from worker.data import files, named, scaling
from worker.data.labels import LabelKind, encode
from worker.data.split import split
from worker.data.table import Array, Table

# Trials of a study share their data, and few studies run at a time.
_KEPT = 4


@dataclass(frozen=True, slots=True)
class Part:
    """Rows for one purpose, read-only.

    Attributes:
        x: Inputs, shape `(num_rows, num_columns)`, float32.
        y: Labels, shape `(num_rows,)` or `(num_rows, num_classes)`; int32 for integer classes, else float32.
    """

    x: Array
    y: Array


@dataclass(frozen=True, slots=True)
class Dataset:
    """Data ready for training.

    Attributes:
        name: Of the source.
        train: To fit.
        validation: To compare configurations by.
        test: Never given to a training; empty if `test_fraction` is 0.
        labels: How labels are encoded.
        num_classes: Number of classes; None for numbers.
    """

    name: str
    train: Part
    validation: Part
    test: Part
    labels: LabelKind
    num_classes: int | None


def load(options: DataOptions, *, data_dir: Path | None, seed: int) -> Dataset:
    """Load the data of a study; equal arguments get the very same arrays again.

    Args:
        options: What to load and how to prepare it; options of other kinds are passed over.
        data_dir: Folder of the files that studies may name.
        seed: Of the split.
    Raises:
        DataError: The data cannot be loaded or used.
    """
    relevant = options.model_dump_json(include=set(DataOptions.model_fields))
    path = files.locate(data_dir, options.file) if options.file is not None else None
    # A file that was replaced is read again.
    stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path is not None else None
    return _load(relevant, path, stamp, seed)


@lru_cache(maxsize=_KEPT)
def _load(relevant: str, path: Path | None, _stamp: tuple[int, int] | None, seed: int) -> Dataset:
    options = DataOptions.model_validate_json(relevant)
    table = named.load(str(options.dataset)) if path is None else files.load(path, options)
    return prepare(table, options, seed=seed)


def prepare(table: Table, options: DataOptions, *, seed: int) -> Dataset:
    """Encode, split and scale.

    Raises:
        DataError: The labels cannot be encoded as wanted, or there are too few rows.
    """
    labels = encode(table.name, table.y, options.labels)
    parts = split(
        len(table.x),
        validation_fraction=options.validation_fraction,
        test_fraction=options.test_fraction,
        seed=seed,
        classes=labels.classes,
        num_test=table.num_test,
    )
    scale = scaling.fit(table.x[parts.train], options.scaling)
    targets = labels.values
    if labels.kind == "number":
        columns = targets.reshape(len(targets), -1)
        targets = scaling.fit(columns[parts.train], options.target_scaling)(columns).reshape(targets.shape)
    train, validation, test = (
        _part(scale(table.x[rows]), targets[rows]) for rows in (parts.train, parts.validation, parts.test)
    )
    return Dataset(table.name, train, validation, test, labels.kind, labels.num_classes)


def _part(x: Array, y: Array) -> Part:
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    x.setflags(write=False)
    y.setflags(write=False)
    return Part(x, y)
