"""Diaries hold what was written, also after a kill in the middle of a line, and a worker goes on from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.chaos.diary import Diary, entries
from tests.chaos.training import leftovers


def test_a_line_that_was_cut_is_left_out_and_spoils_nothing(tmp_path: Path) -> None:
    path = tmp_path / "diary.jsonl"
    with Diary(path) as diary:
        diary.write({"what": "first"}, {"what": "second"})
    path.write_bytes(path.read_bytes() + b'{"what": "thi')
    with Diary(path) as diary:
        diary.write({"what": "fourth"})
    assert [entry["what"] for entry in entries(path)] == ["first", "second", "fourth"]


def test_a_diary_that_was_never_begun_is_empty(tmp_path: Path) -> None:
    assert list(entries(tmp_path / "diary.jsonl")) == []


def _claimed(lease: str) -> dict[str, Any]:
    return {"what": "claimed", "lease": lease, "assignment": {"lease": lease, "trial_id": 1}}


def _measured(lease: str, epoch: int) -> dict[str, Any]:
    return {"what": "measured", "lease": lease, "epoch": epoch, "item": {"lease": lease, "epoch": epoch}}


def test_what_was_not_answered_is_left_over_and_then_released() -> None:
    told = {"what": "told", "lease": "a", "epoch": 1, "decision": "continue"}
    [run] = leftovers([_claimed("a"), _measured("a", 1), _measured("a", 2), told])
    assert [item["epoch"] for item in run.pending] == [2]
    assert run.ending == ("release", {"lease": "a"})


def test_a_last_word_that_was_not_answered_is_said_again() -> None:
    body = {"lease": "a", "outcome": "complete"}
    [run] = leftovers([_claimed("a"), {"what": "ending", "lease": "a", "kind": "finish", "body": body}])
    assert run.ending == ("finish", body)


def test_nothing_is_left_of_a_run_that_is_over() -> None:
    assert (
        leftovers([_claimed("a"), _claimed("b"), {"what": "ended", "lease": "a"}, {"what": "over", "lease": "b"}]) == []
    )
