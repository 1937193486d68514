"""What is restored is what was there, on either kind of database, and its studies go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from caviar.contract.errors import InvalidRequest, StateConflict
from service.store import schema
from service.store.engine import connect, write
from service.use_cases.service import utc_now
from tests.service.artifacts.files import Files
from tests.service.backups.places import Places, everything
from tests.service.protocol.wire import Wire

_POSTGRES = pytest.mark.postgres
_ROUTES = [
    ("sqlite", "sqlite"),
    pytest.param("sqlite", "postgres", marks=_POSTGRES),
    pytest.param("postgres", "sqlite", marks=_POSTGRES),
    pytest.param("postgres", "postgres", marks=_POSTGRES),
]
_HARD_VALUES = (0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 1 / 3, 123456789.12345679)
_HARD_TEXT = "tab\tnewline\nback\\slash \\N 'quote' \"double\" é 漢 🐟 \u2028"


def _add_hard_rows(url: str, study_id: int) -> None:
    engine = connect(url)
    with write(engine, utc_now()) as tx:
        first = 10_000
        for number, value in enumerate(_HARD_VALUES, start=first):
            row = {
                "study_id": study_id,
                "number": number,
                "state": "complete",
                "origin": "sampler",
                "params": {"x": value, "kind": _HARD_TEXT},
                "value": value,
                "note": _HARD_TEXT,
                "tags": {_HARD_TEXT: "5"},
                "is_alone": True,
                "error": {"message": None, "deep": [1e-7, True, {"a": _HARD_TEXT}]},
                "created_at": tx.now,
            }
            tx.write(insert(schema.trials), row)
    engine.dispose()


@pytest.mark.parametrize(("source_kind", "target_kind"), _ROUTES)
def test_a_restored_database_is_equal_in_every_value(places: Places, source_kind: str, target_kind: str) -> None:
    files = Files(places.start(source_kind), "equal")
    name = files.source()
    files.trained(files.study(budget={"max_trials": 2, "max_epochs": 3}), 0.5, 0.25)
    for study in (name, *_names(files.wire)):
        files.wire.post(f"/studies/{study}:stop")
    _add_hard_rows(places.url, files.study_id(name))
    backup, manifest = places.back_up()
    before = everything(places.url)
    assert {name: len(rows) for name, rows in before.items()} == manifest.rows
    assert manifest.rows["leases"] == 0
    url = places.empty(target_kind)
    restored = places.restore(backup, url)
    assert restored.num_requeued == 0
    assert everything(url) == before


def _names(wire: Wire) -> list[str]:
    return [study["name"] for study in wire.get("/studies")["items"]]


@pytest.mark.parametrize(("source_kind", "target_kind"), _ROUTES)
def test_the_study_goes_on_elsewhere(places: Places, source_kind: str, target_kind: str) -> None:
    files = Files(places.start(source_kind), "goes-on")
    name = files.study(budget={"max_trials": 3, "max_epochs": 3}, retries=0)
    (running,) = files.claim()
    data = files.kept(running, 2)
    (fresh,) = files.claim()
    backup, _ = places.back_up(with_files=True)
    # All this is lost: an epoch, and a trial that the backup does not know.
    files.told(running, 3)
    (later,) = files.claim()
    url = places.empty(target_kind)
    restored = places.restore(backup, url)
    assert (restored.num_requeued, restored.num_files, restored.lost) == (2, 1, [])
    again = Files(places.start(url=url), "goes-on")
    for lost in (running, fresh):
        assert again.wire.report(lost, 3) == "410 lease_lost"
        assert again.wire.finish(lost) == "410 lease_lost"
    assert again.wire.report(later, 1) == "404 not_found"
    worker = again.wire.worker(again.objective, slots=3)
    claimed = again.wire.claim(worker, 3)
    assert [(trial["number"], trial["attempt"], trial["first_epoch"]) for trial in claimed] == [
        (0, 2, 3),
        (1, 2, 1),
        (2, 1, 1),
    ]
    assert again.fetch(claimed[0], 2).content == data
    assert claimed[2]["trial_id"] > later["trial_id"] + 1000, "an id was given out twice"
    for trial in claimed:
        for epoch in range(trial["first_epoch"], 4):
            again.told(trial, epoch)
        again.wire.finish(trial)
    assert again.wire.get(f"/studies/{name}")["state"] == "complete"
    assert [attempt["end"] for attempt in again.wire.trial(running)["attempts"]] == ["expired", "finished"]


def test_a_session_ends_and_an_access_token_stays(files: Files, places: Places) -> None:
    signed_in = files.wire.client.post("/login", data={"token": "a-token-for-tests-only"}, follow_redirects=False)
    assert signed_in.cookies
    assert {row.kind for row in _tokens(places.url)} == {"access", "session"}
    backup, _ = places.back_up()
    url = places.empty("sqlite")
    places.restore(backup, url)
    assert [row.kind for row in _tokens(url)] == ["access"]


def _tokens(url: str) -> list[Any]:
    engine = connect(url)
    with engine.connect() as connection:
        found = list(connection.execute(schema.tokens.select()))
    engine.dispose()
    return found


def test_a_database_that_holds_something_is_left_alone(files: Files, places: Places) -> None:
    files.study()
    backup, _ = places.back_up()
    before = everything(places.url)
    with pytest.raises(StateConflict, match="not empty"):
        places.restore(backup, places.url)
    assert everything(places.url) == before


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=_POSTGRES)])
def test_a_database_in_use_is_not_replaced(places: Places, kind: str) -> None:
    Files(places.start(kind), "in-use").study()
    backup, _ = places.back_up()
    before = everything(places.url)
    with pytest.raises(StateConflict, match="stop the service"):
        places.restore(backup, places.url, is_replacing=True)
    assert everything(places.url) == before


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=_POSTGRES)])
def test_a_database_is_replaced_when_it_is_asked_for(places: Places, kind: str) -> None:
    first = Files(places.start(kind), "first")
    first.study()
    backup, _ = places.back_up()
    kept = everything(places.url)
    places.close()
    second = Files(places.start(kind), "second")
    second.study()
    second.study()
    url = places.url
    lost = everything(url)
    places.close()
    restored = places.restore(backup, url, is_replacing=True)
    assert everything(url) == kept
    if kind == "sqlite":
        assert restored.former is not None
        assert everything(f"sqlite:///{restored.former}") == lost


def test_files_that_are_nowhere_must_be_given_up_by_word(files: Files, places: Places) -> None:
    trial = files.assigned()
    files.kept(trial, 2)
    backup, manifest = places.back_up()
    assert manifest.num_files == 0
    url = places.empty("sqlite")
    with pytest.raises(InvalidRequest) as refused:
        places.restore(backup, url)
    assert "caviar-" in str(refused.value.errors[0].received)
    restored = places.restore(backup, url, accepts_loss=True)
    assert len(restored.lost) == 1
    again = Files(places.start(url=url), files.objective)
    (anew,) = again.claim()
    assert (anew["trial_id"], anew["attempt"], anew["first_epoch"]) == (trial["trial_id"], 2, 1)


def test_a_file_that_went_before_it_was_copied_is_told(files: Files, places: Places) -> None:
    trial = files.assigned()
    files.kept(trial, 2)
    (name,) = files.names()
    files.keeper.store.remove(name)
    backup, manifest = places.back_up(with_files=True)
    assert (manifest.missing, manifest.num_files) == ([name], 0)
    assert places.restore(backup, places.empty("sqlite"), accepts_loss=True).lost == [name]


def test_a_row_that_the_other_kind_cannot_hold_is_named(places: Places) -> None:
    files = Files(places.start("sqlite"), "cannot-hold")
    name = files.study()
    engine = connect(places.url)
    with write(engine, utc_now()) as tx:
        change = update(schema.studies).where(schema.studies.c.name == name)
        tx.write(change.values(end_reason="x" * 100))
    engine.dispose()
    backup, _ = places.back_up()
    url = places.empty("postgres")
    with pytest.raises(InvalidRequest, match="table studies"):
        places.restore(backup, url)
    assert not any(everything(url).values())


def test_a_restore_leaves_nothing_beside_the_database(files: Files, places: Places, tmp_path: Path) -> None:
    files.study()
    backup, _ = places.back_up()
    place = tmp_path / "new" / "caviar.db"
    places.restore(backup, f"sqlite:///{place}")
    assert sorted(path.name for path in place.parent.iterdir()) == ["caviar.db", "caviar.db.lock"]
