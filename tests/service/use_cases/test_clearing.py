"""What is old goes, in portions; what is in use or young stays, and readers are told what is gone."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from service.domain.principal import Principal, Role
from service.store import tokens
from service.store.schema import audit
from service.store.schema import tokens as token_rows
from service.store.transaction import Transaction
from service.use_cases import auditing, clearing
from service.use_cases.clearing import Kept
from tests.service.use_cases.lab import Lab

_DAY = timedelta(days=1)


def _clear(lab: Lab, kept: Kept, term: timedelta = _DAY) -> list[int]:
    """How many rows each portion had."""
    portions: list[int] = []
    while portion := lab.wire.service.write(partial(clearing.clear, kept=kept, term=term)):
        portions.append(portion)
    return portions


def _pass_days(lab: Lab, days: float) -> None:
    lab.wire.clock.advance(days * _DAY.total_seconds())


def _ended(lab: Lab) -> str:
    name = lab.study()
    lab.train(name, {"x": 0.5, "kind": "a"}, 0.5, 0.25)
    lab.wire.post(f"/studies/{name}:stop")
    return name


def test_feeds_go_once_nothing_has_happened_in_a_study_for_long(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "_PORTION", 3)
    alive, ended = lab.study(), _ended(lab)
    _pass_days(lab, 0.75)
    lab.wire.post(f"/studies/{ended}:archive")
    _pass_days(lab, 0.75)
    assert _clear(lab, Kept.EVENTS) == []
    before, num_events = lab.wire.get(f"/studies/{ended}"), len(lab.events(ended))
    _pass_days(lab, 0.75)
    portions = _clear(lab, Kept.EVENTS)
    assert (sum(portions), max(portions)) == (num_events, 3)
    assert lab.events(ended) == []
    assert lab.events(alive)
    assert lab.wire.get(f"/studies/{ended}") == before
    assert _clear(lab, Kept.EVENTS) == []


def test_readers_of_a_feed_that_is_gone_are_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "_PORTION", 2)
    name = _ended(lab)
    assert lab.wire.get(f"/studies/{name}/replay")["is_identical"]
    _pass_days(lab, 2)
    assert lab.wire.service.write(partial(clearing.clear, kept=Kept.EVENTS, term=_DAY)) == 2
    for path in ("events", "events?after=1", "replay"):
        status, answer = lab.wire.ask("GET", f"/studies/{name}/{path}")
        assert (status, answer["code"]) == (410, "events_gone"), path
        assert "those up to event 2 were removed" in answer["detail"]
    _clear(lab, Kept.EVENTS)
    last = lab.wire.get(f"/studies/{name}")["last_event_seq"]
    _, answer = lab.wire.ask("GET", f"/studies/{name}/events?after={last - 1}")
    assert f"after event {last}" in answer["detail"]


def test_a_study_is_complete_without_its_old_feed(lab: Lab) -> None:
    name = _ended(lab)
    read = ("", "/trials", "/leaderboard", "/timeline", "/curves")
    before = [lab.wire.get(f"/studies/{name}{path}") for path in read]
    _pass_days(lab, 2)
    _clear(lab, Kept.EVENTS)
    lab.wire.restart()
    assert [lab.wire.get(f"/studies/{name}{path}") for path in read] == before
    for page in ("", "/curves", "/analysis", "/timeline"):
        assert lab.wire.client.get(f"/studies/{name}{page}").status_code == 200, page
    last = before[0]["last_event_seq"]
    lab.wire.post(f"/studies/{name}:archive")
    assert [event.seq for event in lab.events(name)] == [last + 1]
    assert _clear(lab, Kept.EVENTS) == []


def test_workers_go_that_were_not_seen_for_long_and_hold_nothing(lab: Lab) -> None:
    name = lab.study()
    lab.train(name, {"x": 0.5, "kind": "a"}, 0.5)
    [held] = lab.claim()
    trial = lab.trial(name, 0)
    _pass_days(lab, 2)
    young = lab.wire.worker(lab.objective)
    _clear(lab, Kept.WORKERS)
    attempts = lab.wire.get(f"/trials/{trial['trial_id']}")["attempts"]
    assert [(one["worker"], one["outcome"]) for one in attempts] == [(attempts[0]["worker_id"], "complete")]
    assert lab.trial(name, 0)["worker"] is None
    assert lab.trial(name, 1)["worker"] == "w"
    assert lab.wire.client.get(f"/trials/{trial['trial_id']}").status_code == 200
    known = {worker["worker_id"]: worker["running"] for worker in lab.wire.get("/workers")["items"]}
    assert known[young] == []
    assert [held["trial_id"]] in known.values()
    gone = attempts[0]["worker_id"]
    assert lab.wire.refused("POST", f"/workers/{gone}:heartbeat", {"leases": []}) == "404 not_found"


def test_last_lines_go_from_attempts_that_ended_long_ago(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "_PORTION", 1)
    lab.study()

    def train() -> Any:
        [assignment] = lab.claim()
        lab.wire.report(assignment, 1, 0.5)
        body = {"lease": assignment["lease"], "outcome": "complete", "log_tail": "it\ndone"}
        lab.wire.post(f"/trials/{assignment['trial_id']}:finish", body)
        return assignment["trial_id"]

    old = [train(), train()]
    _pass_days(lab, 2)
    young = train()
    assert _clear(lab, Kept.LOGS) == [1, 1]
    tails = [lab.wire.get(f"/trials/{trial}")["attempts"][0]["log_tail"] for trial in (*old, young)]
    assert tails == [None, None, "it\ndone"]


def test_the_oldest_entries_of_the_audit_log_go(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "_PORTION", 2)
    _clear(lab, Kept.AUDIT, timedelta())

    def note(about: str) -> None:
        who = Principal(name="ann", role=Role.ADMIN, scope=None)
        lab.wire.service.write(lambda tx: auditing.record_for(tx, who, "study.create", about))

    for number in range(3):
        note(f"study:old-{number}")
    _pass_days(lab, 2)
    note("study:young")
    assert _clear(lab, Kept.AUDIT) == [2, 1]
    with lab.wire.service.reading() as tx:
        assert list(tx.read(select(audit.c.object)).scalars()) == ["study:young"]


def test_tokens_and_links_go_once_they_have_let_nobody_in_for_long(lab: Lab) -> None:
    def add(tx: Transaction) -> None:
        def made(digest: str, hours: float, kind: str = "access", parent_id: int | None = None) -> int:
            end = tx.now + timedelta(hours=hours)
            more: dict[str, Any] = {"kind": kind, "parent_id": parent_id, "expires_at": end}
            return tokens.add(tx, role="viewer", name="bea", digest=f"bea-{digest}", created_by="admin", **more)

        for kind in ("access", "share"):
            made(f"{kind}-short", 1, kind)
            made(f"{kind}-long", 1000, kind)
            tokens.change(tx, made(f"{kind}-revoked", 1000, kind), revoked_at=tx.now)
        made("session", 1000, "session", made("with-session", 1))
        made("newest", 1)

    lab.wire.service.write(add)
    _pass_days(lab, 1)
    assert _clear(lab, Kept.TOKENS) == []
    _pass_days(lab, 0.5)
    assert _clear(lab, Kept.TOKENS) == [4]
    with lab.wire.service.reading() as tx:
        left = set(tx.read(select(token_rows.c.secret_digest).where(token_rows.c.name == "bea")).scalars())
    assert left == {f"bea-{one}" for one in ("access-long", "share-long", "session", "with-session", "newest")}
    assert lab.wire.get("/whoami")["role"] == "admin"


def test_sessions_go_once_they_have_expired_and_tokens_stay(lab: Lab) -> None:
    def add(tx: Transaction) -> None:
        for kind in ("session", "access"):
            for digest, hours in ((f"{kind}-short", 1), (f"{kind}-long", 1000)):
                expires_at = tx.now + timedelta(hours=hours)
                tokens.add(tx, kind=kind, role="viewer", name="ann", digest=digest, expires_at=expires_at)

    lab.wire.service.write(add)
    _pass_days(lab, 1)
    assert _clear(lab, Kept.SESSIONS, timedelta()) == [1]
    with lab.wire.service.reading() as tx:
        left = set(tx.read(select(token_rows.c.secret_digest).where(token_rows.c.name == "ann")).scalars())
    assert left == {"session-long", "access-short", "access-long"}
