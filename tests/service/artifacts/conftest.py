"""The real application in process, on each kind of database and of store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import Databases
from tests.service.artifacts.files import Files
from tests.service.protocol.wire import Wire, running

KINDS = [("sqlite", "folder"), pytest.param(("postgres", "folder"), marks=pytest.mark.postgres), ("sqlite", "memory")]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def wire(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wire]:
    """The service; studies of different tests have different names."""
    database, store = request.param
    with pytest.MonkeyPatch.context() as monkeypatch:
        home = tmp_path_factory.mktemp("home")
        monkeypatch.setenv("CAVIAR_HOME", str(home))
        monkeypatch.setenv("CAVIAR_MAX_ARTIFACT_BYTES", str(40 * 2**20))
        if store == "memory":
            monkeypatch.setenv("CAVIAR_ARTIFACTS_URL", f"memory://{home.name}/files")
        with running(databases.ready(database), monkeypatch) as wire:
            yield wire


@pytest.fixture
def files(wire: Wire, request: pytest.FixtureRequest) -> Files:
    """The studies of this test, and the files of their trials."""
    return Files(wire, request.function.__name__[-60:])
