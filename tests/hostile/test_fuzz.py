"""Each target of the fuzzing for a moment; `python -m tests.hostile.fuzz` goes on from there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.hostile import targets

_EXAMPLES = 25


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    targets.close()


@pytest.mark.parametrize("name", targets.names())
def test_hostile_input_is_answered_as_it_should_be(name: str) -> None:
    settings(max_examples=_EXAMPLES)(targets.load(name))()
