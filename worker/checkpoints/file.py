"""One checkpoint in one file: arrays and a JSON document, nothing pickled; it is there as a whole or not at all.

The file is an NPZ archive (`numpy.load` opens it) with one more member, `facts.json`. Its comment is the SHA-256 of all
bytes before.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import struct
import tokenize
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from worker.checkpoints.errors import CheckpointBroken, CheckpointMissing

FORMAT = 1
"""Version of the file; other versions are not read."""

_FACTS = "facts.json"
_CHECKSUM_BYTES = hashlib.sha256().digest_size * 2
_CHUNK_BYTES = 1 << 20
_ENCRYPTED = 1
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_MAX_MESSAGE_CHARACTERS = 500
# What the readers of ZIP, NPY and JSON raise at something else.
_BROKEN = (
    zipfile.BadZipFile, ValueError, KeyError, TypeError, IndexError, EOFError, NotImplementedError, RecursionError,
    struct.error, SyntaxError, MemoryError, OverflowError, tokenize.TokenError,
)  # fmt: skip

UNSEALED = b"0" * _CHECKSUM_BYTES
"""The comment of an archive before its checksum takes this place."""


@dataclass(frozen=True)
class Content:
    """What a file holds.

    Attributes:
        arrays: Of any shapes and numeric types, bfloat16 and the like included.
        facts: A JSON document.
    """

    arrays: Sequence[NDArray[Any]]
    facts: Mapping[str, Any]


def write(path: Path, content: Content) -> None:
    """Put a checkpoint on disk, in place of a former one of this name; it survives a loss of power.

    Raises:
        OSError: The disk is full or cannot be written; nothing is left behind.
    """
    with sealing(path) as file:
        _pack(file, content)


def read(path: Path) -> Content:
    """Read a checkpoint.

    Raises:
        CheckpointMissing: There is no such file.
        CheckpointBroken: It is not whole, or of another version.
    """
    with opening(path) as file:
        return _unpack(file, path)


@contextmanager
def sealing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write a ZIP archive with the comment `UNSEALED` to; at the end it is sealed and put in its place.

    Raises:
        OSError: The disk is full or cannot be written; nothing is left behind.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with draft.open("x+b") as file:
            yield file
            _seal(file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextmanager
def opening(path: Path) -> Iterator[IO[bytes]]:
    """A sealed file, open at its start and found to be whole.

    Raises:
        CheckpointMissing: There is no such file.
        CheckpointBroken: It is not whole, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            _check(file, path)
            file.seek(0)
            yield file
    except FileNotFoundError as error:
        raise CheckpointMissing(f"there is no file {path}") from error
    except (OSError, *_BROKEN) as error:
        raise CheckpointBroken(f"{path} cannot be read: {error}"[:_MAX_MESSAGE_CHARACTERS]) from error


def whole(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipFile:
    """The same archive, whose members together are no larger than the file.

    Raises:
        CheckpointBroken: A member is compressed or encrypted, or lies: what is small here could be large in memory.
    """
    size_bytes = path.stat().st_size
    for member in archive.infolist():
        size_bytes -= member.file_size
        is_plain = member.compress_type == zipfile.ZIP_STORED and member.compress_size == member.file_size
        if size_bytes < 0 or not is_plain or member.flag_bits & _ENCRYPTED:
            raise CheckpointBroken(f"{path} has the member {member.filename!r}, which is not stored as it is")
    return archive


def _pack(file: IO[bytes], content: Content) -> None:
    types = [str(array.dtype) for array in content.arrays]
    document = json.dumps({"format": FORMAT, "types": types, "facts": content.facts}).encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = UNSEALED
        archive.writestr(_FACTS, document)
        for number, array in enumerate(content.arrays):
            with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, _plain(array), allow_pickle=False)


def _unpack(file: IO[bytes], path: Path) -> Content:
    with zipfile.ZipFile(file) as opened:
        archive = whole(opened, path)
        document = json.loads(archive.read(_FACTS))
        if document["format"] != FORMAT:
            raise CheckpointBroken(f"{path} has format {document['format']}, expected {FORMAT}")
        arrays = []
        for number, name in enumerate(document["types"]):
            arrays.append(_array(archive, f"{number}.npy", path).view(np.dtype(name)))
    return Content(arrays, document["facts"])


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    with archive.open(name) as member:
        read_header = _HEADERS[npy.read_magic(member)]
        shape, _, dtype = read_header(member)
        # NumPy would make room for what the header says before it finds out how little there is.
        num_bytes = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or min(shape, default=0) < 0 or member.tell() + num_bytes != archive.getinfo(name).file_size:
            raise CheckpointBroken(f"{path} has the array {name} of {dtype} {shape}, which it does not hold")
    with archive.open(name) as member:
        array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
    return array


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    # The types that Keras adds to NumPy's, such as bfloat16, are no part of the format: their bits are.
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array


def _seal(file: IO[bytes]) -> None:
    file.flush()
    checksum = _checksum(file)
    file.seek(-_CHECKSUM_BYTES, os.SEEK_END)
    file.write(checksum)


def _check(file: IO[bytes], path: Path) -> None:
    size = file.seek(0, os.SEEK_END)
    if size <= _CHECKSUM_BYTES:
        raise CheckpointBroken(f"{path} has {size} bytes, expected a whole checkpoint")
    checksum = _checksum(file)
    file.seek(-_CHECKSUM_BYTES, os.SEEK_END)
    if file.read() != checksum:
        raise CheckpointBroken(f"the content of {path} does not agree with its checksum")


def _checksum(file: IO[bytes]) -> bytes:
    left = file.seek(0, os.SEEK_END) - _CHECKSUM_BYTES
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest().encode()


def _sync_folder(folder: Path) -> None:
    # The name of the file is on disk only once its folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
