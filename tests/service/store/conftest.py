"""What tests of the store share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from service.store.engine import connect


@pytest.fixture
def engine(ready_database_url: str) -> Iterator[Engine]:
    """Of a fresh database with the newest schema."""
    made = connect(ready_database_url)
    yield made
    made.dispose()
