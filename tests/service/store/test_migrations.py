"""The revisions lead from nothing to the tables that the code expects, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import inspect

from caviar.contract.errors import Unavailable
from service.store import migrations
from service.store.engine import connect
from service.store.schema import metadata


def _tables(url: str) -> set[str]:
    engine = connect(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_an_empty_database_is_upgraded_to_what_the_code_expects(database_url: str) -> None:
    assert migrations.current(database_url) is None
    migrations.upgrade(database_url)
    assert migrations.current(database_url) == migrations.head()
    assert _tables(database_url) == {*metadata.tables, "alembic_version"}
    assert migrations.check(database_url) is None


def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    migrations.upgrade(database_url)
    migrations.upgrade(database_url)
    assert migrations.check(database_url) is None


def test_a_database_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    url = f"postgresql://caviar@/caviar?host={tmp_path}"
    for ask in (migrations.upgrade, migrations.current, migrations.check):
        with pytest.raises(Unavailable):
            ask(url)


def test_a_check_prints_nothing(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    migrations.upgrade(database_url)
    migrations.check(database_url)
    assert capsys.readouterr().out == ""


def test_a_difference_is_told(database_url: str) -> None:
    migrations.upgrade(database_url)
    engine = connect(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE extra (id INTEGER PRIMARY KEY)")
    engine.dispose()
    told = migrations.check(database_url)
    assert told is not None
    assert "extra" in told


def test_the_revisions_can_be_taken_back(database_url: str) -> None:
    migrations.upgrade(database_url)
    migrations.downgrade(database_url)
    assert _tables(database_url) <= {"alembic_version"}
