"""The real application in process, one for each test: counts begin at nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import Databases
from tests.service.protocol.wire import Wire, running


@pytest.fixture
def wire(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The service on SQLite."""
    with running(databases.ready("sqlite"), monkeypatch) as wire:
        yield wire


@pytest.fixture
def any_wire(ready_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The service; the test runs on each kind of database."""
    with running(ready_database_url, monkeypatch) as wire:
        yield wire
