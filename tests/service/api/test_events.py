"""Events as they are sent: each is encoded once, whoever follows its study."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from service.api import event_routes
from service.store.transaction import Event

_AT = datetime(2026, 11, 21, tzinfo=UTC)


def test_an_event_is_encoded_once() -> None:
    first = event_routes._message(Event(1, 5, "measured", _AT, {"value": 0.5}))
    assert event_routes._message(Event(1, 5, "measured", _AT, {"value": 0.5})) is first
    head, kind, data = first.decode().strip().split("\n")
    assert (head, kind) == ("id: 5", "event: measured")
    assert json.loads(data.removeprefix("data: "))["data"] == {"value": 0.5}


def test_studies_that_had_the_same_id_are_not_taken_for_each_other() -> None:
    old = event_routes._message(Event(2, 1, "study_created", _AT, {"name": "old"}))
    new = event_routes._message(Event(2, 1, "study_created", _AT + timedelta(seconds=1), {"name": "new"}))
    assert b'"old"' in old
    assert b'"new"' in new


def test_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_routes, "_MAX_ENCODED", 3)
    for seq in range(1, 9):
        event_routes._message(Event(3, seq, "measured", _AT, {}))
    assert [seq for study_id, seq, _ in event_routes._encoded if study_id == 3] == [6, 7, 8]
