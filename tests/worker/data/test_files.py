"""Files of the operator: NPZ, CSV and Parquet, read or refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from caviar.contract.data import DataOptions
from worker.data import files
from worker.data.errors import DataError
from worker.data.table import Table


def read(folder: Path, name: str, **options: Any) -> Table:
    chosen = DataOptions(file=name, **options)
    return files.load(files.locate(folder, name), chosen)


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def test_npz_arrays_are_laid_flat(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(24).reshape(4, 3, 2), y=np.array([[0], [1], [0], [1]]))
    table = read(tmp_path, "a.npz")
    assert table.x.shape == (4, 6)
    assert table.y.tolist() == [0, 1, 0, 1]


def test_npz_arrays_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", inputs=np.zeros((2, 1)), outputs=np.ones(2))
    assert read(tmp_path, "a.npz", features="inputs", target="outputs").y.tolist() == [1.0, 1.0]
    with pytest.raises(DataError, match="no array 'x', but inputs, outputs"):
        read(tmp_path, "a.npz")


def test_npz_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 1)), y=np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(DataError, match="plain arrays"):
        read(tmp_path, "a.npz")


def test_a_single_array_is_no_npz_file(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="holds a single array"):
        read(tmp_path, "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 but no archive", b"nonsense"])
@pytest.mark.parametrize("name", ["a.npz", "a.parquet"])
def test_broken_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"a\.(npz is no readable|parquet cannot be read)"):
        read(tmp_path, name)


def test_csv_columns(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "age,is_new,target,height\n1,true,yes,1.5\n2,false,no,2\n")
    table = read(tmp_path, "a.csv")
    assert table.x.tolist() == [[1.0, 1.0, 1.5], [2.0, 0.0, 2.0]]
    assert table.y.tolist() == ["yes", "no"]


def test_csv_columns_are_chosen_in_their_order(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "name;a;b;c\nx;1;2;3\ny;4;5;6\n")
    table = read(tmp_path, "a.csv", target="a", columns=["c", "b"], separator=";")
    assert table.x.tolist() == [[3.0, 2.0], [6.0, 5.0]]
    assert table.y.tolist() == [1, 4]


def test_the_type_of_a_csv_column_follows_from_all_its_rows(tmp_path: Path) -> None:
    # More than the first megabyte, from which alone a streaming reader would guess.
    write(tmp_path, "a.csv", "a,target\n" + "1,0\n" * 300_000 + "0.5,1\n")
    assert read(tmp_path, "a.csv").x[-1, 0] == 0.5


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("a,b\n1,2\n", {}, "no column 'target', but a, b"),
        ("a,target\n1,2\n", {"columns": ["c"]}, "no column 'c'"),
        ("a,a,target\n1,2,3\n", {}, "more than one column 'a'"),
        ("a,target\n1,2\n", {"columns": ["a", "target"]}, "'target' is among the inputs"),
        ("target\n1\n", {}, "no column beside the target"),
        ("a,b,target\n1,red,0\n2,blue,1\n", {}, "column 'b' holds string such as 'red'"),
        ("a,target\n2020-01-01,0\n", {}, "column 'a' holds date32"),
        ("a,target\n1,0\n,1\n3,1\n", {}, "1 of 3 cells of column 'a' are empty"),
        ("a,target\n1,0\n2,\n", {}, "1 of 2 cells of column 'target' are empty"),
        ("a,target\n1,0\nnan,1\n", {}, "1 of the inputs are NaN or infinite|cells of column 'a' are empty"),
        ("a,target\n1,0\ninf,1\n", {}, "1 of the inputs are NaN or infinite"),
        ("a,target\n1,inf\n2,0.5\n", {}, "1 of the labels are NaN or infinite"),
        ("a,target\n1,2020-01-01\n", {}, "target 'target' holds date32"),
        ("a,target\n", {}, "column 'a' holds null|at least one row"),
        ("a,target\n1,0\n1,0,7\n", {}, "cannot be read"),
        ("", {}, "cannot be read"),
    ],
)
def test_csv_files_are_refused(tmp_path: Path, text: str, options: dict[str, Any], words: str) -> None:
    write(tmp_path, "a.csv", text)
    with pytest.raises(DataError, match=words):
        read(tmp_path, "a.csv", **options)


def test_parquet_columns(tmp_path: Path) -> None:
    columns = pa.table(
        {
            "a": pa.array([1, 2, 3], pa.int8()),
            "b": pa.array([Decimal("0.5"), Decimal("1.5"), Decimal("2.5")]),
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
        }
    )
    parquet.write_table(columns, tmp_path / "a.parquet")
    table = read(tmp_path, "a.parquet", target="kind")
    assert table.x.tolist() == [[1.0, 0.5], [2.0, 1.5], [3.0, 2.5]]
    assert table.y.tolist() == ["x", "y", "x"]
    assert read(tmp_path, "a.parquet", target="b", columns=["a"]).y.tolist() == [0.5, 1.5, 2.5]


def test_a_missing_file_is_refused_with_what_is_there(tmp_path: Path) -> None:
    write(tmp_path, "here.csv", "a,target\n")
    with pytest.raises(DataError, match=r"no file 'there.csv' in the worker's data folder; it holds here.csv"):
        files.locate(tmp_path, "there.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"no file 'folder\.csv'"):
        files.locate(tmp_path, "folder.csv")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "a,target\n1,2\n")
    with pytest.raises(DataError, match=r"ends in \.npz, \.csv or \.parquet"):
        read(tmp_path, "a.txt")


def test_a_worker_without_a_data_folder_refuses_files() -> None:
    with pytest.raises(DataError, match="has no data folder"):
        files.locate(None, "a.csv")


@pytest.mark.parametrize("name", ["../outside.csv", "link.csv", "/outside.csv"])
def test_nothing_outside_the_data_folder_is_read(tmp_path: Path, name: str) -> None:
    write(tmp_path, "outside.csv", "a,target\n1,2\n")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "link.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(DataError, match="leads out of the worker's data folder"):
        files.locate(folder, name)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.zeros((3, 2)), np.zeros(2), "3 rows of inputs and 2 labels"),
        (np.zeros((0, 2)), np.zeros(0), "at least one row"),
        (np.zeros((2, 0)), np.zeros(2), "one column"),
        (np.array(5.0), np.zeros(1), "at least one row"),
        (np.array([["a"], ["b"]]), np.zeros(2), "expected numbers"),
        (np.array([[1j], [2j]]), np.zeros(2), "expected numbers"),
        (np.array([[np.nan], [1.0]]), np.zeros(2), "1 of the inputs are NaN"),
        (np.zeros((2, 1)), np.array([np.inf, 0.0]), "1 of the labels are NaN"),
        (np.zeros((2, 1)), np.zeros((2, 2, 2)), "labels of shape"),
    ],
)
def test_arrays_are_refused(tmp_path: Path, x: Any, y: Any, words: str) -> None:
    np.savez(tmp_path / "a.npz", x=x, y=y)
    with pytest.raises(DataError, match=words):
        read(tmp_path, "a.npz")
