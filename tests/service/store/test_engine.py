"""Both databases keep acknowledged writes, and addresses that cannot be used are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from caviar.contract.errors import InvalidRequest
from service.store.engine import connect, parse_url
from tests.databases import Databases


def test_sqlite_survives_a_power_cut_and_lets_readers_go_on(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'caviar.db'}")
    with engine.connect() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
        assert values == {"journal_mode": "wal", "synchronous": 2}
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


@pytest.mark.postgres
def test_postgres_waits_for_the_disk(databases: Databases) -> None:
    engine = connect(databases.empty("postgres"))
    with engine.connect() as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.exec_driver_sql(f"SHOW {name}").scalar() == "on"
    engine.dispose()


@pytest.mark.parametrize("url", ["nonsense", "", "mysql://localhost/x", "sqlite+aiosqlite:///x", "http://localhost"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_url(url)
    assert refused.value.errors[0].field == "database_url"
    assert "postgresql://" in refused.value.errors[0].expected


def test_a_refused_address_does_not_show_its_password() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_url("mysql://user:hush-hush@localhost/x")
    assert "hush-hush" not in str(refused.value)


@pytest.mark.parametrize("start", ["postgresql", "postgresql+psycopg"])
def test_postgres_is_spoken_to_by_psycopg(start: str) -> None:
    assert parse_url(f"{start}://user@localhost/x").drivername == "postgresql+psycopg"
