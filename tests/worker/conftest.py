"""What the tests of the worker share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worker.wire import Service, served


@pytest.fixture
def service() -> Iterator[Service]:
    """A service of the worker wire that listens on this machine."""
    with served() as service:
        yield service
