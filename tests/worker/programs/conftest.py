"""What the tests of programs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from worker.programs.cache import PROGRAMS, Programs


@pytest.fixture(autouse=True)
def programs() -> Iterator[Programs]:
    """The programs of this process, empty before and after."""
    PROGRAMS.clear()
    yield PROGRAMS
    PROGRAMS.clear()
    PROGRAMS.is_on = True
