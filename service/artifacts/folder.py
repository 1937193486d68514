"""A store in a folder of this machine."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

import structlog

from caviar.contract.errors import StorageFull, Unavailable
from service.artifacts.store import CHUNK_BYTES, ArtifactMissing, StoredFile, check_name, is_name

_log = structlog.get_logger(__name__)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_DRAFT_SUFFIX = ".draft"


class FolderStore:
    """Keeps files below a folder that only its owner can read."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which is made when it is needed."""
        self._folder = folder

    def begin(self, name: str, size_bytes: int | None) -> FileDraft:
        """Begin a file; see `ArtifactStore`."""
        with outages_told():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            free_bytes = shutil.disk_usage(self._folder).free
            if size_bytes is not None and size_bytes > free_bytes:
                raise StorageFull(
                    f"the file has {size_bytes} bytes, but the artifact store has room for {free_bytes}; "
                    "the operator of the service must make room"
                )
            return FileDraft(self._path(name))

    def size_bytes(self, name: str) -> int:
        """Size of a file; see `ArtifactStore`."""
        with outages_told(), _missing_told():
            return self._path(name).stat().st_size

    def read(self, name: str) -> Iterator[bytes]:
        """The content of a file in portions; see `ArtifactStore`."""
        with outages_told(), _missing_told(), self._path(name).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def remove(self, name: str) -> None:
        """Remove a file, if there is one of this name; see `ArtifactStore`."""
        with outages_told():
            self._path(name).unlink(missing_ok=True)

    def files(self, prefix: str) -> Iterator[StoredFile]:
        """The files whose names begin so; see `ArtifactStore`."""
        with outages_told():
            if not self._folder.is_dir():
                return
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if not (entry.name.startswith(prefix) and is_name(entry.name)):
                        continue
                    # What has gone since it was listed needs no removal.
                    with suppress(FileNotFoundError):
                        modified_at = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                        yield StoredFile(entry.name, modified_at)

    def _path(self, name: str) -> Path:
        return self._folder / check_name(name)


class FileDraft:
    """A draft beside the place of the file, so that it gets there by one rename."""

    def __init__(self, path: Path) -> None:
        """Begin a draft of the file `path`."""
        self._path = path
        self._draft = path.with_name(f"{path.name}{_DRAFT_SUFFIX}")
        descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file: FileIO | None = FileIO(descriptor, "w")

    def write(self, data: bytes) -> None:
        """Add bytes; see `Draft`."""
        with outages_told():
            rest = memoryview(data)
            # A disk that is nearly full takes a part, and only then refuses the rest.
            while rest:
                rest = rest[self._open_file().write(rest) :]

    def keep(self) -> None:
        """Put the file under its name; see `Draft`."""
        with outages_told():
            file = self._open_file()
            os.fsync(file.fileno())
            file.close()
            self._draft.replace(self._path)
            self._file = None
            _sync_folder(self._path.parent)

    def discard(self) -> None:
        """Let go of what was written; see `Draft`."""
        if self._file is None:
            return
        with outages_told():
            # Some file systems tell of a full disk only when a file is closed.
            with suppress(OSError):
                self._file.close()
            self._file = None
            self._draft.unlink(missing_ok=True)

    def _open_file(self) -> FileIO:
        if self._file is None:
            raise ValueError("the draft was kept or discarded before, expected one that is open")
        return self._file


@contextmanager
def outages_told() -> Iterator[None]:
    """Raise the contract's errors in place of the operating system's."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            _log.error("artifacts.full", error=str(error))
            raise StorageFull(
                "the artifact store is full; nothing was stored, the operator of the service must make room"
            ) from error
        _log.error("artifacts.failed", error=str(error))
        raise Unavailable("the artifact store does not answer; repeat the request later") from error


@contextmanager
def _missing_told() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactMissing(f"there is no file {error.filename}") from error


def _sync_folder(folder: Path) -> None:
    # The name of the file is on disk only once its folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
