"""Backing a database up while services use it, with the files that its rows tell of if they are wanted."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

import structlog

from caviar import __version__
from caviar.contract.errors import Unavailable
from service.artifacts.store import ArtifactMissing, ArtifactStore
from service.domain.manifest import BackupDamaged, Manifest
from service.store.copies import contents, postgres, sqlite
from service.store.copies.contents import KeptFile
from service.store.copies.folder import BackupFolder, digest, making
from service.store.engine import parse_url

_log = structlog.get_logger(__name__)


def back_up(database_url: str, target: Path, *, store: ArtifactStore | None, now: datetime) -> Manifest:
    """Write a backup of a database, which services may use meanwhile.

    All rows are those of one moment, and everything that was acknowledged before the call is among them. It stands at
    its place once all of it is written and checked, never before.

    Args:
        database_url: Of the database.
        target: A folder that does not exist.
        store: Whose files are to be in it; None for the rows alone.
        now: The time.
    Returns:
        What it holds, and which files were not to be had.
    Raises:
        InvalidRequest: There is no database of this version or an older one, or something is at the target.
        Unavailable: The database, the store or the disk does not answer.
    """
    url = parse_url(database_url)
    with making(target) as folder:
        if url.drivername == "sqlite":
            sqlite.copy_out(Path(url.database or ""), folder.database)
        else:
            postgres.copy_out(database_url, folder.database)
        found = contents.inspect(folder.database)
        size_bytes, sha256 = digest(folder.database)
        files = [] if store is None else list(contents.kept_files(folder.database))
        missing = [file.name for file in files if store is not None and not _is_copied(store, file, folder)]
        kept = [file for file in files if file.name not in set(missing)]
        manifest = Manifest(
            caviar=__version__,
            revision=found.revision,
            taken_at=now,
            source=url.get_backend_name(),
            database_bytes=size_bytes,
            database_sha256=sha256,
            rows=found.rows,
            has_files=store is not None,
            num_files=len(kept),
            files_bytes=sum(file.size_bytes for file in kept),
            missing=missing,
        )
        folder.write_manifest(manifest)
    return manifest


def _is_copied(store: ArtifactStore, file: KeptFile, folder: BackupFolder) -> bool:
    # What was given up since the snapshot is removed a minute later, before it could be copied.
    try:
        with folder.adding(file.name) as part:
            for chunk in store.read(file.name):
                part.write(chunk)
            if (part.size_bytes, part.sha256) != (file.size_bytes, file.sha256):
                raise BackupDamaged(f"the file {file.name} is not what was stored")
    except (ArtifactMissing, BackupDamaged) as error:
        _log.warning("backup.file_missing", name=file.name, cause=str(error))
        return False
    return True


def verify(source: Path) -> Manifest:
    """Check that a backup is what was written: its manifest, its rows, and each file by its digest.

    Raises:
        BackupDamaged: It is not.
    """
    folder = BackupFolder(source)
    manifest = folder.read_manifest()
    try:
        size_bytes, sha256 = digest(folder.database)
    except OSError as error:
        raise BackupDamaged(f"the database of the backup cannot be read: {error}") from error
    if (size_bytes, sha256) != (manifest.database_bytes, manifest.database_sha256):
        raise BackupDamaged(
            f"the database of the backup was changed: received {size_bytes} bytes with the digest {sha256}, expected "
            f"{manifest.database_bytes} bytes with {manifest.database_sha256}"
        )
    found = contents.inspect(folder.database)
    if (found.revision, found.rows) != (manifest.revision, manifest.rows):
        raise BackupDamaged("the manifest of the backup belongs to another database")
    if manifest.has_files:
        _verify_files(folder, manifest)
    return manifest


def _verify_files(folder: BackupFolder, manifest: Manifest) -> None:
    missing = set(manifest.missing)
    for file in contents.kept_files(folder.database):
        if file.name in missing:
            continue
        try:
            found = digest(folder.file(file.name))
        except OSError as error:
            raise BackupDamaged(f"the file {file.name} of the backup cannot be read: {error}") from error
        if found != (file.size_bytes, file.sha256):
            raise BackupDamaged(f"the file {file.name} of the backup is damaged: its digest does not fit")


def put_files(source: Path, store: ArtifactStore) -> int:
    """Put the files of a backup into a store, each checked once more on its way.

    Returns:
        How many there were.
    Raises:
        BackupDamaged: One of them has changed since it was verified.
        Unavailable: The store does not answer, or is full.
    """
    folder = BackupFolder(source)
    manifest = folder.read_manifest()
    if not manifest.has_files:
        return 0
    missing = set(manifest.missing)
    wanted = [file for file in contents.kept_files(folder.database) if file.name not in missing]
    for file in wanted:
        _put(folder.file(file.name), file, store)
    return len(wanted)


def _put(path: Path, file: KeptFile, store: ArtifactStore) -> None:
    # A restore that was killed may have left a draft of the same name.
    store.remove(f"{file.name}.draft")
    draft, found = store.begin(file.name, file.size_bytes), hashlib.sha256()
    try:
        with path.open("rb") as content:
            while chunk := content.read(1 << 20):
                draft.write(chunk)
                found.update(chunk)
        if found.hexdigest() != file.sha256:
            raise BackupDamaged(f"the file {file.name} of the backup is damaged: its digest does not fit")
        draft.keep()
    except OSError as error:
        raise Unavailable(f"the file {file.name} of the backup cannot be read: {error}") from error
    finally:
        draft.discard()
