"""Being known to the service: registered, and again when the service has forgotten."""

from __future__ import annotations

import threading

import structlog

from caviar.contract.messages import RegisterWorker, WorkerRegistered
from worker.api import WorkerApi

_log = structlog.get_logger(__name__)


class Membership:
    """The worker's id at the service; any thread may ask for it or renew it."""

    def __init__(self, api: WorkerApi, body: RegisterWorker) -> None:
        """Remember what the worker says of itself; nothing is sent yet."""
        self._api = api
        self._body = body
        self._lock = threading.Lock()
        self._registered: WorkerRegistered | None = None

    def current(self) -> WorkerRegistered:
        """The registration, made now if there is none.

        Raises:
            CaviarError: The service refused, or cannot be reached.
        """
        with self._lock:
            if self._registered is None:
                self._registered = self._api.register(self._body)
                _log.info("registered", worker_id=self._registered.worker_id, lease_ttl_s=self._registered.lease_ttl_s)
            return self._registered

    def forget(self, worker_id: str) -> None:
        """The service does not know this id any more; nothing happens if another one is current by now."""
        with self._lock:
            if self._registered is not None and self._registered.worker_id == worker_id:
                _log.warning("unknown_to_service", worker_id=worker_id)
                self._registered = None
