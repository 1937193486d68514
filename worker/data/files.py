"""Files below the worker's data folder: NPZ, CSV and Parquet."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from caviar.contract.data import DataOptions
from worker.data.errors import DataError
from worker.data.table import Array, Table, table

_SHOWN_NAMES = 20


def locate(data_dir: Path | None, name: str) -> Path:
    """The path of a file that a study names.

    Args:
        data_dir: The folder that the operator has given to the worker.
        name: Relative name within it.
    Raises:
        DataError: There is no data folder, no such file, or the name leads out of the folder.
    """
    if data_dir is None:
        raise DataError(f"file {name!r} is asked for, but this worker has no data folder; start it with one")
    folder = data_dir.resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise DataError(f"file {name!r} leads out of the worker's data folder; name a file inside it")
    if not path.is_file():
        there = sorted(
            str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix in (".npz", ".csv", ".parquet")
        )
        raise DataError(f"no file {name!r} in the worker's data folder; it holds {_listed(there)}")
    return path


def load(path: Path, options: DataOptions) -> Table:
    """Read a file.

    Args:
        path: Ends in `.npz`, `.csv` or `.parquet`.
        options: Which arrays or columns to take.
    Raises:
        DataError: The file is broken, or what is asked for is missing or not numeric.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _load_npz(path, options)
    if suffix not in (".csv", ".parquet"):
        raise DataError(f"{path.name}: expected a name that ends in .npz, .csv or .parquet")
    return _from_columns(path.name, _read_columns(path, options.separator), options)


def _load_npz(path: Path, options: DataOptions) -> Table:
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise DataError(f"{path.name} holds a single array, expected those of numpy.savez(path, x=..., y=...)")
            with arrays:
                return _from_arrays(path.name, arrays, options)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path.name} is no readable NPZ file of plain arrays: {error}; "
            "write it with numpy.savez(path, x=..., y=...)"
        ) from error


def _from_arrays(name: str, arrays: Mapping[str, Array], options: DataOptions) -> Table:
    target = options.target or "y"
    for wanted in (options.features, target):
        if wanted not in arrays:
            raise DataError(
                f"{name} has no array {wanted!r}, but {_listed(list(arrays))}; name the arrays with features and target"
            )
    return table(name, arrays[options.features], arrays[target])


def _read_columns(path: Path, separator: str) -> Any:
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        if path.suffix.lower() == ".parquet":
            return parquet.read_table(path)
        # The types of columns are guessed from the first block alone, so one block has to hold all rows.
        reading = csv.ReadOptions(block_size=min(max(path.stat().st_size, 1), 2**31 - 1))
        parsing = csv.ParseOptions(delimiter=separator)
        return csv.read_csv(path, read_options=reading, parse_options=parsing)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error


def _from_columns(name: str, columns: Any, options: DataOptions) -> Table:
    target = options.target or "target"
    inputs = options.columns or [column for column in columns.column_names if column != target]
    for wanted in (target, *inputs):
        if columns.column_names.count(wanted) != 1:
            found = "no" if wanted not in columns.column_names else "more than one"
            raise DataError(
                f"{name} has {found} column {wanted!r}, but {_listed(columns.column_names)}; name the columns "
                "with target and columns"
            )
    if target in inputs:
        raise DataError(f"{name}: the target {target!r} is among the inputs too; take it out of columns")
    if not inputs:
        raise DataError(f"{name} has no column beside the target {target!r}, expected at least one input")
    x = np.column_stack([_numbers(name, column, columns[column]) for column in inputs])
    return table(name, x, _labels(name, target, columns[target]))


def _numbers(name: str, column: str, values: Any) -> Array:
    from pyarrow import types

    _require_filled(name, column, values)
    kind = values.type
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)):
        raise DataError(
            f"{name}: column {column!r} holds {kind} such as {_example(values)}, expected numbers; leave it "
            "out with columns, or encode it as numbers first"
        )
    return np.asarray(values.to_numpy(), dtype=np.float64)


def _labels(name: str, column: str, values: Any) -> Array:
    from pyarrow import types

    _require_filled(name, column, values)
    kind = values.type.value_type if types.is_dictionary(values.type) else values.type
    if types.is_string(kind) or types.is_large_string(kind):
        return np.asarray(values.to_pylist(), dtype=np.str_)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return np.asarray(values.to_pylist() if types.is_dictionary(values.type) else values.to_numpy())
    if types.is_decimal(kind):
        return np.asarray(values.to_numpy(), dtype=np.float64)
    raise DataError(f"{name}: target {column!r} holds {kind} such as {_example(values)}, expected numbers or words")


def _require_filled(name: str, column: str, values: Any) -> None:
    if values.null_count:
        raise DataError(
            f"{name}: {values.null_count} of {len(values)} cells of column {column!r} are empty, expected a "
            "value in each; remove these rows or fill them in first"
        )


def _example(values: Any) -> str:
    return repr(values[0].as_py())[:60] if len(values) else "nothing"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN_NAMES]) or "nothing"
    return shown if len(names) <= _SHOWN_NAMES else f"{shown} and {len(names) - _SHOWN_NAMES} more"
