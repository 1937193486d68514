"""What a report costs at least: a bare FastAPI route that makes one durable insert by a group commit.

python -m benchmarks.reports.bare ADDRESS_OF_THE_DATABASE PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import psycopg
import uvicorn
from fastapi import Body, FastAPI
from sqlalchemy.engine import make_url

from caviar.contract.messages import Report

_TABLE = "CREATE TABLE IF NOT EXISTS bare (id {id}, trial INTEGER, epoch INTEGER, metrics TEXT, at TEXT)"
Row = tuple[int, int, str, str]
Job = tuple[Row, "asyncio.Future[None]"]


class GroupCommit:
    """One thread inserts all rows that wait, commits once, and answers them all."""

    def __init__(self, insert: Callable[[list[Row]], None]) -> None:
        """Take the statement that inserts and commits."""
        self._insert = insert
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, daemon=True).start()

    async def add(self, row: Row) -> None:
        """Insert a row; returns after its commit."""
        future = self._loop.create_future()
        self._jobs.put((row, future))
        await future

    def _run(self) -> None:
        while True:
            jobs = [self._jobs.get()]
            while not self._jobs.empty():
                jobs.append(self._jobs.get())
            self._insert([row for row, _ in jobs])
            self._loop.call_soon_threadsafe(_resolve, [future for _, future in jobs])


def _resolve(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


def _inserting(address: str) -> Callable[[list[Row]], None]:
    if address.startswith("sqlite"):
        return _sqlite(make_url(address).database or "")
    return _postgres(make_url(address).set(drivername="postgresql").render_as_string(hide_password=False))


def _sqlite(path: str) -> Callable[[list[Row]], None]:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(_TABLE.format(id="INTEGER PRIMARY KEY"))

    def insert(rows: list[Row]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO bare (trial, epoch, metrics, at) VALUES (?, ?, ?, ?)", rows)
        connection.execute("COMMIT")

    return insert


def _postgres(address: str) -> Callable[[list[Row]], None]:
    connection = psycopg.connect(address)
    connection.execute(_TABLE.format(id="BIGSERIAL PRIMARY KEY"))
    connection.commit()

    def insert(rows: list[Row]) -> None:
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO bare (trial, epoch, metrics, at) VALUES (%s, %s, %s, %s)", rows)
        connection.commit()

    return insert


def create_app(address: str) -> FastAPI:
    """The application: one route."""
    state: dict[str, Any] = {}

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        state["writer"] = GroupCommit(_inserting(address))
        yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/api/v1/measurements")
    async def report(body: Annotated[Report, Body()]) -> dict[str, list[dict[str, Any]]]:
        """Insert the first item."""
        item = body.items[0]
        row = (item.trial_id, item.epoch, orjson.dumps(item.metrics).decode(), datetime.now(UTC).isoformat())
        await state["writer"].add(row)
        return {"decisions": [{"trial_id": item.trial_id, "decision": "continue"}]}

    return app


def main() -> None:
    """Serve until terminated."""
    address, port = sys.argv[1:]
    uvicorn.run(
        create_app(address), host="127.0.0.1", port=int(port), log_level="warning", access_log=False, loop="uvloop"
    )


if __name__ == "__main__":
    main()
