"""Hearing what other processes of a service have committed."""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import Any, Protocol

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from caviar.contract.errors import Unavailable
from service.store.notices import CHANNEL, Notice, parsed
from service.store.session import open_session

# A quiet connection is asked this often whether it is still there.
_QUIET_S = 10.0
_RETRY_S = 1.0
_log = structlog.get_logger(__name__)


class Hearer(Protocol):
    """Whom a listener tells, all on its own thread."""

    def heard(self, notice: Notice) -> None:
        """Another process has committed something."""

    def returned(self) -> None:
        """From now on every notice is heard; others may have been missed."""

    def catch_up(self) -> None:
        """Somebody has called `wake`."""


class Listener:
    """A thread with a connection of its own that listens as long as it is open.

    Whatever happens to the connection, it is made anew.
    """

    def __init__(self, engine: Engine, hearer: Hearer) -> None:
        """Prepare to listen; `start` begins.

        Args:
            engine: Of a Postgres database.
            hearer: Is told what is heard.
        """
        self._engine = engine
        self._origin = engine.get_execution_options()["origin"]
        self._hearer = hearer
        self._waking, self._woken = socket.socketpair()
        self._waking.setblocking(False)
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="caviar-listener", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def wake(self) -> None:
        """Have the hearer catch up soon; from any thread."""
        try:
            self._waking.send(b"!")
        except (BlockingIOError, OSError):
            # It has enough of them to read already, or is closed.
            return

    def close(self) -> None:
        """End the thread."""
        self._is_closed = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()
        self._waking.close()
        self._woken.close()

    def _run(self) -> None:
        while not self._is_closed:
            try:
                with open_session(self._engine) as connection:
                    connection.execute(f"LISTEN {CHANNEL}".encode())
                    self._listen(connection)
            except (psycopg.Error, DBAPIError, OSError, Unavailable) as error:
                _log.warning("listener.interrupted", cause=str(error).strip())
                self._rest()
            except Exception:  # noqa: BLE001  # The thread must outlive every failure of those whom it tells.
                _log.exception("listener.failed")
                self._rest()

    def _rest(self) -> None:
        until = time.monotonic() + _RETRY_S
        while not self._is_closed and (left := until - time.monotonic()) > 0:
            if select.select([self._woken], [], [], left)[0]:
                self._woken.recv(4096)

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        self._hearer.returned()
        while not self._is_closed:
            readable, _, _ = select.select([connection.fileno(), self._woken.fileno()], [], [], _QUIET_S)
            if self._woken.fileno() in readable:
                self._woken.recv(4096)
                self._hearer.catch_up()
            if not readable:
                connection.execute(b"SELECT 1")
            for notify in connection.notifies(timeout=0):
                notice = parsed(notify.payload)
                if notice.origin != self._origin:
                    self._hearer.heard(notice)
