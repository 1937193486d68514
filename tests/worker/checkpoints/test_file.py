"""Files of checkpoints: what goes in comes out, and what is damaged is refused."""

from __future__ import annotations

import itertools
import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from worker.checkpoints import file
from worker.checkpoints.errors import CheckpointBroken, CheckpointMissing
from worker.checkpoints.file import Content

ARRAYS = [
    np.arange(6, dtype="float32").reshape(2, 3),
    np.array([7, 2**60], dtype="int64"),
    np.array(0.1),
    np.zeros((0, 3), dtype="uint8"),
    np.array([True, False]),
    np.array([1.5, -0.0, np.inf], dtype=keras.ops.convert_to_numpy(keras.ops.zeros(1, "bfloat16")).dtype),
]
FACTS = {"epoch": 2, "name": "Wäldchen", "best": 0.1, "nothing": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "3" / "epoch.npz"


def test_what_goes_in_comes_out(path: Path) -> None:
    file.write(path, Content(ARRAYS, FACTS))
    content = file.read(path)
    assert content.facts == FACTS
    assert [array.dtype for array in content.arrays] == [array.dtype for array in ARRAYS]
    for ours, theirs in zip(content.arrays, ARRAYS, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [found.name for found in path.parent.iterdir()] == ["epoch.npz"]
    assert path.parent.stat().st_mode & 0o077 == 0


def test_numpy_opens_it_without_pickle(path: Path) -> None:
    file.write(path, Content(ARRAYS, FACTS))
    with np.load(path, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["0"], ARRAYS[0])


def test_a_file_that_is_not_there_is_missing(path: Path) -> None:
    with pytest.raises(CheckpointMissing, match="there is no file"):
        file.read(path)


def test_a_file_that_cannot_be_read_is_broken(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(CheckpointBroken, match="cannot be read"):
        file.read(path)


def test_every_changed_byte_and_every_lost_end_is_noticed(path: Path) -> None:
    file.write(path, Content([np.arange(3)], {"epoch": 1}))
    whole = path.read_bytes()
    changed = (whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in range(len(whole)))
    shortened = (whole[:length] for length in range(len(whole)))
    for damaged in itertools.chain(changed, shortened):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointBroken):
            file.read(path)
    path.write_bytes(whole)
    assert file.read(path).facts == {"epoch": 1}


def test_another_version_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "FORMAT", file.FORMAT + 1)
    file.write(path, Content(ARRAYS, FACTS))
    monkeypatch.undo()
    with pytest.raises(CheckpointBroken, match="has format 2, expected 1"):
        file.read(path)


def test_a_failure_leaves_the_former_file_and_no_half(path: Path) -> None:
    file.write(path, Content(ARRAYS, FACTS))
    with pytest.raises(ValueError, match="allow_pickle"):
        file.write(path, Content([np.array([object()])], {}))
    assert file.read(path).facts == FACTS
    assert [found.name for found in path.parent.iterdir()] == ["epoch.npz"]


def test_nothing_in_it_is_pickled(path: Path) -> None:
    file.write(path, Content(ARRAYS, FACTS))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["facts.json", *(f"{number}.npy" for number in range(len(ARRAYS)))]
        assert all(b"'descr': '|O'" not in archive.read(name) for name in archive.namelist())


def _forge(path: Path, header: bytes, *, compression: int = zipfile.ZIP_STORED, types: object = ("float32",)) -> None:
    """A sealed archive whose only array is what somebody else has made."""
    with file.sealing(path) as draft, zipfile.ZipFile(draft, "w", compression) as archive:
        archive.comment = file.UNSEALED
        archive.writestr("facts.json", json.dumps({"format": file.FORMAT, "types": types, "facts": {}}))
        archive.writestr("0.npy", header)


def _header(described: str) -> bytes:
    return b"\x93NUMPY\x01\x00\x76\x00" + described.encode().ljust(117) + b"\n"


@pytest.mark.parametrize(
    "described",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 7, }",
        "{'descr': __import__('os'), 'fortran_order': False, 'shape': (), }",
        "{",
    ],
)
def test_an_array_that_lies_about_itself_takes_no_memory(path: Path, described: str) -> None:
    _forge(path, _header(described) + b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(CheckpointBroken):
        file.read(path)


def test_a_file_that_grows_when_it_is_unpacked_is_refused(path: Path) -> None:
    _forge(path, b"\0" * 50_000_000, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(CheckpointBroken, match="not stored as it is"):
        file.read(path)


@pytest.mark.parametrize("types", ["O", ["O"], [[]], ["nonsense"], [1], None, ["float32"] * 3])
def test_types_that_no_array_has_are_refused(path: Path, types: object) -> None:
    good = _header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }") + b"\0" * 4
    _forge(path, good, types=types)
    with pytest.raises(CheckpointBroken):
        file.read(path)
