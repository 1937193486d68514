"""Files of trials come in whole or not at all, and go out as they came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from caviar.contract.errors import StorageFull
from service.artifacts.store import Draft
from tests.service.artifacts.files import Files, content, digest, said

_MIB = 2**20


def test_a_checkpoint_comes_back_as_it_was_stored(files: Files) -> None:
    trial = files.assigned()
    data = content(3 * _MIB + 7)
    assert files.store(trial, 2, data) == "201"
    answer = files.fetch(trial, 2)
    assert answer.status_code == 200
    assert answer.content == data
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["etag"] == f'"{digest(data)}"'
    assert answer.headers["caviar-sha256"] == digest(data)
    assert "content-encoding" not in answer.headers
    [shown] = files.wire.trial(trial)["artifacts"]
    assert (shown["kind"], shown["epoch"], shown["size_bytes"]) == ("checkpoint", 2, len(data))
    assert shown["sha256"] == digest(data)


def test_storing_the_same_file_again_changes_nothing(files: Files) -> None:
    trial = files.assigned()
    data = content()
    assert [files.store(trial, 1, data) for _ in range(3)] == ["201", "200", "200"]
    assert len([name for name in files.names() if f"-t{trial['trial_id']}-" in name]) == 1


def test_of_two_files_of_an_epoch_the_newer_counts(files: Files) -> None:
    trial = files.assigned()
    old, new = content(), content()
    assert files.store(trial, 1, old) == "201"
    assert files.store(trial, 1, new) == "201"
    assert files.fetch(trial, 1).content == new


def test_a_file_may_come_without_its_length(files: Files) -> None:
    trial = files.assigned()
    data = content(2 * _MIB)
    headers = {"Caviar-Lease": trial["lease"], "Caviar-SHA256": digest(data)}
    answer = files.put(f"/trials/{trial['trial_id']}/checkpoints/1", _in_parts(data), headers)
    assert answer.status_code == 201
    assert answer.request.headers["transfer-encoding"] == "chunked"
    assert files.fetch(trial, 1).content == data


def _in_parts(data: bytes, size: int = 100_000) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def test_more_than_the_limit_of_other_bodies_is_taken(files: Files) -> None:
    trial = files.assigned()
    assert files.store(trial, 1, content(20 * _MIB)) == "201"


@pytest.mark.parametrize("has_length", [True, False])
def test_more_than_the_limit_of_files_is_refused(files: Files, has_length: bool) -> None:
    trial, before = files.assigned(), files.names()
    data = content(41 * _MIB)
    headers = {"Caviar-Lease": trial["lease"], "Caviar-SHA256": digest(data)}
    body = data if has_length else _in_parts(data)
    answer = files.put(f"/trials/{trial['trial_id']}/checkpoints/1", body, headers)
    assert said(answer) == "413 too_large"
    assert str(40 * _MIB) in answer.json()["detail"]
    assert files.names() == before


def test_other_content_than_the_digest_says_is_refused(files: Files) -> None:
    trial, before = files.assigned(), files.names()
    data = content()
    headers = {"Caviar-Lease": trial["lease"], "Caviar-SHA256": digest(b"other")}
    answer = files.put(f"/trials/{trial['trial_id']}/checkpoints/1", data, headers)
    assert said(answer) == "422 invalid_request"
    [error] = answer.json()["errors"]
    assert (error["field"], error["received"]) == ("Caviar-SHA256", digest(b"other"))
    assert digest(data) in error["expected"]
    assert files.names() == before
    assert files.listed(trial) == []


def test_an_empty_file_is_refused(files: Files) -> None:
    trial, before = files.assigned(), files.names()
    assert files.store(trial, 1, b"") == "422 invalid_request"
    assert files.names() == before


@pytest.mark.parametrize(
    ("path", "changes", "expected"),
    [
        ("/trials/{id}/checkpoints/-1", {}, "422 invalid_request"),
        ("/trials/{id}/checkpoints/0", {}, "422 invalid_request"),
        ("/trials/{id}/checkpoints/1000001", {}, "422 invalid_request"),
        ("/trials/{id}/checkpoints/..%2f..%2fetc", {}, "400 bad_request"),
        ("/trials/{id}/checkpoints/1%00", {}, "404 not_found"),
        ("/trials/0/checkpoints/1", {}, "422 invalid_request"),
        ("/trials/99999999/checkpoints/1", {}, "404 not_found"),
        ("/trials/9007199254740991/checkpoints/1", {}, "404 not_found"),
        ("/trials/{id}/checkpoints/1", {"Caviar-SHA256": "../../etc/passwd"}, "422 invalid_request"),
        ("/trials/{id}/checkpoints/1", {"Caviar-SHA256": "A" * 64}, "422 invalid_request"),
        ("/trials/{id}/checkpoints/1", {"Caviar-Lease": "x" * 100_000}, "422 invalid_request"),
        ("/trials/{id}/checkpoints/1", {"Caviar-Lease": "not the one"}, "422 invalid_request"),
        ("/trials/{id}/checkpoints/1", {"Caviar-Lease": "not-the-one"}, "410 lease_lost"),
        ("/trials/{id}/checkpoints/1", {"Content-Length": "99999999999999999999999"}, "413 too_large"),
        ("/trials/{id}/weights", {"Caviar-Epoch": "-1"}, "422 invalid_request"),
        ("/trials/{id}/weights", {"Caviar-Epoch": "one"}, "422 invalid_request"),
        ("/trials/{id}/weights", {}, "422 invalid_request"),
    ],
)
def test_hostile_requests_leave_nothing_behind(files: Files, path: str, changes: dict[str, str], expected: str) -> None:
    trial, before = files.assigned(), files.names()
    data = content()
    headers = {"Caviar-Lease": trial["lease"], "Caviar-SHA256": digest(data)} | changes
    answer = files.put(path.format(id=trial["trial_id"]), data, headers)
    assert said(answer) == expected
    assert len(answer.content) < 2000
    assert files.names() == before


@pytest.mark.parametrize("missing", ["Caviar-Lease", "Caviar-SHA256"])
def test_a_missing_header_is_named(files: Files, missing: str) -> None:
    trial = files.assigned()
    headers = {"Caviar-Lease": trial["lease"], "Caviar-SHA256": digest(b"x")}
    del headers[missing]
    answer = files.put(f"/trials/{trial['trial_id']}/checkpoints/1", b"x", headers)
    assert said(answer) == "422 invalid_request"
    assert [error["field"] for error in answer.json()["errors"]] == [missing]


def test_whoever_lost_the_lease_neither_stores_nor_fetches(files: Files) -> None:
    trial = files.assigned()
    files.kept(trial, 1)
    assert files.wire.release(trial) == "waiting"
    before = files.names()
    assert files.store(trial, 2, content()) == "410 lease_lost"
    assert said(files.fetch(trial, 1)) == "410 lease_lost"
    assert files.store_weights(trial, 1, content()) == "410 lease_lost"
    assert files.names() == before


def test_a_lease_that_is_lost_while_the_file_comes_stores_nothing(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, before = files.assigned(), files.names()
    begin = files.keeper.store.begin

    def lose_and_begin(name: str, size_bytes: int | None) -> Draft:
        assert files.wire.release(trial) == "waiting"
        return begin(name, size_bytes)

    monkeypatch.setattr(files.keeper.store, "begin", lose_and_begin)
    assert files.store(trial, 1, content()) == "410 lease_lost"
    assert files.names() == before


def test_two_requests_with_the_same_file_at_once_store_one(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    trial, data = files.assigned(), content()
    begin = files.keeper.store.begin

    def store_and_begin(name: str, size_bytes: int | None) -> Draft:
        monkeypatch.setattr(files.keeper.store, "begin", begin)
        assert files.store(trial, 1, data) == "201"
        return begin(name, size_bytes)

    monkeypatch.setattr(files.keeper.store, "begin", store_and_begin)
    assert files.store(trial, 1, data) == "200"
    assert len([name for name in files.names() if f"-t{trial['trial_id']}-" in name]) == 1


@pytest.mark.parametrize("stage", ["begin", "write", "keep"])
def test_a_full_store_says_so_and_keeps_nothing(files: Files, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    trial, before = files.assigned(), files.names()

    def fail(*_arguments: object) -> None:
        raise StorageFull("no room")

    begin = files.keeper.store.begin

    def begin_and_fail(name: str, size_bytes: int | None) -> Draft:
        if stage == "begin":
            fail()
        draft = begin(name, size_bytes)
        monkeypatch.setattr(draft, stage, fail)
        return draft

    monkeypatch.setattr(files.keeper.store, "begin", begin_and_fail)
    assert files.store(trial, 1, content(2 * _MIB)) == "507 storage_full"
    assert files.names() == before
    monkeypatch.undo()
    assert files.store(trial, 1, content()) == "201"


def test_the_epoch_of_an_earlier_attempt_is_refused(files: Files) -> None:
    trial = files.assigned()
    files.kept(trial, 2)
    files.wire.release(trial)
    [again] = files.claim()
    assert again["first_epoch"] == 3
    assert files.store(again, 2, content()) == "422 invalid_request"


def test_strangers_neither_store_nor_fetch(files: Files) -> None:
    trial = files.assigned()
    files.kept(trial, 1)
    client: TestClient = files.wire.client
    path = f"/api/v1/trials/{trial['trial_id']}"
    for method, end in (("PUT", "/checkpoints/2"), ("GET", "/checkpoints/1"), ("PUT", "/weights"), ("GET", "/weights")):
        headers = {"Authorization": "Bearer wrong-token-of-nobody", "Caviar-Lease": trial["lease"]}
        answer: Any = client.request(method, path + end, headers=headers)
        assert answer.status_code == 401


def test_a_file_that_is_gone_is_not_found_and_given_up(files: Files) -> None:
    trial = files.assigned()
    files.kept(trial, 1)
    _lose(files, trial)
    assert said(files.fetch(trial, 1)) == "404 not_found"
    assert files.listed(trial) == []


def test_a_file_that_is_cut_short_is_not_found_and_given_up(files: Files) -> None:
    trial = files.assigned()
    data = files.kept(trial, 1)
    _replace(files, trial, data[:-1])
    assert said(files.fetch(trial, 1)) == "404 not_found"
    assert files.listed(trial) == []


@pytest.mark.parametrize("size_bytes", [1000, 3 * _MIB])
def test_a_file_that_has_changed_never_arrives_whole(files: Files, size_bytes: int) -> None:
    trial = files.assigned()
    data = content(size_bytes)
    assert files.store(trial, 1, data) == "201"
    _replace(files, trial, data[:-1] + b"!")
    with capture_logs() as logs:
        assert len(files.fetch(trial, 1).content) < size_bytes
    assert "artifacts.damaged" in [entry["event"] for entry in logs]
    assert said(files.fetch(trial, 1)) == "404 not_found"
    assert files.listed(trial) == []


def _lose(files: Files, trial: Any) -> str:
    [name] = [name for name in files.names() if f"-t{trial['trial_id']}-" in name]
    files.keeper.store.remove(name)
    return name


def _replace(files: Files, trial: Any, data: bytes) -> None:
    draft = files.keeper.store.begin(_lose(files, trial), len(data))
    draft.write(data)
    draft.keep()
