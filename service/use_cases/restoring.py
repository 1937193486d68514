"""Filling a database from a backup, so that its studies go on where they stood when it was made.

What was acknowledged after the backup is gone, so nobody may go on as if it were there. Every attempt that was running
ends: its token is refused (410), and its trial waits for a new attempt, uncharged, from a checkpoint that the store
holds. Trials that were created after the backup are unknown here, and their numbers are not given out again, so that a
worker's files of such a trial can never pass for those of another.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from caviar.contract.errors import FieldError, InvalidRequest, StateConflict
from caviar.contract.states import AttemptEnd, TrialState
from service.artifacts.store import ArtifactMissing, ArtifactStore
from service.domain.manifest import BackupDamaged, Manifest
from service.store import artifacts, leases, migrations, tokens, trials
from service.store.artifacts import CHECKPOINT
from service.store.copies import postgres, sqlite
from service.store.copies.folder import BackupFolder, digest
from service.store.copies.occupancy import is_empty
from service.store.engine import connect, parse_url, write
from service.store.sole import alone
from service.store.transaction import Record, Transaction
from service.use_cases import backing_up, ending

_PORTION = 500


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of a restore.

    Attributes:
        manifest: Of the backup.
        num_requeued: Trials that were in training and wait now.
        num_files: Files that were put into the artifact store.
        lost: Names of the files that are nowhere; what was to go on from them goes on from older ones.
        former: Where the embedded database lies that was replaced; None if none was.
    """

    manifest: Manifest
    num_requeued: int
    num_files: int
    lost: list[str]
    former: Path | None = None


def restore(
    source: Path, database_url: str, *, store: ArtifactStore, is_replacing: bool = False, accepts_loss: bool = False
) -> Restored:
    """Fill a database from a backup of either kind of database.

    Nothing is touched before the backup has been verified, and the database has all rows or none at any time.

    Args:
        source: The backup.
        database_url: The database, which no service uses.
        store: Where the service will look for files; those of the backup are put there.
        is_replacing: Whether the database may hold something, which is removed.
        accepts_loss: Whether rows of files that are neither in the backup nor in the store are given up.
    Raises:
        BackupDamaged: The backup is not what was written.
        StateConflict: The database is in use, or not empty.
        InvalidRequest: A newer version has made the backup or the database, or files are missing.
        Unavailable: The database, the store or the disk does not answer.
    """
    url = parse_url(database_url)
    manifest = backing_up.verify(source)
    migrations.require_known(manifest.revision)
    was_empty = is_empty(database_url)
    if not (was_empty or is_replacing):
        raise StateConflict(
            f"the database {url.render_as_string()} is not empty; restore into a new one, or let it be replaced"
        )
    database = Path(url.database or "") if url.drivername == "sqlite" else None
    with _staged(source, manifest, beside=database) as staged:
        num_files = backing_up.put_files(source, store)
        lost, num_requeued = _prepare(staged, manifest, store, accepts_loss=accepts_loss)
        former = None
        if database is not None:
            with alone(database_url):
                former = sqlite.put_in_place(staged, database)
        else:
            postgres.copy_in(staged, database_url, is_replacing=is_replacing)
    if former is not None and was_empty:
        former.unlink()
        former = None
    return Restored(manifest, num_requeued, num_files, lost, former)


@contextmanager
def _staged(source: Path, manifest: Manifest, *, beside: Path | None) -> Iterator[Path]:
    # Beside its place, where it can be moved to by one rename.
    parent = None if beside is None else beside.absolute().parent
    with sqlite.failures_told("the restore"):
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".caviar-restore-", dir=parent))
    try:
        staged = folder / "caviar.db"
        with sqlite.failures_told("the restore"):
            shutil.copyfile(BackupFolder(source).database, staged)
            staged.chmod(0o600)
        if digest(staged) != (manifest.database_bytes, manifest.database_sha256):
            raise BackupDamaged("the database of the backup has changed since it was verified")
        migrations.upgrade(f"sqlite:///{staged}")
        yield staged
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(staged: Path, manifest: Manifest, store: ArtifactStore, *, accepts_loss: bool) -> tuple[list[str], int]:
    engine = connect(f"sqlite:///{staged}")
    try:
        # Everything happens at the time of the backup: the hours since then are nobody's time on a slot.
        with write(engine, manifest.taken_at) as tx:
            lost = list(_lost(tx, store))
            if lost and not accepts_loss:
                raise _refuse_loss(lost)
            for row in lost:
                _give_up(tx, row)
            held = leases.trials_held(tx)
            for trial_id in held:
                ending.requeue_trial(tx, trials.with_lease(tx, trial_id), AttemptEnd.EXPIRED, is_charged=False)
            tokens.remove_kind(tx, "session")
            trials.leave_room(tx)
    finally:
        engine.dispose()
    sqlite.settle(staged)
    return [row.name for row in lost], len(held)


def _lost(tx: Transaction, store: ArtifactStore) -> Iterator[Record]:
    after = 0
    while rows := artifacts.live(tx, after=after, limit=_PORTION):
        after = rows[-1].id
        for row in rows:
            try:
                is_there = store.size_bytes(row.name) == row.size_bytes
            except ArtifactMissing:
                is_there = False
            if not is_there:
                yield row


def _refuse_loss(lost: list[Record]) -> InvalidRequest:
    field = FieldError(
        field="artifacts",
        received=f"a store without {len(lost)} of the files that the database tells of, such as {lost[0].name}",
        expected="the store of the service that was backed up, or a backup with its files; or accept their loss",
    )
    return InvalidRequest("files that the studies go on from are missing", errors=[field])


def _give_up(tx: Transaction, row: Record) -> None:
    # The row goes and the file, should it be somewhere after all, stays: nothing here is to delete what was not found.
    artifacts.remove(tx, [row.id])
    trial = trials.get(tx, row.trial_id)
    if row.kind != CHECKPOINT or row.epoch != trial.checkpoint_epoch or TrialState(trial.state).is_finished:
        return
    older = artifacts.newest_up_to(tx, trial.id, CHECKPOINT, row.epoch)
    trials.change(tx, trial.id, checkpoint_epoch=None if older is None else older.epoch)
