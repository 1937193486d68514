"""A service whose database is backed up, and services on what is restored from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Databases
from tests.service.artifacts.files import Files
from tests.service.backups.places import Places


@pytest.fixture
def places(databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    """Services of this test, each with a folder of its own, all gone at the end."""
    made = Places(databases, tmp_path, monkeypatch)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def files(places: Places) -> Files:
    """The service that is backed up, where the kind of its database does not matter."""
    return Files(places.start(), "backed-up")
