"""The real application in process, on each kind of database, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import Databases
from tests.service.protocol.wire import Wire, running
from tests.service.use_cases.lab import Lab


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def wire(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wire]:
    """The service; studies of different tests have different names."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("CAVIAR_HOME", str(tmp_path_factory.mktemp("home")))
        with running(databases.ready(request.param), monkeypatch) as wire:
            yield wire


@pytest.fixture
def lab(wire: Wire, request: pytest.FixtureRequest) -> Lab:
    """The studies of this test."""
    return Lab(wire, request.function.__name__[-60:])
