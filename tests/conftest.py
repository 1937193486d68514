"""What all tests share: databases, and a home folder that is not the developer's."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.databases import Databases
from tests.postgres import PostgresServer

# A slow or busy machine is no defect; seeds are fixed, so that a failure comes again.
settings.register_profile(
    "caviar",
    deadline=None,
    derandomize=True,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# `CAVIAR_TEST_PROFILE=search` looks for new counterexamples instead.
settings.register_profile("search", parent=settings.get_profile("caviar"), derandomize=False, max_examples=1000)
settings.load_profile(os.environ.get("CAVIAR_TEST_PROFILE", "caviar"))


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the developer's files and settings."""
    for name in [name for name in os.environ if name.startswith("CAVIAR_") and name != "CAVIAR_TEST_PROFILE"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CAVIAR_HOME", str(tmp_path_factory.mktemp("home")))
    # The name by which test clients call an application in process.
    monkeypatch.setenv("CAVIAR_ALLOWED_HOSTS", "testserver")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's Postgres server."""
    # Not below pytest's folder: a socket's path may hold 107 characters, and other users may not look in there.
    folder = Path(tempfile.mkdtemp(prefix="caviar-pg-"))
    server = PostgresServer(folder)
    atexit.register(server.stop, immediate=True)
    try:
        server.start()
        yield server
    finally:
        server.stop(immediate=True)
        atexit.unregister(server.stop)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A Postgres server that the test may stop and crash as it likes; not started yet."""
    folder = Path(tempfile.mkdtemp(prefix="caviar-pg-"))
    server = PostgresServer(folder)
    try:
        yield server
    finally:
        server.stop(immediate=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer) -> Databases:
    """Makes fresh databases of either kind."""
    return Databases(tmp_path_factory.mktemp("databases"), postgres_server)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_kind(request: pytest.FixtureRequest) -> str:
    """Runs the test on both kinds of database."""
    return str(request.param)


@pytest.fixture
def database_url(databases: Databases, database_kind: str) -> str:
    """Address of a fresh database without any table; the test runs on both kinds."""
    return databases.empty(database_kind)


@pytest.fixture
def ready_database_url(databases: Databases, database_kind: str) -> str:
    """Address of a fresh database with the newest schema; the test runs on both kinds."""
    return databases.ready(database_kind)
