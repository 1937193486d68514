"""Queries on trials by ids that somebody else has named."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine

from service.store import trials
from service.store.engine import read


def test_ids_greater_than_any_trial_s_are_those_of_none(engine: Engine) -> None:
    greatest = 2**53 - 1
    with read(engine, datetime.now(UTC)) as tx:
        assert trials.ended_of(tx, [1, greatest]) == {1, greatest}
        assert trials.named(tx, [1, greatest]) == {}
