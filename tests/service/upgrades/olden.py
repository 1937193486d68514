"""Databases as earlier versions of Caviar left them.

The files under `databases/` hold every row that the code of that revision wrote while it served the same story:
studies that are running, paused, complete and stopped; trials in every state, with failures, lost attempts, promotions
and imports; leases that are held; checkpoints. Nobody edits them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, DateTime, Engine, Integer, MetaData, Table, insert, select

from service.store import migrations
from service.store.engine import begun, connect

Row = dict[str, Any]
_FOLDER = Path(__file__).with_name("databases")
_NEWEST_STORY = "0004"
# Tables and columns of later revisions, as their code would have filled them beside that story.
_LATER: dict[str, dict[str, list[Row]]] = {
    "0005": {
        "audit": [
            {
                "id": 7,
                "at": "2026-11-21 12:00:00.000000",
                "actor": "ann",
                "role": "admin",
                "token_id": 1,
                "address": "192.0.2.1",
                "request_id": None,
                "action": "study.create",
                "object": "study:s0",
                "details": {"from": "é"},
            }
        ]
    },
    "0006": {
        "webhooks": [
            {
                "id": 3,
                "name": "team chat",
                "url": "https://hooks.example.com/é",
                "events": ["new_best", "study_done"],
                "studies": ["s*"],
                "scope": None,
                "rules": {
                    "best_every_s": 60.0,
                    "storm_failures": 5,
                    "storm_within_s": 600.0,
                    "storm_share": 0.5,
                    "stagnant_trials": 50,
                    "stagnant_epochs": None,
                },
                "is_active": False,
                "created_by": "admin",
                "token_id": 1,
                "created_at": "2026-11-21 12:00:00.000000",
                "updated_at": "2026-11-21 12:00:00.000000",
            }
        ],
        "webhook_secrets": [
            {"id": 1, "webhook_id": 3, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "expires_at": None}
        ],
        "deliveries": [
            {
                "id": 5,
                "message_id": "msg_0f2a4c6e8b1d3f5a7c9e0b2d4f6a8c0e",
                "webhook_id": 3,
                "study_id": None,
                "study": None,
                "event": "ping",
                "body": '{"type":"ping","timestamp":"2026-11-21T12:00:00Z","text":"Caviar: a ping of the webhook.",'
                '"data":{"webhook":"team chat","study":null,"best":null,"rule":null}}',
                "state": "delivered",
                "attempts": 1,
                "status": 204,
                "error": None,
                "created_at": "2026-11-21 12:00:00.000000",
                "last_attempt_at": "2026-11-21 12:00:01.000000",
                "next_attempt_at": None,
                "first_due_at": "2026-11-21 12:00:00.000000",
                "give_up_at": "2026-11-22 12:00:00.000000",
            }
        ],
    },
}


def revisions() -> list[str]:
    """All earlier revisions, the oldest first."""
    head = migrations.head()
    assert head is not None
    return [f"{number:04d}" for number in range(1, int(head))]


def rows_of(revision: str) -> dict[str, list[Row]]:
    """Rows by table, as SQLite holds them, JSON columns parsed."""
    story = min(revision, _NEWEST_STORY)
    found: dict[str, list[Row]] = json.loads((_FOLDER / f"{story}.json").read_text(encoding="utf-8"))
    for later, tables in _LATER.items():
        if later <= revision:
            # Sessions of before were ended by that revision itself.
            found["tokens"] = [row for row in found["tokens"] if row["kind"] == "access"]
            found |= tables
    return found


def make(url: str, revision: str) -> dict[str, list[Row]]:
    """Fill an empty database as a version with this revision left it.

    Returns:
        The rows by table, as `stored` reads them.
    """
    migrations.upgrade(url, revision)
    engine = connect(url)
    tables = _reflected(engine)
    with begun(engine) as connection:
        for table in tables.sorted_tables:
            for row in rows_of(revision).get(table.name, []):
                connection.execute(insert(table), _read(table, row, is_sqlite=engine.dialect.name == "sqlite"))
            _number(connection, table)
    engine.dispose()
    return stored(url)


def stored(url: str) -> dict[str, list[Row]]:
    """All rows by table, in the order of their keys."""
    engine = connect(url)
    tables = _reflected(engine)
    with engine.connect() as connection:
        found = {
            table.name: [dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in tables.sorted_tables
            if table.name != "alembic_version"
        }
    engine.dispose()
    return found


def _reflected(engine: Engine) -> MetaData:
    tables = MetaData()
    tables.reflect(engine)
    for table in tables.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type = JSON(none_as_null=True)
    return tables


def _read(table: Table, row: Mapping[str, Any], *, is_sqlite: bool) -> Row:
    values = dict(row)
    for name, value in row.items():
        kind = table.columns[name].type
        if value is not None and isinstance(kind, DateTime):
            at = datetime.fromisoformat(value)
            values[name] = at if is_sqlite else at.replace(tzinfo=UTC)
        elif isinstance(kind, Boolean):
            values[name] = bool(value)
    return values


def _number(connection: Connection, table: Table) -> None:
    if connection.dialect.name == "postgresql" and "id" in table.columns and isinstance(table.c.id.type, Integer):
        name = table.name
        following = f"(SELECT coalesce(max(id), 0) + 1 FROM {name})"
        connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {following}, false)")
