"""Deliver what is in the outbox, in order, and hear what the service decides."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from caviar.contract.errors import CaviarError, LeaseLost, NotFound
from caviar.contract.messages import Finish, Report, ReportAnswer
from caviar.contract.states import Decision
from worker.api import RETRIED, WorkerApi
from worker.backoff import Backoff
from worker.checkpoints.shelf import Shelf
from worker.events import LeaseGone
from worker.outbox import Ending, Letter, Outbox

_log = structlog.get_logger(__name__)

_MAX_ITEMS = 1000
# A decision comes so much later at most, which is an epoch or a few of a small model.
_MOMENT_S = 0.05
_LOST = frozenset({LeaseLost.code, NotFound.code})


class Sender:
    """A thread that empties the outbox: all measurements of the moment in one request, then the endings.

    While the service is away it tries again with growing waits, and nothing is lost. Measurements that wait for their
    checkpoint are left to it by `Transfer`.
    """

    def __init__(
        self,
        api: WorkerApi,
        outbox: Outbox,
        shelf: Shelf,
        emit: Callable[[LeaseGone], None],
        backoff: Backoff,
        *,
        delivered: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare the thread.

        Args:
            api: The service.
            outbox: What to deliver.
            shelf: Checkpoints, which go once their trial is over.
            emit: Takes the trials that the service has ended or taken away; called from this thread.
            backoff: Waits while the service is away.
            delivered: Called from this thread whenever something has reached the service: what has waited for it, such
                as the next checkpoint or the weights, may go.
        """
        self._api = api
        self._outbox = outbox
        self._shelf = shelf
        self._emit = emit
        self._backoff = backoff
        self._delivered = delivered
        self._is_disk_full = False
        self._news = threading.Event()
        self._urgent = threading.Event()
        self._reported_at = -math.inf
        self._settled = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Start the thread; leftovers are delivered at once."""
        self._news.set()
        self._thread.start()

    def wake(self, *, is_urgent: bool = False) -> None:
        """There is something new in the outbox, such as the end of a training, which is urgent."""
        if is_urgent:
            self._urgent.set()
        self._news.set()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is delivered.

        Args:
            timeout_s: Seconds to wait at most.
        Returns:
            Whether the outbox is empty.
        """
        self.wake(is_urgent=True)
        with self._settled:
            return self._settled.wait_for(lambda: self._outbox.is_settled, timeout_s)

    def stop(self, timeout_s: float = 1.0) -> None:
        """End the thread after its current request, for which it has `timeout_s` seconds."""
        self._stopping.set()
        self.wake(is_urgent=True)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.wait()
            self._gather()
            self._news.clear()
            wait_s = self._attempt()
            if wait_s is not None:
                # News does not cut the wait short, else every epoch would be a try.
                self._stopping.wait(wait_s)
                self._news.set()

    def _gather(self) -> None:
        # Epochs of small models come faster than requests pay: those of the same moment go together.
        self._urgent.wait(max(0.0, self._reported_at + _MOMENT_S - time.monotonic()))
        self._urgent.clear()

    def _attempt(self) -> float | None:
        try:
            self.deliver()
        except RETRIED as error:
            wait_s = self._backoff.next_s(error.retry_after_s)
            _log.warning("deliver_again", wait_s=round(wait_s, 2), detail=error.detail)
            return wait_s
        except sqlite3.OperationalError as error:
            # What cannot be taken out of the outbox is delivered again, which changes nothing.
            if not self._is_disk_full:
                _log.error("disk_takes_nothing", detail=str(error), reason="deliveries cannot be noted until it does")
            self._is_disk_full = True
            return self._backoff.next_s()
        except Exception:  # noqa: BLE001 - without this loop nothing would ever reach the service again
            _log.exception("delivery_crashed")
            return self._backoff.next_s()
        self._backoff.reset()
        self._is_disk_full = False
        return None

    def deliver(self) -> None:
        """Deliver everything that is in the outbox now and that comes while doing so.

        Raises:
            Unavailable: The service cannot be reached; what is undelivered stays.
            Unauthorized: The token is not accepted; what is undelivered stays.
            Forbidden: As for `Unauthorized`.
        """
        while not self._stopping.is_set():
            letters = self._outbox.measurements(_MAX_ITEMS)
            if not letters and not self._outbox.endings():
                break
            if letters:
                self._report(letters)
                self._reported_at = time.monotonic()
            # Their last measurements may have gone just now.
            for ending in self._outbox.endings():
                self._end(ending)
            self._delivered()
            if self._news.is_set():
                self._gather()
        with self._settled:
            self._settled.notify_all()

    def _report(self, letters: Sequence[Letter]) -> None:
        try:
            answer = self._api.report(Report(items=[letter.measurement for letter in letters]))
        except RETRIED:
            raise
        except CaviarError as error:
            self._refused(letters, error)
            return
        self._settle(letters, answer)

    def _refused(self, letters: Sequence[Letter], error: CaviarError) -> None:
        # The error is that of the first item; what is wrong with the others only smaller reports can tell.
        if len(letters) > 1:
            middle = len(letters) // 2
            self._report(letters[:middle])
            self._report(letters[middle:])
            return
        item = letters[0].measurement
        self._reject(item.trial_id, item.lease, item.epoch, error.code, str(error))
        self._outbox.remove([letters[0].id])

    def _settle(self, letters: Sequence[Letter], answer: ReportAnswer) -> None:
        lease_of = {letter.measurement.trial_id: letter.measurement.lease for letter in letters}
        self._outbox.remove(letter.id for letter in letters)
        for rejected in answer.rejected:
            if rejected.trial_id in lease_of:
                self._reject(
                    rejected.trial_id, lease_of[rejected.trial_id], rejected.epoch, rejected.code, rejected.detail
                )
        for decided in answer.decisions:
            if decided.decision is not Decision.CONTINUE and decided.trial_id in lease_of:
                # After a pause too: the epochs after the rung are lost, and the slot trains another trial at once.
                reason = decided.reason or decided.decision.value
                self._lose(decided.trial_id, lease_of[decided.trial_id], reason, keep_weights=decided.keep_weights)

    def _reject(self, trial_id: int, lease: str, epoch: int, code: str, detail: str) -> None:
        if code in _LOST:
            self._lose(trial_id, lease, code)
        else:
            _log.error("measurement_refused", trial_id=trial_id, epoch=epoch, code=code, detail=detail)

    def _lose(self, trial_id: int, lease: str, reason: str, *, keep_weights: bool = False) -> None:
        _log.info("trial_dropped", trial_id=trial_id, reason=reason)
        self._outbox.drop(lease, are_weights_wanted=keep_weights)
        self._emit(LeaseGone(lease, reason))

    def _end(self, ending: Ending) -> None:
        keep_weights = False
        try:
            if isinstance(ending.message, Finish):
                status = self._api.finish(ending.trial_id, ending.message)
            else:
                status = self._api.release(ending.trial_id, ending.message)
        except RETRIED:
            raise
        except CaviarError as error:
            _log.warning("ending_refused", trial_id=ending.trial_id, code=error.code, detail=str(error))
        else:
            _log.info("trial_ended", trial_id=ending.trial_id, state=status.state, stop_reason=status.stop_reason)
            keep_weights = status.keep_weights
            if status.state.is_finished:
                self._shelf.discard([ending.trial_id])
        self._outbox.drop(ending.lease, are_weights_wanted=keep_weights)
