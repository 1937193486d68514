"""The databases that the tests make are real, fresh, and keep what they acknowledged."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from tests.databases import Databases
from tests.postgres import PostgresServer


def _tables(url: str) -> list[str]:
    engine = sqlalchemy.create_engine(url)
    try:
        return sorted(sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_gets_an_empty_database(database_url: str, turn: int) -> None:
    assert _tables(database_url) == []
    engine = sqlalchemy.create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE mark_{turn} (id INTEGER)")
    engine.dispose()
    assert _tables(database_url) == [f"mark_{turn}"]


def test_ready_databases_have_the_newest_schema_and_no_rows(databases: Databases, database_kind: str) -> None:
    first, second = databases.ready(database_kind), databases.ready(database_kind)
    assert first != second
    engine = sqlalchemy.create_engine(first)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'changed'")
        assert connection.exec_driver_sql("SELECT count(*) FROM studies").scalar() == 0
    engine.dispose()
    assert "measurements" in _tables(second)
    engine = sqlalchemy.create_engine(second)
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() != "changed"
    engine.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize("immediate", [True, False])
def test_a_stopped_or_crashed_server_comes_back_with_what_it_acknowledged(
    own_postgres_server: PostgresServer, *, immediate: bool
) -> None:
    server = own_postgres_server
    server.start()
    dsn = server.create_database("kept").replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT generate_series(1, 1000) AS number")
    first_pid = server.pid
    server.stop(immediate=immediate)
    assert server.pid is None
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)
    server.start()
    assert server.pid != first_pid
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*), current_setting('fsync') FROM numbers").fetchone()
        assert row == (1000, "on")
    log = (server.folder / "log").read_text()
    assert ("not properly shut down" in log) == immediate


@pytest.mark.postgres
def test_starting_twice_is_refused_and_stopping_twice_is_not(own_postgres_server: PostgresServer) -> None:
    own_postgres_server.start()
    with pytest.raises(RuntimeError, match="runs already"):
        own_postgres_server.start()
    own_postgres_server.stop()
    own_postgres_server.stop()


@pytest.mark.postgres
def test_the_server_ends_with_the_process_that_started_it() -> None:
    folder = Path(tempfile.mkdtemp(prefix="caviar-pg-"))
    script = (
        "import os, pathlib, signal, sys; from tests.postgres import PostgresServer\n"
        "server = PostgresServer(pathlib.Path(sys.argv[1])); server.start()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    try:
        root = Path(__file__).parents[1]
        done = subprocess.run([sys.executable, "-c", script, folder], cwd=root, check=False, timeout=120)
        assert done.returncode == -signal.SIGKILL
        # Its socket is the last thing that a server removes.
        deadline = time.monotonic() + 60
        while list(folder.glob(".s.PGSQL.*")):
            assert time.monotonic() < deadline
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.postgres
def test_a_dropped_database_is_gone(postgres_server: PostgresServer) -> None:
    dsn = postgres_server.create_database("dropped").replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(dsn):
        postgres_server.drop_database("dropped")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(dsn)
