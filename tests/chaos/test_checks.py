"""The checks find nothing in right books, and everything in books that somebody has cooked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.books import Answer, Grant
from tests.chaos.checks import PROMISES, audit, open_books
from tests.chaos.story import STUDY, Story, told

_FIRST, _AGAIN, _PAUSED = "lease-1-1", "lease-1-2", "lease-2-1"


def _broken(story: Story) -> set[str]:
    found = audit(open_books(story.rows, story.diaries))
    assert found.keys() == PROMISES.keys()
    return {name for name, breaches in found.items() if breaches}


def _event(story: Story, kind: str, nth: int = 0) -> dict[str, Any]:
    found: list[dict[str, Any]] = [event["data"] for event in story.rows.events[STUDY] if event["kind"] == kind]
    return found[nth]


def _lose(story: Story) -> None:
    del story.rows.measurements[1]


def _alter(story: Story) -> None:
    story.rows.measurements[1]["metrics"] = {"val_loss": 0.41}


def _alter_value(story: Story) -> None:
    story.rows.measurements[1]["value"] = 0.41


def _contradict(story: Story) -> None:
    entry = {"what": "measured", "lease": _FIRST, "epoch": 1, "item": {"metrics": {"val_loss": 0.7}}}
    story.diaries.add("ann", [entry])


def _double(story: Story) -> None:
    story.rows.measurements.append(dict(story.rows.measurements[1]))


def _double_count(story: Story) -> None:
    story.rows.studies[STUDY]["num_epochs"] += 1


def _double_event(story: Story) -> None:
    story.emit("measured", **_event(story, "measured"))


def _double_in_curve(story: Story) -> None:
    story.rows.measurements[0]["is_current"] = True


def _invent(story: Story) -> None:
    del story.diaries.sent[_FIRST, 1]
    story.diaries.answers = [answer for answer in story.diaries.answers if answer.lease != _FIRST]


def _write_after_fencing(story: Story) -> None:
    story.diaries.answers.append(Answer(_FIRST, 1, "continue", sent_at=20.5))


def _grant_twice(story: Story) -> None:
    story.diaries.grants[_FIRST].append(Grant("ben", 1, 1, at=10.0))


def _grant_another(story: Story) -> None:
    story.diaries.grants["lease-unknown"] = [Grant("ben", 1, 2, at=20.0)]


def _start_while_running(story: Story) -> None:
    requeued = next(e for e in story.rows.events[STUDY] if e["kind"] == "trial_requeued")
    requeued["kind"] = "trial_annotated"


def _measure_old_attempt(story: Story) -> None:
    _event(story, "measured", 2)["attempt"] = 1


def _lease_old_attempt(story: Story) -> None:
    story.rows.leases.append({"trial_id": 1, "attempt": 1, "token": _FIRST})


def _lease_twice(story: Story) -> None:
    lease = {"trial_id": 1, "attempt": 2, "token": _AGAIN}
    story.rows.leases += [lease, dict(lease)]


def _leave_study_open(story: Story) -> None:
    story.rows.studies[STUDY]["state"] = "running"
    _event(story, "study_changed")["state"] = "running"


def _leave_trial_open(story: Story) -> None:
    story.rows.trials[3]["state"] = "running"


def _leave_attempt_open(story: Story) -> None:
    story.rows.attempts[_AGAIN]["ended_at"] = None


def _exceed(limit: str, value: int) -> Callable[[Story], None]:
    def cook(story: Story) -> None:
        _event(story, "study_created")["spec"]["budget"][limit] = value

    return cook


def _exceed_retries(story: Story) -> None:
    _event(story, "study_created")["spec"]["retries"] = 0


def _start_while_paused(story: Story) -> None:
    events = story.rows.events[STUDY]
    paused = {"study_id": STUDY, "seq": 0, "kind": "study_changed", "data": {"state": "paused", "end_reason": None}}
    events.insert(next(i for i, event in enumerate(events) if event["kind"] == "trial_started"), paused)


def _leave_gap(story: Story) -> None:
    del story.rows.events[STUDY][1]
    story.emit("trial_annotated")


def _drop_last_event(story: Story) -> None:
    story.rows.events[STUDY].pop()


def _change(table: str, key: Any, column: str, value: Any) -> Callable[[Story], None]:
    def cook(story: Story) -> None:
        getattr(story.rows, table)[key][column] = value

    return cook


def _skip_attempt(story: Story) -> None:
    del story.rows.attempts[_FIRST]
    del story.diaries.grants[_FIRST]


def _decide_otherwise(story: Story) -> None:
    answers = story.diaries.repeats[0]["answers"]
    answers[1] = copy.deepcopy(answers[1])
    answers[1]["body"]["decisions"][0]["decision"] = "continue"


def _reason_otherwise(story: Story) -> None:
    answers = story.diaries.repeats[0]["answers"]
    answers[1] = copy.deepcopy(answers[1])
    answers[1]["body"]["decisions"][0]["reason"] = "by_hand"


def _grant_otherwise(story: Story) -> None:
    bodies = [{"assigned": [{"lease": lease}]} for lease in ("a", "b")]
    answers = [{"status": 200, "body": body} for body in bodies]
    request = {"verb": "POST", "path": "/api/v1/workers/w:claim", "is_in_order": False}
    story.diaries.repeats.append({**request, "answers": answers})


def _finish_otherwise(story: Story) -> None:
    answers: list[dict[str, Any]] = [{"status": status, "body": {}} for status in (200, 410)]
    request = {"verb": "POST", "path": "/api/v1/trials/1:finish", "is_in_order": True}
    story.diaries.repeats.append({**request, "answers": answers})


def _fail(story: Story) -> None:
    line = {"what": "failed", "verb": "GET", "path": "/api/v1/studies", "status": 500, "body": {}}
    story.diaries.add("network", [line])


def _swap_file(story: Story) -> None:
    story.rows.artifacts[0]["sha256"] = "cd" * 32


def _fetch_wrong_file(story: Story) -> None:
    story.diaries.add("ann", [{"what": "fetched", "lease": _AGAIN, "epoch": 1, "is_right": False}])


COOKED = {
    "a lost measurement": (_lose, "lost"),
    "altered metrics": (_alter, "altered"),
    "an altered value": (_alter_value, "altered"),
    "two values of one epoch": (_contradict, "altered"),
    "a row twice": (_double, "doubled"),
    "an epoch counted twice": (_double_count, "doubled"),
    "an event twice": (_double_event, "doubled"),
    "two points at one epoch of a curve": (_double_in_curve, "doubled"),
    "a measurement that nobody sent": (_invent, "invented"),
    "an old attempt told to continue": (_write_after_fencing, "held_twice"),
    "a lease given to two": (_grant_twice, "held_twice"),
    "a lease that is stored otherwise": (_grant_another, "held_twice"),
    "an attempt begun while another ran": (_start_while_running, "held_twice"),
    "an event of an old attempt": (_measure_old_attempt, "held_twice"),
    "a lease of an old attempt": (_lease_old_attempt, "held_twice"),
    "two leases of a trial": (_lease_twice, "held_twice"),
    "a study without an end": (_leave_study_open, "stuck"),
    "a trial without an end": (_leave_trial_open, "stuck"),
    "an attempt without an end": (_leave_attempt_open, "stuck"),
    "a lease without an end": (_lease_twice, "stuck"),
    "too many trials": (_exceed("max_trials", 2), "budgets"),
    "too many epochs of a trial": (_exceed("max_epochs", 1), "budgets"),
    "too many epochs": (_exceed("max_total_epochs", 4), "budgets"),
    "too many at once": (_exceed("max_parallel", 1), "budgets"),
    "too many retries": (_exceed_retries, "budgets"),
    "a trial begun in a paused study": (_start_while_paused, "budgets"),
    "a gap in the feed": (_leave_gap, "feed"),
    "an event that is not there yet": (_drop_last_event, "feed"),
    "another state of a study": (_change("studies", STUDY, "state", "stopped"), "feed"),
    "another best value of a study": (_change("studies", STUDY, "best_value", 0.3), "feed"),
    "another state of a trial": (_change("trials", 1, "state", "failed"), "feed"),
    "another stop reason": (_change("trials", 1, "stop_reason", "pruned"), "feed"),
    "another number of epochs": (_change("trials", 1, "num_epochs", 3), "feed"),
    "another value of a trial": (_change("trials", 1, "value", 0.5), "feed"),
    "another best epoch": (_change("trials", 1, "best_epoch", 1), "feed"),
    "another curve": (_change("measurements", 3, "is_current", False), "feed"),
    "a missing attempt": (_skip_attempt, "feed"),
    "another decision for a repeat": (_decide_otherwise, "repeats"),
    "another reason for a repeat": (_reason_otherwise, "repeats"),
    "another lease for a repeat": (_grant_otherwise, "repeats"),
    "another end for a repeat": (_finish_otherwise, "repeats"),
    "a failure of the service": (_fail, "errors"),
    "a file that nobody sent": (_swap_file, "files"),
    "a file that is another one": (_fetch_wrong_file, "files"),
}


def test_right_books_break_no_promise() -> None:
    assert _broken(told()) == set()


@pytest.mark.parametrize("cooked", COOKED)
def test_cooked_books_are_found_out(cooked: str) -> None:
    cook, promise = COOKED[cooked]
    story = told()
    cook(story)
    assert promise in _broken(story)


def test_a_worker_may_be_told_of_the_end_after_the_next_attempt_began() -> None:
    story = told()
    story.diaries.answers.append(Answer(_PAUSED, 1, "pause", sent_at=99.0))
    assert _broken(story) == set()


def test_a_request_that_was_sent_before_the_next_attempt_began_proves_nothing() -> None:
    story = told()
    late = next(answer for answer in story.diaries.answers if answer.lease == _FIRST)
    story.diaries.answers.append(replace(late, sent_at=19.9))
    assert _broken(story) == set()


@pytest.mark.parametrize("status", [429, 503])
def test_an_outage_says_nothing_about_a_repeat(status: int) -> None:
    story = told()
    story.diaries.repeats[0]["answers"][1] = {"status": status, "body": None}
    assert _broken(story) == set()
