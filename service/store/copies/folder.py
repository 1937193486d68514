"""The folder of a backup: made under another name, and under its own only once all of it is on the disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caviar.contract.errors import InvalidRequest
from service.domain import manifest
from service.domain.manifest import BackupDamaged, Manifest
from service.store.copies.sqlite import failures_told, sync_folder

CHUNK_BYTES = 1 << 20
_MANIFEST = "manifest.json"
_DATABASE = "caviar.db"
_FILES = "artifacts"


class BackupFolder:
    """Where the parts of a backup lie.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def database(self) -> Path:
        """The file with all rows."""
        return self.path / _DATABASE

    def file(self, name: str) -> Path:
        """The place of a file of the artifact store."""
        return self.path / _FILES / name

    def read_manifest(self) -> Manifest:
        """What the backup says of itself.

        Raises:
            BackupDamaged: It says nothing, or not what was written.
        """
        try:
            return manifest.read((self.path / _MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BackupDamaged(
                f"{self.path} is no backup of Caviar, or one that was never finished: it has no {_MANIFEST}"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise BackupDamaged(f"the manifest of {self.path} cannot be read: {error}") from error

    def write_manifest(self, content: Manifest) -> None:
        """Say what the backup holds; the last thing that is written."""
        (self.path / _MANIFEST).write_text(content.sealed(), encoding="utf-8")

    @contextmanager
    def adding(self, name: str) -> Iterator[_Part]:
        """A file of the artifact store on its way into the backup; after an error nothing of it is left."""
        place = self.file(name)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        part = _Part(place)
        try:
            yield part
        except BaseException:
            place.unlink(missing_ok=True)
            raise
        finally:
            part.close()


class _Part:
    """A file that is written and digested at once."""

    def __init__(self, place: Path) -> None:
        self._file = place.open("xb")
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """Digest of what was written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._file.write(data)
        self._digest.update(data)
        self.size_bytes += len(data)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@contextmanager
def making(target: Path) -> Iterator[BackupFolder]:
    """A new backup, at its place once the block has come to its end; after an error nothing of it is left.

    Args:
        target: Its place, where nothing may be.
    Raises:
        InvalidRequest: Something is there.
        Unavailable: The disk refuses.
    """
    if target.exists() or target.is_symlink():
        raise InvalidRequest(f"{target} exists; name a new folder, a backup never replaces anything")
    with failures_told("the backup"):
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.absolute().parent))
        try:
            yield BackupFolder(draft)
            _sync(draft)
            draft.rename(target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync_folder(target.absolute().parent)


def _sync(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            with (Path(place) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(place))


def digest(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    found, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found.update(chunk)
            size_bytes += len(chunk)
    return size_bytes, found.hexdigest()
