"""How much of the slots each study has used, told by the events of its trials."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.domain.shares import HALF_LIFE_S, Shares
from service.store.transaction import Event

_BEGIN = datetime(2026, 11, 21, 12, tzinfo=UTC)
_LONG, _SHORT = 1, 2


def at(seconds: float) -> datetime:
    """A moment."""
    return _BEGIN + timedelta(seconds=seconds)


def event(kind: str, study_id: int, seconds: float, **data: str | int) -> Event:
    """Something that happened."""
    return Event(study_id, 1, kind, at(seconds), data)


def test_a_study_that_nobody_trained_has_used_nothing() -> None:
    assert Shares().used_s(_LONG, at(5)) == 0.0


@pytest.mark.parametrize("end", ["trial_ended", "trial_paused", "trial_requeued"])
def test_seconds_count_while_a_trial_runs_and_once_it_is_over(end: str) -> None:
    shares = Shares()
    shares.apply([event("trial_started", _LONG, 0, trial_id=7)])
    assert shares.used_s(_LONG, at(60)) == 60.0
    shares.apply([event(end, _LONG, 60, trial_id=7)])
    assert shares.used_s(_LONG, at(60)) == 60.0
    assert shares.used_s(_LONG, at(60 + HALF_LIFE_S)) == pytest.approx(30.0)
    assert shares.used_s(_SHORT, at(60)) == 0.0


def test_slots_count_each_and_the_past_fades() -> None:
    shares = Shares()
    shares.apply(event("trial_started", _LONG, 0, trial_id=number) for number in (1, 2, 3))
    shares.apply(event("trial_ended", _LONG, 10, trial_id=number) for number in (1, 2))
    shares.apply([event("trial_ended", _LONG, 10 + HALF_LIFE_S, trial_id=3)])
    assert shares.used_s(_LONG, at(10 + HALF_LIFE_S)) == pytest.approx(10 + 10 + HALF_LIFE_S)


def test_a_trial_that_begins_twice_counts_from_the_second_time_on() -> None:
    shares = Shares()
    shares.apply(event("trial_started", _LONG, seconds, trial_id=1) for seconds in (0, 40))
    assert shares.used_s(_LONG, at(60)) == 20.0
    shares.apply([event("trial_ended", _LONG, 60, trial_id=1), event("trial_ended", _LONG, 70, trial_id=1)])
    assert shares.used_s(_LONG, at(60)) == 20.0


def test_ends_without_a_beginning_and_clocks_set_back_count_nothing() -> None:
    shares = Shares()
    shares.apply([event("trial_ended", _LONG, 10, trial_id=1), event("trial_started", _LONG, 100, trial_id=2)])
    assert shares.used_s(_LONG, at(50)) == 0.0
    shares.apply([event("trial_ended", _LONG, 50, trial_id=2)])
    assert shares.used_s(_LONG, at(50)) == 0.0


@pytest.mark.parametrize(("state", "used_s"), [("complete", 0.0), ("stopped", 0.0), ("paused", 10.0)])
def test_studies_that_are_over_are_forgotten(state: str, used_s: float) -> None:
    shares = Shares()
    shares.apply([event("trial_started", _LONG, 0, trial_id=1), event("trial_ended", _LONG, 10, trial_id=1)])
    shares.apply([event("study_changed", _LONG, 10, state=state)])
    assert shares.used_s(_LONG, at(10)) == used_s
