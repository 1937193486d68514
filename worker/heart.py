"""Tell the service regularly which trials are still in training."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from caviar.contract.errors import CaviarError, NotFound
from caviar.contract.fleet import Device, SlotFacts
from caviar.contract.messages import Heartbeat
from worker.api import WorkerApi
from worker.checkpoints.shelf import Shelf
from worker.events import LeaseGone, ModeTold
from worker.membership import Membership
from worker.outbox import Outbox

_log = structlog.get_logger(__name__)

_BEATS_PER_LEASE = 3
_RETRY_S = 1.0


class Heart:
    """A thread that renews all held leases three times per lifetime of a lease, and hears which are lost.

    It also hears which checkpoints nobody needs any more.
    """

    def __init__(
        self,
        api: WorkerApi,
        membership: Membership,
        outbox: Outbox,
        shelf: Shelf,
        emit: Callable[[LeaseGone | ModeTold], None],
        *,
        devices: Callable[[], list[Device]] = list,
        slots: Callable[[], list[SlotFacts]] = list,
    ) -> None:
        """Prepare the thread.

        Args:
            api: The service.
            membership: Who this worker is.
            outbox: Knows the leases.
            shelf: Knows the checkpoints.
            emit: Takes what is lost, and what the operator wants; called from this thread.
            devices: Fresh facts of the devices.
            slots: What each slot does now.
        """
        self._api = api
        self._membership = membership
        self._outbox = outbox
        self._shelf = shelf
        self._emit = emit
        self._devices = devices
        self._slots = slots
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopping.set()

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopping.wait(wait_s):
            try:
                wait_s = self._beat()
            except CaviarError as error:
                _log.warning("heartbeat_failed", detail=error.detail)
                wait_s = _RETRY_S
            except Exception:  # noqa: BLE001 - without heartbeats all trainings would be lost
                _log.exception("heartbeat_crashed")
                wait_s = _RETRY_S

    def _beat(self) -> float:
        registered = self._membership.current()
        kept = self._shelf.trials()
        try:
            beat = Heartbeat(
                leases=self._outbox.leases(), checkpoints=kept, devices=self._devices(), slots=self._slots()
            )
            answer = self._api.heartbeat(registered.worker_id, beat)
        except NotFound:
            self._membership.forget(registered.worker_id)
            return 0.0
        self._emit(ModeTold(answer.mode))
        for lease in answer.lost:
            self._outbox.drop(lease)
            self._emit(LeaseGone(lease, "lease_lost"))
        # Of the others the service has not been asked; and of a trial that is still in the outbox, the last word is
        # not spoken, whatever another worker of this machine has heard.
        self._shelf.discard((set(answer.discard) & set(kept)) - self._outbox.trials())
        return registered.lease_ttl_s / _BEATS_PER_LEASE
