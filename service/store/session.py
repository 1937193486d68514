"""A connection of one's own, for what holds longer than a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from sqlalchemy import Engine


@contextmanager
def open_session(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    """A connection to Postgres that is in no pool, each of whose statements is a transaction; closed at the end.

    Raises:
        DBAPIError: The database does not answer.
    """
    pooled = engine.raw_connection()
    connection = cast(psycopg.Connection[Any], pooled.driver_connection)
    pooled.detach()
    try:
        connection.autocommit = True
        yield connection
    finally:
        connection.close()
