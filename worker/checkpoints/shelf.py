"""Where checkpoints lie: a folder for each service, shared by the workers of a machine, and in it one for each trial.

What the service keeps too is here only to be at hand, and may go. Importing this module does not load NumPy, so the
supervising process stays light.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog

from caviar.contract.messages import MAX_CHECKPOINTS, Assignment

_log = structlog.get_logger(__name__)

_OWN = {"study", "trial_id", "params", "seed", "data_seed", "objective"}
_EPOCH = re.compile(r"epoch-(\d+)\.npz")
_WEIGHTS_EPOCH = re.compile(r"-epoch-(\d+)\.weights\.h5$")
_CHUNK_BYTES = 1 << 20
# Another worker of this machine may have found it here for a training that is about to begin.
_IN_USE_S = 600.0


@dataclass(frozen=True)
class Shelf:
    """The checkpoints of one service.

    Attributes:
        folder: Need not exist yet.
        max_bytes: How much may lie here of what the service keeps too.
    """

    folder: Path
    max_bytes: int = 20 * 1024**3

    def path(self, trial_id: int, epoch: int) -> Path:
        """The file of a trial's checkpoint after an epoch."""
        return self.folder / str(trial_id) / f"epoch-{epoch:07d}.npz"

    def trials(self) -> list[int]:
        """Trials that have checkpoints here, at most so many as fit into a heartbeat."""
        try:
            names = [entry.name for entry in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            _log.warning("checkpoints_not_listed", folder=str(self.folder), detail=str(error))
            return []
        return sorted(int(name) for name in names if name.isdecimal())[:MAX_CHECKPOINTS]

    def discard(self, trial_ids: Iterable[int]) -> None:
        """Remove all checkpoints of these trials; nothing happens to trials that have none."""
        for trial_id in trial_ids:
            try:
                shutil.rmtree(self.folder / str(trial_id))
            except FileNotFoundError:
                # Another worker of this machine removes it, or has done so.
                continue
            except OSError as error:
                _log.warning("checkpoint_not_removed", trial_id=trial_id, detail=str(error))

    def mark(self, trial_id: int, epoch: int, sha256: str) -> None:
        """Note that the service keeps this very file: from now on it may go.

        Raises:
            OSError: The note cannot be written.
        """
        note = _note(self.path(trial_id, epoch))
        note.write_text(sha256, encoding="ascii")
        # The age of the note tells when the file was last used.
        os.utime(note, (0, 0))

    def unmark(self, trial_id: int, epoch: int) -> None:
        """Note that the file is about to be another one, which the service does not keep yet."""
        _note(self.path(trial_id, epoch)).unlink(missing_ok=True)

    def remove(self, trial_id: int, epoch: int) -> None:
        """Remove one checkpoint; nothing happens if there is none."""
        _remove(self.path(trial_id, epoch))

    def remove_before(self, trial_id: int, epoch: int, *, is_kept: bool) -> None:
        """Remove the checkpoints of a trial that are older than one.

        Args:
            trial_id: The trial.
            epoch: Of the checkpoint that stands for the others.
            is_kept: Whether the service keeps that one; if not, what it keeps of the others stays.
        """
        for path in self._of(self.folder / str(trial_id)):
            if _epoch_of(path) < epoch and (is_kept or not _note(path).exists()):
                _remove(path)

    def trim(
        self, kept: Collection[int], *, max_bytes: int | None = None, clock: Callable[[], float] = time.time
    ) -> int:
        """Remove what the service keeps too, the longest unused first, until the rest fits.

        What the service does not have yet stays, and so does what a training was to go on from in the last ten minutes.

        Args:
            kept: Trials whose checkpoints are needed here now.
            max_bytes: How much all checkpoints may take up; None for as much as the shelf may.
            clock: Seconds since 1970.
        Returns:
            How many bytes were freed.
        """
        files = [path for trial in self.trials() for path in self._of(self.folder / str(trial))]
        stats = {path: stat for path in files if (stat := _stat(path))}
        notes = {path: stat.st_mtime for path in stats if (stat := _stat(_note(path)))}
        excess = sum(stat.st_size for stat in stats.values()) - (self.max_bytes if max_bytes is None else max_bytes)
        freed = 0
        for path in sorted(notes, key=lambda path: max(notes[path], stats[path].st_mtime)):
            if freed >= excess:
                break
            if notes[path] < clock() - _IN_USE_S and int(path.parent.name) not in kept:
                _remove(path)
                freed += stats[path].st_size
        if freed:
            _log.info("checkpoints_trimmed", freed_bytes=freed)
        return freed

    def has(self, trial_id: int, epoch: int, sha256: str | None) -> bool:
        """Whether a checkpoint is here; if so, it counts as used now.

        Args:
            trial_id: Of which trial.
            epoch: Of which epoch.
            sha256: What the whole file must have as its digest; None if any will do.
        """
        path = self.path(trial_id, epoch)
        try:
            with path.open("rb") as file:
                if sha256 is not None and digest(file) != sha256:
                    return False
        except OSError:
            return False
        with suppress(FileNotFoundError):
            os.utime(_note(path))
        return True

    @contextmanager
    def draft(self, trial_id: int, epoch: int) -> Iterator[IO[bytes]]:
        """A file to fill that takes its place as the checkpoint at the end of the block, unless that raises.

        Raises:
            OSError: The disk is full or cannot be written; nothing is left behind.
        """
        path = self.path(trial_id, epoch)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            with draft.open("x+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def weights_path(self, lease: str, epoch: int) -> Path:
        """The file of the weights of the best epoch, as an attempt leaves it.

        Args:
            lease: Of the attempt.
            epoch: Whose weights they are.
        """
        return self.folder / "weights" / f"{_key(lease)}-epoch-{epoch:07d}.weights.h5"

    def weights(self, lease: str) -> tuple[Path, int] | None:
        """The weights that an attempt has left and their epoch, or None if there are none."""
        found = sorted((self.folder / "weights").glob(f"{_key(lease)}-epoch-*.weights.h5"))
        matches = [(path, match) for path in found if (match := _WEIGHTS_EPOCH.search(path.name))]
        return (matches[-1][0], int(matches[-1][1][1])) if matches else None

    def discard_weights(self, lease: str) -> None:
        """Remove the weights that an attempt has left, if there are any, and what was never completed of them."""
        for path in (self.folder / "weights").glob(f"*{_key(lease)}-epoch-*"):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _log.warning("weights_not_removed", file=str(path), detail=str(error))

    def _of(self, folder: Path) -> list[Path]:
        with suppress(OSError):
            return [path for path in folder.iterdir() if _EPOCH.fullmatch(path.name)]
        return []


def digest(file: IO[bytes]) -> str:
    """The SHA-256 of a whole file in hexadecimal digits; the file is at its beginning afterwards."""
    file.seek(0)
    found = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        found.update(chunk)
    file.seek(0)
    return found.hexdigest()


def shelf_of(root: Path, url: str, max_bytes: int = Shelf.max_bytes) -> Shelf:
    """The checkpoints of the service at this address.

    Args:
        root: Folder of the checkpoints of all services.
        url: Trial ids are unique only within a service, which is known by its address as the operator writes it.
        max_bytes: How much may lie there of what the service keeps too.
    """
    address = url.rstrip("/").lower()
    short = hashlib.sha256(address.encode()).hexdigest()[:12]
    readable = re.sub(r"[^a-z0-9.]+", "-", address.partition("://")[2])[:60].strip("-.")
    return Shelf(root / f"{readable}-{short}", max_bytes)


def identity(assignment: Assignment) -> str:
    """A digest of what makes a trial this one and no other, the same for all of its attempts."""
    own = assignment.model_dump(mode="json", include=_OWN)
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def _key(lease: str) -> str:
    # A token is a secret, and may hold signs that no file name can.
    return hashlib.sha256(lease.encode()).hexdigest()[:32]


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.kept")


def _epoch_of(path: Path) -> int:
    return int(path.name.removeprefix("epoch-").removesuffix(".npz"))


def _stat(path: Path) -> os.stat_result | None:
    with suppress(OSError):
        return path.stat()
    return None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        _note(path).unlink(missing_ok=True)
    except OSError as error:
        _log.warning("checkpoint_not_removed", file=str(path), detail=str(error))
