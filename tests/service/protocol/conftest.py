"""One running service per kind of database for all tests of the protocol; studies keep to their own objectives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import Databases
from tests.service.protocol.wire import Wire, running


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def wire(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Wire]:
    """The service in process, on each kind of database."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        home = request.getfixturevalue("tmp_path_factory").mktemp("home")
        monkeypatch.setenv("CAVIAR_HOME", str(home))
        with running(databases.ready(request.param), monkeypatch) as wire:
            yield wire
