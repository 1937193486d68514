"""How tables are laid out where that decides what a report costs."""

from __future__ import annotations

import importlib
import pkgutil
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Alias, Engine, insert, update

import service.store
from service.store import schema
from service.store.engine import begun

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
@pytest.mark.parametrize("width", [900, 1000, 1400, 1900])
def test_a_study_that_changes_with_every_report_stays_where_it_is(engine: Engine, width: int) -> None:
    # About as wide as the body of a study is with all its defaults.
    study: dict[str, Any] = {
        "name": "s", "spec": {"space": "x" * width}, "submitted_digest": "d", "state": "running", "created_at": NOW,
        "updated_at": NOW,
    }  # fmt: skip
    with begun(engine) as connection:
        connection.execute(insert(schema.studies).values(study))
    for number in range(300):
        with begun(engine) as connection:
            connection.execute(update(schema.studies).values(num_epochs=number))
            connection.execute(update(schema.studies).values(last_event_seq=number))
    with engine.connect() as connection:
        num_pages = connection.exec_driver_sql("SELECT pg_relation_size('studies') / 8192").scalar_one()
    # Of 600 versions, six to a page.
    assert num_pages < 10


def test_aliases_that_threads_share_have_their_columns_before_the_first_of_them_comes() -> None:
    modules = [
        importlib.import_module(f"service.store.{one.name}") for one in pkgutil.iter_modules(service.store.__path__)
    ]
    found = {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Alias)
    }
    assert "service.store.tokens._parents" in found
    assert {name for name, value in found.items() if "c" not in vars(value)} == set()
