"""A SQLite file belongs to one process, a Postgres database to all that serve it."""

from __future__ import annotations

from pathlib import Path

import pytest

from caviar.contract.errors import StateConflict
from service.store.sole import alone


def test_a_second_process_is_refused_in_words_that_help(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'caviar.db'}"
    with alone(url):
        with pytest.raises(StateConflict) as refused, alone(url):
            raise AssertionError("it was let in")
        assert "another process uses the database" in refused.value.detail
        assert "move to Postgres" in refused.value.detail
        with alone(f"sqlite:///{tmp_path / 'other.db'}"):
            pass
    with alone(url):
        pass


@pytest.mark.parametrize("url", ["sqlite://", "postgresql://nobody@localhost/nothing"])
def test_what_is_not_a_file_is_not_locked(url: str) -> None:
    with alone(url), alone(url):
        pass
