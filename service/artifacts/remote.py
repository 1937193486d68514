"""A store at any address that fsspec knows, such as a bucket."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import structlog

from caviar.contract.errors import CaviarError, FieldError, InvalidRequest, StorageFull, Unavailable
from service.artifacts.folder import outages_told
from service.artifacts.store import CHUNK_BYTES, ArtifactMissing, StoredFile, check_name, is_name

_log = structlog.get_logger(__name__)
_UPLOAD_CHUNK_BYTES = 8 * CHUNK_BYTES
# Where the file systems tell when a file was written.
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")


class RemoteStore:
    """Keeps files at an address. What comes in lies on this machine's disk until it is whole and checked."""

    def __init__(self, url: str, drafts: Path) -> None:
        """Open the address.

        Args:
            url: Such as `s3://bucket/folder`.
            drafts: Folder of this machine for files that are not whole yet.
        Raises:
            InvalidRequest: It is of no kind that fsspec knows, or the package for its kind is not installed.
        """
        # Only services that keep their files elsewhere load it.
        import fsspec.core

        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            scheme = url.partition("://")[0]
            field = FieldError(
                field="artifacts_url",
                received=f"{scheme}://…",
                expected=f"a folder, or an address of a file system that is installed here ({error})",
            )
            raise InvalidRequest("the address of the artifact store cannot be used", errors=[field]) from error
        self._root = root.rstrip("/")
        self._drafts = drafts

    def begin(self, name: str, size_bytes: int | None) -> RemoteDraft:
        """Begin a file; see `ArtifactStore`."""
        with outages_told():
            self._drafts.mkdir(mode=0o700, parents=True, exist_ok=True)
            free_bytes = shutil.disk_usage(self._drafts).free
            if size_bytes is not None and size_bytes > free_bytes:
                raise StorageFull(
                    f"the file has {size_bytes} bytes, but the service has room for {free_bytes} on its way to the "
                    "artifact store; its operator must make room"
                )
            return RemoteDraft(self._files, self._path(name), self._drafts)

    def size_bytes(self, name: str) -> int:
        """Size of a file; see `ArtifactStore`."""
        path = self._path(name)
        with failures_told():
            self._files.invalidate_cache()
            return int(self._files.info(path)["size"])

    def read(self, name: str) -> Iterator[bytes]:
        """The content of a file in portions; see `ArtifactStore`."""
        path = self._path(name)
        with failures_told(), self._files.open(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield bytes(chunk)

    def remove(self, name: str) -> None:
        """Remove a file, if there is one of this name; see `ArtifactStore`."""
        _remove(self._files, self._path(name))

    def files(self, prefix: str) -> Iterator[StoredFile]:
        """The files whose names begin so; see `ArtifactStore`."""
        try:
            with failures_told():
                self._files.invalidate_cache()
                entries: list[Mapping[str, Any]] = self._files.ls(self._root, detail=True)
        except ArtifactMissing:  # A bucket has no folders but those of its files.
            return
        for entry in entries:
            name = str(entry["name"]).rstrip("/").rpartition("/")[2]
            if name.startswith(prefix) and is_name(name):
                yield StoredFile(name, _modified_at(entry))

    def _path(self, name: str) -> str:
        return f"{self._root}/{check_name(name)}"


class RemoteDraft:
    """A draft in a file without a name, which is gone with this process whatever happens."""

    def __init__(self, files: Any, path: str, drafts: Path) -> None:
        """Begin a draft of the file `path` of a file system."""
        self._files = files
        self._path = path
        self._draft: IO[bytes] = tempfile.TemporaryFile(dir=drafts)  # noqa: SIM115  # it lives as long as the draft

    def write(self, data: bytes) -> None:
        """Add bytes; see `Draft`."""
        with outages_told():
            self._draft.write(data)

    def keep(self) -> None:
        """Send the file to its place; see `Draft`."""
        with outages_told():
            size_bytes = self._draft.tell()
            self._draft.seek(0)
        try:
            with failures_told():
                with self._files.open(self._path, "wb") as file:
                    shutil.copyfileobj(self._draft, file, _UPLOAD_CHUNK_BYTES)
                self._files.invalidate_cache()
                stored_bytes = int(self._files.info(self._path)["size"])
            if stored_bytes != size_bytes:
                _log.error("artifacts.cut_short", size_bytes=size_bytes, stored_bytes=stored_bytes)
                raise Unavailable("the artifact store took only a part of the file; repeat the request later")
        except (CaviarError, ArtifactMissing) as error:
            _remove(self._files, self._path)
            if isinstance(error, ArtifactMissing):
                raise Unavailable("the artifact store lost the file; repeat the request later") from error
            raise
        self.discard()

    def discard(self) -> None:
        """Let go of what was written; see `Draft`."""
        with outages_told():
            self._draft.close()


@contextmanager
def failures_told() -> Iterator[None]:
    """Raise the contract's errors in place of a file system's own."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactMissing("there is no such file in the artifact store") from error
    except Exception as error:  # Every file system has errors of its own, with no common base.
        _log.error("artifacts.failed", error=f"{type(error).__name__}: {error}")
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull("the artifact store is full; its operator must make room") from error
        raise Unavailable("the artifact store does not answer; repeat the request later") from error


def _remove(files: Any, path: str) -> None:
    try:
        with failures_told():
            files.rm_file(path)
    except ArtifactMissing:
        return


def _modified_at(entry: Mapping[str, Any]) -> datetime | None:
    told = next((entry[key] for key in _TIMES if entry.get(key) is not None), None)
    if isinstance(told, str):
        told = datetime.fromisoformat(told)
    if isinstance(told, (int, float)):
        return datetime.fromtimestamp(told, UTC)
    if isinstance(told, datetime):
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    return None
