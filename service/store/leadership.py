"""The right to do what one process alone may do for a database."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from service.store.engine import is_shared
from service.store.session import open_session

# Any number that nobody else locks by.
_TAKE = b"SELECT pg_try_advisory_lock(7226372853)"
_ASK = b"SELECT 1"
# The server ends the session of a leader that says nothing, because its process is frozen or its machine gone. Servers
# before Postgres 14 do not know this setting.
_SET_PATIENCE = b"SELECT set_config(name, %s, false) FROM pg_settings WHERE name = 'idle_session_timeout'"
_log = structlog.get_logger(__name__)


class Leadership:
    """Held by one process of a service at a time, for as long as it lives and asks for it again and again.

    On Postgres it is an advisory lock of a session that is kept for it; on SQLite there is one process anyway.
    """

    def __init__(self, engine: Engine, *, patience_s: float) -> None:
        """Nobody leads yet.

        Args:
            engine: Of the database.
            patience_s: Seconds without a question after which a leader has lost it.
        """
        self._engine = engine
        self._is_shared = is_shared(engine)
        self._patience_s = patience_s
        self._session = ExitStack()
        self._connection: psycopg.Connection[Any] | None = None
        self._is_held = False

    def is_held(self) -> bool:
        """Whether this process leads; it does from now on if nobody else does. Waits for the database."""
        if not self._is_shared:
            return True
        try:
            connection = self._connection or self._connect()
            found = connection.execute(_ASK if self._is_held else _TAKE).fetchone()
            self._is_held = self._is_held or bool(found and found[0])
        except (psycopg.Error, DBAPIError, OSError) as error:
            # With the session the lock is gone, or will be soon.
            _log.warning("leadership.lost" if self._is_held else "leadership.unknown", cause=str(error).strip())
            self.give_up()
        return self._is_held

    def give_up(self) -> None:
        """Let another process lead."""
        self._is_held, self._connection = False, None
        self._session.close()

    def _connect(self) -> psycopg.Connection[Any]:
        self._connection = self._session.enter_context(open_session(self._engine))
        self._connection.execute(_SET_PATIENCE, [f"{round(1000 * self._patience_s)}ms"])
        return self._connection
