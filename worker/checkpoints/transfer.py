"""Take checkpoints and weights from the shelf to the service."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import structlog

from caviar.contract.errors import CaviarError, LeaseLost, RequestError, Unauthorized, Unavailable
from worker.api import BrokenOff, WorkerApi
from worker.backoff import Backoff
from worker.checkpoints.shelf import Shelf, digest
from worker.events import LeaseGone
from worker.outbox import Letter, Outbox, Weights

_log = structlog.get_logger(__name__)

# Proxies and services may refuse a large file by hanging up, which looks like an absence.
_MAX_BREAKS = 5
# What may only these files be refused for, a proxy's limit or the service's disk, must not hold up the measurements.
_RETRIED = (Unavailable, Unauthorized)


class Transfer:
    """A thread that uploads what the outbox asks for: checkpoints before their measurements go, weights at the end.

    While the service is away it tries again with growing waits. What is asked for outlives the worker, in its outbox.
    """

    def __init__(
        self,
        api: WorkerApi,
        outbox: Outbox,
        shelf: Shelf,
        *,
        emit: Callable[[LeaseGone], None],
        wake_sender: Callable[[], None],
        backoff: Backoff,
    ) -> None:
        """Prepare the thread.

        Args:
            api: The service.
            outbox: What to upload.
            shelf: Where it lies.
            emit: Takes the trials that the service has taken away; called from this thread.
            wake_sender: Called whenever measurements need not wait any more, or nothing is left to wait for.
            backoff: Waits while the service is away.
        """
        self._api = api
        self._outbox = outbox
        self._shelf = shelf
        self._emit = emit
        self._wake_sender = wake_sender
        self._backoff = backoff
        self._in_training: frozenset[str] = frozenset()
        self._num_breaks: Counter[str] = Counter()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="transfer", daemon=True)

    def start(self) -> None:
        """Start the thread; leftovers are uploaded at once."""
        self._news.set()
        self._thread.start()

    def wake(self) -> None:
        """There may be something new to upload."""
        self._news.set()

    def observe(self, in_training: Collection[str]) -> None:
        """Tell which leases are in training now: their weights are still to come."""
        told = frozenset(in_training)
        if told != self._in_training:
            self._in_training = told
            self._news.set()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread after its current request, for which it has `timeout_s` seconds."""
        self._stopping.set()
        self._news.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.wait()
            self._news.clear()
            wait_s = self._attempt()
            if wait_s is not None:
                self._stopping.wait(wait_s)
                self._news.set()

    def _attempt(self) -> float | None:
        try:
            self.deliver()
        except _RETRIED as error:
            wait_s = self._backoff.next_s(error.retry_after_s)
            _log.warning("upload_again", wait_s=round(wait_s, 2), detail=error.detail)
            return wait_s
        except Exception:  # noqa: BLE001 - without this loop measurements would wait for ever
            _log.exception("upload_crashed")
            return self._backoff.next_s()
        self._backoff.reset()
        return None

    def deliver(self) -> None:
        """Upload everything that is to be uploaded now and that comes while doing so.

        Raises:
            Unavailable: The service cannot be reached; what is not uploaded stays.
            Unauthorized: The token is not accepted; what is not uploaded stays.
        """
        while letters := self._outbox.uploads():
            # Those that were given up in favour of newer ones need not wait.
            self._wake_sender()
            for letter in letters:
                if self._stopping.is_set():
                    return
                self._upload(letter)
            self._wake_sender()
        for weights in self._outbox.weights():
            if weights.lease not in self._in_training and not self._stopping.is_set():
                self._settle(weights)

    def _upload(self, letter: Letter) -> None:
        item = letter.measurement
        path = self._shelf.path(item.trial_id, item.epoch)
        # While the service is away, those that were given up must not fill the disk.
        self._shelf.remove_before(item.trial_id, item.epoch, is_kept=False)
        try:
            with path.open("rb") as file:
                sha256 = digest(file)
                with self._counting_breaks(f"{item.lease} {item.epoch}"):
                    self._api.upload_checkpoint(item.trial_id, item.epoch, item.lease, file, sha256)
            self._shelf.mark(item.trial_id, item.epoch, sha256)
        except _RETRIED:
            raise
        except LeaseLost:
            self._lose(item.trial_id, item.lease)
        except (CaviarError, OSError) as error:
            self._outbox.resolve(letter.id, is_kept=False)
            _log.warning("checkpoint_not_uploaded", trial_id=item.trial_id, epoch=item.epoch, detail=str(error))
            self._shelf.remove(item.trial_id, item.epoch)
        else:
            self._outbox.resolve(letter.id, is_kept=True)
            _log.debug("checkpoint_uploaded", trial_id=item.trial_id, epoch=item.epoch)
            self._shelf.remove_before(item.trial_id, item.epoch, is_kept=True)
            self._shelf.trim(self._outbox.trials())

    @contextmanager
    def _counting_breaks(self, key: str) -> Iterator[None]:
        try:
            yield
        except BrokenOff as error:
            self._num_breaks[key] += 1
            if self._num_breaks[key] < _MAX_BREAKS:
                raise
            del self._num_breaks[key]
            raise RequestError(f"{error.detail}, for the {_MAX_BREAKS}th time; is the file too large?") from error
        self._num_breaks.pop(key, None)

    def _lose(self, trial_id: int, lease: str) -> None:
        _log.info("trial_dropped", trial_id=trial_id, reason=LeaseLost.code)
        self._outbox.drop(lease)
        self._emit(LeaseGone(lease, LeaseLost.code))

    def _settle(self, weights: Weights) -> None:
        if weights.is_wanted:
            self._upload_weights(weights)
        self._shelf.discard_weights(weights.lease)
        self._outbox.forget_weights(weights.lease)
        self._wake_sender()

    def _upload_weights(self, weights: Weights) -> None:
        found = self._shelf.weights(weights.lease)
        if found is None:
            # Training functions have none; what went wrong with others is in the log of their slot.
            _log.info("weights_missing", trial_id=weights.trial_id, detail="the training has left none")
            return
        path, epoch = found
        try:
            with path.open("rb") as file, self._counting_breaks(weights.lease):
                self._api.upload_weights(weights.trial_id, epoch, weights.lease, file, digest(file))
        except _RETRIED:
            raise
        except (CaviarError, OSError) as error:
            _log.warning("weights_not_uploaded", trial_id=weights.trial_id, epoch=epoch, detail=str(error))
        else:
            _log.info("weights_uploaded", trial_id=weights.trial_id, epoch=epoch)
