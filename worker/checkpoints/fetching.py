"""Have the checkpoint of an assignment on the shelf before it is handed to a training process."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import structlog

from caviar.contract.errors import CaviarError
from caviar.contract.messages import Assignment, Checkpoint
from worker.api import RETRIED, WorkerApi
from worker.backoff import Backoff
from worker.checkpoints.errors import CheckpointBroken, CheckpointUnusable
from worker.checkpoints.shelf import Shelf
from worker.events import Fetched
from worker.logs import naming
from worker.outbox import Outbox

_log = structlog.get_logger(__name__)

_MAX_DOWNLOADS = 4
_MAX_DISK_ERRORS = 5


class Fetcher:
    """Looks for checkpoints on the shelf, and downloads those that are not there, each in a thread of its own.

    Of every assignment that it was given it tells by one `Fetched`.
    """

    def __init__(
        self,
        api: WorkerApi,
        shelf: Shelf,
        outbox: Outbox,
        *,
        emit: Callable[[Fetched], None],
        make_backoff: Callable[[], Backoff],
    ) -> None:
        """Begin with nothing to fetch.

        Args:
            api: The service.
            shelf: Where checkpoints lie.
            outbox: Knows the trials that this worker holds.
            emit: Takes what was fetched, or is missing; called from other threads.
            make_backoff: Gives each download its waits for while the service is away.
        """
        self._api = api
        self._shelf = shelf
        self._outbox = outbox
        self._emit = emit
        self._make_backoff = make_backoff
        self._downloads = threading.Semaphore(_MAX_DOWNLOADS)
        self._stopping = threading.Event()

    def fetch(self, assignment: Assignment) -> None:
        """Begin to fetch the checkpoint of an assignment, which this worker holds."""
        threading.Thread(target=self._run, args=(assignment,), name="fetcher", daemon=True).start()

    def stop(self) -> None:
        """Try nothing again that fails from now on."""
        self._stopping.set()

    def _run(self, assignment: Assignment) -> None:
        try:
            event = self._fetched(assignment)
        except Exception as error:  # noqa: BLE001 - the trial would stay held for ever
            with naming(assignment):
                _log.exception("fetch_crashed")
            event = Fetched(assignment, f"{type(error).__name__}: {error}")
        self._emit(event)

    def _fetched(self, assignment: Assignment) -> Fetched:
        checkpoint = assignment.checkpoint
        if checkpoint is None or self._shelf.has(assignment.trial_id, checkpoint.epoch, checkpoint.sha256):
            return Fetched(assignment)
        with self._downloads:
            try:
                return self._try_until_there(assignment, checkpoint)
            except (CaviarError, CheckpointUnusable) as error:
                return Fetched(assignment, str(error), is_lost=True)
            except OSError as error:
                return Fetched(assignment, f"the checkpoint cannot be stored here: {error}")

    def _try_until_there(self, assignment: Assignment, checkpoint: Checkpoint) -> Fetched:
        backoff, num_disk_errors = self._make_backoff(), 0
        while not self._stopping.is_set() and assignment.lease in self._outbox.leases():
            try:
                self._download(assignment, checkpoint)
            except RETRIED as error:
                detail = error.detail
            except OSError as error:
                num_disk_errors += 1
                if num_disk_errors >= _MAX_DISK_ERRORS:
                    raise
                detail = str(error)
                # The disk may be full of what the service keeps anyway.
                self._shelf.trim(self._outbox.trials(), max_bytes=0)
            else:
                return Fetched(assignment)
            wait_s = backoff.next_s()
            with naming(assignment):
                _log.warning("download_again", wait_s=round(wait_s, 2), detail=detail)
            self._stopping.wait(wait_s)
        return Fetched(assignment, "it is not wanted any more")

    def _download(self, assignment: Assignment, checkpoint: Checkpoint) -> None:
        trial_id, epoch = assignment.trial_id, checkpoint.epoch
        found = hashlib.sha256()
        # What an older file of this name was is of no interest any more.
        self._shelf.remove(trial_id, epoch)
        with (
            self._api.checkpoint(trial_id, epoch, assignment.lease) as pieces,
            self._shelf.draft(trial_id, epoch) as file,
        ):
            for piece in pieces:
                found.update(piece)
                file.write(piece)
            if checkpoint.sha256 not in (None, found.hexdigest()):
                raise CheckpointBroken(
                    f"the service gave a file with the digest {found.hexdigest()}, expected {checkpoint.sha256}"
                )
        self._shelf.mark(trial_id, epoch, found.hexdigest())
        self._shelf.has(trial_id, epoch, None)
        with naming(assignment):
            _log.info("checkpoint_downloaded", epoch=epoch)
        self._shelf.trim(self._outbox.trials())
