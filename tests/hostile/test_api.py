"""Schemathesis for a moment; `python -m tests.hostile.api --requests 20000` goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile import api

_MAX_S = 25


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_the_api_is_as_its_document_says(tmp_path: Path, database: str) -> None:
    with api.furnished(tmp_path, database) as (started, scenery):
        answered = api.once(started, scenery, seed=1, examples=3, max_time_s=_MAX_S)
    assert answered > 100
