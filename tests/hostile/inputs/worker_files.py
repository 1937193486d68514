"""Files of workers: checkpoints, which come from other machines, and outboxes, which a power cut may have damaged."""

from __future__ import annotations

import io
import json
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.messages import Finish, Measurement
from tests.caviar.contract import bodies
from tests.hostile import drawing
from tests.hostile.oracles import bounded
from worker.checkpoints import file as checkpoint_file
from worker.checkpoints.errors import CheckpointUnusable
from worker.forms import archive
from worker.outbox import Outbox, OutboxBroken


def _checkpoint() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c"
        arrays = [np.arange(12, dtype="float32").reshape(3, 4), np.zeros((2, 0), "int8")]
        checkpoint_file.write(path, checkpoint_file.Content(arrays, {"epoch": 3}))
        return path.read_bytes()


_CHECKPOINT = _checkpoint()


def _zipped(members: dict[str, bytes], is_compressed: bool) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if is_compressed else zipfile.ZIP_STORED) as made:
        made.comment = checkpoint_file.UNSEALED
        for name, content in members.items():
            made.writestr(name, content)
    return buffer.getvalue()


_headers = st.sampled_from([
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(127) + b"\n",
    b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(127) + b"\ncos\nsystem\n",
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }".ljust(127) + b"\n",
    b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
])  # fmt: skip


@st.composite
def _archives(draw: st.DrawFn) -> bytes:
    """Sealed archives that are no checkpoints."""
    facts = draw(st.one_of(drawing.damaged({"format": 1, "types": ["float32"], "facts": {}}), drawing.values))
    try:
        document = json.dumps(facts).encode()
    except ValueError:
        document = b"{}"
    member = draw(st.one_of(_headers, drawing.bytes_damaged(_CHECKPOINT[:400]), st.just(b"\0" * 2_000_000)))
    return _zipped({"facts.json": document, "0.npy": member}, draw(st.booleans()))


@given(st.one_of(drawing.bytes_damaged(_CHECKPOINT), _archives()), st.booleans())
def checkpoints(content: bytes, is_sealed: bool) -> None:
    """A file is a whole checkpoint, or it is said that it is none: nothing is unpickled, nothing takes much memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c"
        path.write_bytes(content)
        if is_sealed and len(content) > 64:
            # Whoever makes the file makes its checksum too: behind it there must be no trap.
            with path.open("r+b") as opened:
                checkpoint_file._seal(opened)  # a forger would do the same
        with bounded(counts_memory=True):
            try:
                found = checkpoint_file.read(path)
            except CheckpointUnusable as error:
                str(error).encode()
                return
        assert all(array.dtype.kind != "O" for array in found.arrays)


@st.composite
def _packed(draw: st.DrawFn) -> bytes:
    """Sealed archives of files with names that no folder should take."""
    good: dict[str, Any] = {"format": 1, "form": "function", "facts": {"epoch": 1}}
    name = draw(
        st.sampled_from(["files/a", "files/../../x", "/etc/x", "files//abs", "files/a/b/", "files/", "files\\x"])
    )
    document = json.dumps(good if draw(st.booleans()) else draw(drawing.damaged(good)), default=str).encode()
    return _zipped({"facts.json": document, name: draw(st.binary(max_size=20))}, draw(st.booleans()))


@given(_packed())
def archives(content: bytes) -> None:
    """A folder of files is unpacked into its place alone."""
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "c", Path(folder) / "in" / "here"
        target.mkdir(parents=True)
        path.write_bytes(content)
        with path.open("r+b") as opened:
            checkpoint_file._seal(opened)
        try:
            archive.unpack(path, target, {})
        except CheckpointUnusable as error:
            str(error).encode()
        outside = [found for found in Path(folder).rglob("*") if found not in {path, target, target.parent}]
        assert all(found.is_relative_to(target) for found in outside), outside


def _outbox() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox.db"
        outbox = Outbox(path)
        outbox.hold(3, "t0ken")
        outbox.put(Measurement.model_validate(bodies.MEASUREMENT))
        outbox.end(Finish.model_validate({"lease": "t0ken", "outcome": "complete"}))
        outbox.close()
        return path.read_bytes()


_OUTBOX = _outbox()


@given(drawing.bytes_damaged(_OUTBOX, most=12))
def outboxes(content: bytes) -> None:
    """A damaged outbox is read as far as it goes, or it is said to be damaged."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox.db"
        path.write_bytes(content)
        with bounded():
            try:
                with closing(Outbox(path)) as outbox:
                    outbox.measurements(10)
                    outbox.endings()
                    outbox.uploads()
                    outbox.release_unfinished()
            except OutboxBroken as error:
                str(error).encode(errors="replace")


@given(drawing.damaged({"lease": "t", "body": bodies.MEASUREMENT}))
def letters(drawn: Any) -> None:
    """So it is with a file that is sound, but whose letters are not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox.db"
        path.write_bytes(_OUTBOX)
        with closing(sqlite3.connect(path)) as connection, connection:
            try:
                body = json.dumps(drawn["body"])
            except (KeyError, TypeError, ValueError):
                body = "{"
            connection.execute("UPDATE measurements SET body = ?", (body.encode(errors="replace").decode(),))
        try:
            with closing(Outbox(path)) as outbox:
                outbox.measurements(10)
                outbox.endings()
        except OutboxBroken as error:
            str(error).encode(errors="replace")
