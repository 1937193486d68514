"""What events mean for curves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service.store.transaction import Event
from service.web.live.curves import news

_AT = datetime(2026, 11, 21, tzinfo=UTC)


def _event(kind: str, **data: Any) -> Event:
    return Event(1, 1, kind, _AT, {"trial_id": 7, "number": 3, **data})


def test_the_steps_of_a_trial_in_their_order() -> None:
    told = news(
        [
            _event("trial_created"),
            _event("trial_started", first_epoch=1),
            _event("measured", epoch=1, value=0.5),
            _event("trial_requeued", reason="failed"),
            _event("trial_started", first_epoch=1),
            _event("measured", epoch=1, value=0.4),
            _event("trial_paused", epoch=1),
            _event("trial_ended", state="pruned", stop_reason="pruned"),
        ]
    )
    assert told == {
        "steps": [
            ["begin", 7, 3, 1],
            ["point", 7, 3, 1, 0.5],
            ["end", 7, "waiting", "failed"],
            ["begin", 7, 3, 1],
            ["point", 7, 3, 1, 0.4],
            ["end", 7, "paused", None],
            ["end", 7, "pruned", "pruned"],
        ]
    }


def test_what_is_no_matter_of_curves_tells_nothing() -> None:
    assert news([_event("study_edited"), _event("round_opened")]) == {}


def test_curves_are_fetched_anew_after_a_gap_an_import_or_too_much() -> None:
    assert news(None) == {"reload": True}
    assert news([_event("measured", epoch=1, value=0.5), _event("trial_imported")]) == {"reload": True}
    assert news([_event("measured", epoch=1, value=0.5)] * 1501) == {"reload": True}
