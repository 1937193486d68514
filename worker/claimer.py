"""Ask for trials: one request at a time, for all free slots together."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable

import structlog

from caviar.contract.errors import CaviarError, NotFound, Unavailable
from caviar.contract.messages import Claim
from worker.api import WorkerApi
from worker.backoff import Backoff
from worker.events import Answered, Refused
from worker.membership import Membership

_log = structlog.get_logger(__name__)


class Claimer:
    """A thread that registers the worker and then sends one claim whenever it is asked to."""

    def __init__(
        self, api: WorkerApi, membership: Membership, emit: Callable[[Answered | Refused], None], backoff: Backoff
    ) -> None:
        """Prepare the thread.

        Args:
            api: The service.
            membership: Who this worker is.
            emit: Takes exactly one event per claim; called from this thread.
            backoff: Waits while the service is away.
        """
        self._api = api
        self._membership = membership
        self._emit = emit
        self._backoff = backoff
        self._asked: queue.SimpleQueue[tuple[Claim, bool] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="claimer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask(self, *, max_trials: int, wait_s: float, leases: list[str], is_idle: bool) -> None:
        """Send a claim and repeat it until it is answered.

        Args:
            max_trials: Free slots.
            wait_s: Seconds that the service may wait for work.
            leases: All that this worker knows it holds.
            is_idle: Whether nothing is running or undelivered; comes back with the answer.
        """
        claim = Claim(request_id=uuid.uuid4().hex, max_trials=max_trials, wait_s=wait_s, leases=leases)
        self._asked.put((claim, is_idle))

    def stop(self) -> None:
        """Send nothing more; a claim under way is answered by its event still, at once if the service is away."""
        self._stopping.set()
        self._asked.put(None)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            try:
                event = self._answer(*asked)
            except Exception:  # noqa: BLE001 - a worker whose claims have died silently would idle for ever
                _log.exception("claim_crashed")
                event = Refused("the thread that asks for trials has crashed; the log has the traceback")
            self._emit(event)

    def _answer(self, claim: Claim, is_idle: bool) -> Answered | Refused:
        while not self._stopping.is_set():
            worker_id = None
            try:
                worker_id = self._membership.current().worker_id
                claimed = self._api.claim(worker_id, claim)
            except NotFound as error:
                if worker_id is None:
                    return Refused(_cannot_work(error))
                self._membership.forget(worker_id)
            except Unavailable as error:
                self._wait(error)
            except CaviarError as error:
                if worker_id is None:
                    return Refused(_cannot_work(error))
                _log.error("claim_refused", detail=str(error))
                self._wait(error)
            else:
                self._backoff.reset()
                return Answered(tuple(claimed.assigned), claimed.retry_after_s, is_idle, claimed.mode)
        return Answered((), 0.0, is_idle)

    def _wait(self, error: CaviarError) -> None:
        wait_s = self._backoff.next_s(error.retry_after_s)
        _log.warning("claim_again", wait_s=round(wait_s, 2), detail=error.detail)
        self._stopping.wait(wait_s)


def _cannot_work(error: CaviarError) -> str:
    return f"the service does not accept this worker ({error.code}): {error}"
