"""A folder of a training function's own files as one checkpoint file, sealed like those of Keras trainings."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from worker.checkpoints import file
from worker.checkpoints.errors import CheckpointBroken, CheckpointForeign, Unkeepable

FORMAT = 1
"""Version of the file; other versions are not read."""

_FACTS = "facts.json"
_FILES = "files/"


def pack(folder: Path, path: Path, facts: Mapping[str, Any]) -> None:
    """Put the files of a folder into one file, in place of a former one of this name; it survives a loss of power.

    Args:
        folder: With files and folders only.
        path: The file to write.
        facts: A JSON document that goes with them.
    Raises:
        Unkeepable: There is something else in the folder.
        OSError: The disk is full or cannot be written; nothing is left behind.
    """
    entries = sorted(folder.rglob("*"))
    for entry in entries:
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            raise Unkeepable(f"{entry.relative_to(folder)} is no plain file, expected files and folders only")
    with file.sealing(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = file.UNSEALED
        archive.writestr(_FACTS, json.dumps({"format": FORMAT, "form": "function", "facts": facts}))
        for entry in entries:
            # A folder that is empty is carried on too.
            archive.write(entry, f"{_FILES}{entry.relative_to(folder).as_posix()}")


def unpack(path: Path, folder: Path, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Put the files of a checkpoint into a folder.

    Args:
        path: What `pack` wrote.
        folder: Empty.
        expected: Facts that have to be the same as when it was written.
    Returns:
        All facts.
    Raises:
        CheckpointMissing: There is no such file.
        CheckpointBroken: It is not whole, or no checkpoint of a function.
        CheckpointForeign: A fact is another one.
    """
    with file.opening(path) as sealed, zipfile.ZipFile(sealed) as opened:
        archive = file.whole(opened, path)
        document = json.loads(archive.read(_FACTS))
        if document.get("format") != FORMAT or document.get("form") != "function":
            raise CheckpointForeign(f"{path} is no checkpoint of a function of format {FORMAT}")
        facts: dict[str, Any] = dict(document["facts"])
        for name, value in expected.items():
            if facts.get(name) != value:
                raise CheckpointForeign(f"{path} has the {name} {facts.get(name)}, expected {value}")
        for member in archive.infolist():
            if member.filename != _FACTS:
                _extract(archive, member, folder, path)
    return facts


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, path: Path) -> None:
    name = PurePosixPath(member.filename)
    # It may come from another machine: nothing in it reaches out of the folder.
    if not member.filename.startswith(_FILES) or ".." in name.parts or "\\" in member.filename:
        raise CheckpointBroken(f"{path} has the member {member.filename!r}, expected names below {_FILES}")
    target = folder.joinpath(*name.parts[1:])
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("xb") as copy:
        shutil.copyfileobj(source, copy)
