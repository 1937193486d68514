"""A database of any earlier version is upgraded with everything in it, and the service goes on with it."""

from __future__ import annotations

from typing import Any

import pytest

from service.store import migrations
from tests.databases import Databases
from tests.service.protocol.wire import Wire, item, running
from tests.service.upgrades import olden
from tests.service.upgrades.olden import Row

_PAGES = ("", "/curves", "/space", "/analysis", "/rungs", "/timeline", "/setup")
_STATES = {"running", "paused", "complete", "stopped"}
KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def _expected(revision: str, table: str, row: Row) -> Row | None:
    """What an upgrade makes of a row: nearly always the same."""
    if table == "tokens" and row["kind"] == "session" and revision < "0005":
        return None
    if table == "workers" and revision < "0003":
        return {**row, "devices": []}
    if table == "studies" and revision < "0002" and row["spec"]["pruner"]["kind"] == "asha":
        return {**row, "spec": {**row["spec"], "pruner": {**row["spec"]["pruner"], "promote": False}}}
    return row


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("revision", olden.revisions())
def test_everything_is_kept_and_the_service_goes_on(
    databases: Databases, kind: str, revision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = databases.empty(kind)
    before = olden.make(url, revision)
    assert {row["state"] for row in before["studies"]} == _STATES
    migrations.upgrade(url)
    assert migrations.check(url) is None
    _compare(revision, before, olden.stored(url))
    with running(url, monkeypatch) as wire:
        _render(wire, before)
        _go_on(wire, before)


def _compare(revision: str, before: dict[str, list[Row]], after: dict[str, list[Row]]) -> None:
    for table, rows in before.items():
        wanted = [row for row in (_expected(revision, table, old) for old in rows) if row is not None]
        found = [{name: new[name] for name in old} for old, new in zip(wanted, after[table], strict=True)]
        assert found == wanted, table
    for study in after["studies"]:
        values = [
            row["value"] for row in after["trials"] if row["study_id"] == study["id"] and row["value"] is not None
        ]
        assert study["best_value"] == (min(values) if values else None)
        assert study["archived_at"] is None
    assert all(row["params_digest"] for row in after["trials"])
    assert all((row["tags"], row["note"]) == ({}, "") for row in after["trials"]) == (revision < "0004")
    assert len(after["improvements"]) >= len({row["study_id"] for row in after["trials"] if row["value"] is not None})
    assert {row["mode"] for row in after["workers"]} == {"working"}


def _render(wire: Wire, before: dict[str, list[Row]]) -> None:
    pages = ["/", "/workers", "/?state=stopped", "/?archived=true"]
    pages += [f"/studies/{study['name']}{view}" for study in before["studies"] for view in _PAGES]
    pages += [f"/trials/{trial['id']}" for trial in before["trials"]]
    for page in pages:
        assert wire.client.get(page).status_code == 200, page
    for study in before["studies"]:
        told = wire.get(f"/studies/{study['name']}")
        assert (told["state"], told["num_epochs"]) == (study["state"], study["num_epochs"])
        assert wire.get(f"/studies/{study['name']}/leaderboard")["total"] >= 0
        events = [row for row in before["events"] if row["study_id"] == study["id"]]
        assert told["last_event_seq"] >= len(events)
    for webhook in before.get("webhooks", []):
        told = wire.get(f"/webhooks/{webhook['id']}")
        assert (told["name"], told["rules"], told["counts"]) == (webhook["name"], webhook["rules"], {"delivered": 1})
        deliveries = wire.get(f"/webhooks/{webhook['id']}/deliveries")["items"]
        assert [one["payload"]["type"] for one in deliveries] == ["ping"]


def _go_on(wire: Wire, before: dict[str, list[Row]]) -> None:
    assert before["leases"]
    for lease in before["leases"]:
        trial = next(row for row in before["trials"] if row["id"] == lease["trial_id"])
        held = {"trial_id": lease["trial_id"], "lease": lease["token"]}
        (decision,) = wire.post("/measurements", {"items": [item(held, trial["num_epochs"] + 1)]})["decisions"]
        assert decision["decision"] in ("continue", "pause", "stop")
        if decision["decision"] == "continue":
            assert wire.finish(held) == "complete"
    study = next(row for row in before["studies"] if row["spec"]["objective"]["name"] == "o-running")
    worker = wire.worker("o-running", slots=4)
    claimed: list[Any] = wire.claim(worker, 4)
    assert {assignment["study"] for assignment in claimed} == {study["name"]}
    assert {assignment["trial_id"] for assignment in claimed}.isdisjoint(row["id"] for row in before["trials"])
    for assignment in claimed:
        wire.report(assignment, 1, 0.01)
        assert wire.finish(assignment) == "complete"
    told = wire.get(f"/studies/{study['name']}")
    assert (told["state"], told["best"]["value"]) == ("complete", 0.01)
