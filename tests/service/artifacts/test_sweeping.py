"""Files that nobody needs are removed, after a while, whatever was killed in between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from caviar.contract.errors import Unavailable
from service.artifacts.store import StoredFile
from service.store import artifacts
from service.store.transaction import Transaction
from service.use_cases import sweeping
from tests.service.artifacts.files import Files, content


def _rows(files: Files) -> int:
    with files.wire.service.reading() as tx:
        return len(artifacts.doomed(tx, until=tx.now, after=0, limit=10_000))


def _of(files: Files, trial: Any) -> list[str]:
    return [name for name in files.names() if f"-t{trial['trial_id']}-" in name]


def test_a_file_stays_for_a_minute_after_it_was_given_up(files: Files) -> None:
    files.wire.advance(61)
    files.wire.sweep()
    trial = files.assigned()
    files.kept(trial, 1)
    files.finish(trial)
    files.wire.advance(59)
    files.wire.sweep()
    assert (len(_of(files, trial)), _rows(files)) == (1, 1)
    files.wire.advance(2)
    files.wire.sweep()
    assert (_of(files, trial), _rows(files)) == ([], 0)


def test_what_is_needed_stays(files: Files) -> None:
    trial = files.assigned()
    data = files.kept(trial, 1)
    files.wire.release(trial)
    files.wire.clock.advance(3 * 86_400)
    files.wire.sweep()
    [again] = files.claim()
    assert files.fetch(again, 1).content == data


def test_more_than_one_portion_is_removed(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "_PORTION", 2)
    trial = files.assigned()
    for _ in range(5):
        assert files.store(trial, 1, content()) == "201"
    files.finish(trial)
    files.wire.advance(61)
    files.wire.sweep()
    assert (_of(files, trial), _rows(files)) == ([], 0)


def test_a_file_that_cannot_be_removed_holds_up_no_other(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "_PORTION", 1)
    trial = files.assigned()
    for epoch in (1, 2):
        assert files.store(trial, epoch, content()) == "201"
    stuck = next(name for name in _of(files, trial) if "-e1-" in name)
    files.finish(trial)
    files.wire.advance(61)
    remove = files.keeper.store.remove

    def fail(name: str) -> None:
        if name == stuck:
            raise Unavailable("the store is away")
        remove(name)

    monkeypatch.setattr(files.keeper.store, "remove", fail)
    files.wire.sweep()
    assert (_of(files, trial), _rows(files)) == ([stuck], 1)
    monkeypatch.undo()
    files.wire.sweep()
    assert (_of(files, trial), _rows(files)) == ([], 0)


def test_a_crash_between_file_and_row_leaves_an_orphan_that_goes_after_a_day(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = files.assigned()

    def crash(*_arguments: object, **_options: object) -> None:
        raise SystemError("killed")

    monkeypatch.setattr(artifacts, "add", crash)
    with capture_logs():
        assert files.store(trial, 1, content()) == "500 internal_error"
    monkeypatch.undo()
    [orphan] = _of(files, trial)
    listing = files.keeper.store.files

    def aged(prefix: str) -> list[StoredFile]:
        now = files.wire.clock.now
        return [StoredFile(file.name, now - timedelta(hours=hours)) for file in listing(prefix)]

    monkeypatch.setattr(files.keeper.store, "files", lambda prefix: iter(aged(prefix)))
    hours = 23.9
    files.wire.sweep()
    assert _of(files, trial) == [orphan]
    data = files.kept(trial, 2)
    hours = 24.1
    files.wire.sweep()
    assert [name for name in _of(files, trial) if name == orphan] == []
    assert files.fetch(trial, 2).content == data


def test_a_crash_between_row_and_file_is_finished_by_the_next_sweep(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = files.assigned()
    files.kept(trial, 1)
    files.finish(trial)
    files.wire.advance(61)

    def crash(_tx: Transaction, artifact_ids: list[int]) -> None:
        raise SystemError(f"killed before the rows {artifact_ids} were gone")

    monkeypatch.setattr(artifacts, "remove", crash)
    with pytest.raises(SystemError, match="killed"):
        files.wire.sweep()
    monkeypatch.undo()
    assert (_of(files, trial), _rows(files)) == ([], 1)
    files.wire.sweep()
    assert _rows(files) == 0


def test_other_files_in_the_store_are_left_alone(files: Files) -> None:
    for name in ("someone-elses.h5", "caviar-0123456789ab-t1-weights-e1-00"):
        draft = files.keeper.store.begin(name, 1)
        draft.write(b"x")
        draft.keep()
    files.wire.clock.advance(10 * 86_400)
    files.wire.sweep()
    assert files.keeper.store.size_bytes("someone-elses.h5") == 1
    assert files.keeper.store.size_bytes("caviar-0123456789ab-t1-weights-e1-00") == 1
