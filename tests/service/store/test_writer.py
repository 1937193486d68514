"""The group-commit writer: one transaction for all who wait, and nobody suffers for another's failure."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from structlog.testing import capture_logs

from caviar.contract.errors import NotFound, StateConflict, Unavailable
from service.store import studies
from service.store import writer as writing
from service.store.engine import connect
from service.store.schema import events
from service.store.schema import studies as study_table
from service.store.transaction import Event, Transaction
from service.store.writer import Writer
from tests.databases import Databases

_NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def published() -> list[Event]:
    return []


@pytest.fixture
def writer(engine: Engine, published: list[Event], monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    # However slow the machine is, what waits together is written together.
    monkeypatch.setattr(writing, "_LONG_S", 60.0)
    made = Writer(engine, clock=lambda: _NOW, on_commit=published.extend)
    yield made
    made.close()


def _add(name: str) -> Callable[[Transaction], int]:
    def operation(tx: Transaction) -> int:
        study_id = studies.add(tx, name=name, spec={}, digest=name)
        tx.emit(study_id, "study_created", name=name)
        return study_id

    return operation


def _names(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(study_table.c.name).order_by(study_table.c.id)).scalars())


def _commits(engine: Engine) -> list[None]:
    seen: list[None] = []
    event.listen(engine, "commit", lambda _connection: seen.append(None))
    return seen


def test_all_who_wait_share_one_commit(engine: Engine, writer: Writer, published: Sequence[Event]) -> None:
    commits = _commits(engine)
    futures = [writer.submit(_add(f"study-{i}")) for i in range(20)]
    writer.start()
    assert len({future.result() for future in futures}) == 20
    assert len(commits) == 1
    assert [e.data["name"] for e in published] == [f"study-{i}" for i in range(20)]
    assert _names(engine) == [f"study-{i}" for i in range(20)]


class _Clock:
    """Stands in for the module `time`: time passes when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    made = _Clock()
    monkeypatch.setattr(writing, "time", made)
    return made


def test_those_who_were_answered_together_are_waited_for_as_long_as_their_transaction_took(
    engine: Engine, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_MAX_DELAY_S", 3600.0)
    monkeypatch.setattr(writing, "_LONG_S", 3600.0)
    commits, early = _commits(engine), list[Future[int]]()

    def slow(tx: Transaction) -> int:
        clock.now_s += 1000.0
        return _add("slow")(tx)

    def come_early(_: Sequence[Event]) -> None:
        if not early:
            early.append(own.submit(_add("early")))

    own = Writer(engine, clock=lambda: _NOW, on_commit=come_early)
    together = [own.submit(_add("a")), own.submit(slow)]
    own.start()
    for future in together:
        future.result()
    # Three are here at the same time: the one that came early waits for the other two, for a thousand seconds.
    again = [own.submit(_add("b")), own.submit(_add("c"))]
    for future in [*early, *again]:
        future.result()
    assert len(commits) == 2
    own.close()


def test_a_transaction_that_took_no_time_lets_nobody_wait(engine: Engine, writer: Writer, clock: _Clock) -> None:
    commits = _commits(engine)
    together = [writer.submit(_add("a")), writer.submit(_add("b"))]
    writer.start()
    for future in together:
        future.result()
    assert writer.write(_add("c"))
    assert len(commits) == 2


def _await_sleep(writer: Writer) -> None:
    condition: Any = writer._changed
    while True:
        with writer._lock:  # Its thread lets go of the lock only once it is among those who wait.
            if condition._waiters:
                return


def test_whoever_wakes_it_too_late_does_not_keep_others_from_it(engine: Engine, writer: Writer) -> None:
    writer.start()
    _await_sleep(writer)
    # As if for something that the thread has found by itself meanwhile.
    writer._wake()
    _await_sleep(writer)
    assert writer.submit(_add("a")).result(timeout=30)
    assert _names(engine) == ["a"]


def test_closing_waits_for_nobody(
    engine: Engine, writer: Writer, clock: _Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_MAX_DELAY_S", 3600.0)

    def slow(tx: Transaction) -> int:
        clock.now_s += 1000.0
        return _add("slow")(tx)

    together = [writer.submit(_add("a")), writer.submit(slow)]
    writer.start()
    for future in together:
        future.result()
    last = writer.submit(_add("last"))
    writer.close()
    assert last.result()
    assert _names(engine) == ["a", "slow", "last"]


def test_a_refusal_before_any_write_leaves_the_batch_alone(engine: Engine, writer: Writer) -> None:
    commits = _commits(engine)

    def refused(tx: Transaction) -> None:
        studies.get(tx, "none")

    first, second, third = writer.submit(_add("a")), writer.submit(refused), writer.submit(_add("b"))
    writer.start()
    assert first.result()
    with pytest.raises(NotFound):
        second.result()
    assert third.result()
    assert len(commits) == 1


@pytest.mark.parametrize("failure", [StateConflict("too late"), ZeroDivisionError("a defect")])
def test_what_a_failed_operation_wrote_is_undone_and_its_neighbours_are_not(
    engine: Engine, writer: Writer, published: Sequence[Event], failure: Exception
) -> None:
    def half_done(tx: Transaction) -> None:
        _add("half-done")(tx)
        raise failure

    first, second, third = writer.submit(_add("a")), writer.submit(half_done), writer.submit(_add("b"))
    writer.start()
    first.result()
    with pytest.raises(type(failure)):
        second.result()
    third.result()
    assert _names(engine) == ["a", "b"]
    assert [e.data["name"] for e in published] == ["a", "b"]


def test_events_of_a_study_are_numbered_without_gaps(engine: Engine, writer: Writer) -> None:
    writer.start()
    study_id = writer.write(_add("a"))

    def refused(tx: Transaction) -> None:
        tx.emit(study_id, "lost")
        raise StateConflict("never mind")

    for _ in range(3):
        writer.write(lambda tx: tx.emit(study_id, "measured", epoch=1))
        with pytest.raises(StateConflict):
            writer.write(refused)
    with engine.connect() as connection:
        stored = connection.execute(select(events.c.seq, events.c.kind).order_by(events.c.seq)).all()
    assert [tuple(row) for row in stored] == [(1, "study_created"), *((n, "measured") for n in (2, 3, 4))]


def test_those_who_gave_up_waiting_change_nothing_and_break_nothing(engine: Engine, writer: Writer) -> None:
    given_up = writer.submit(_add("given-up"))
    kept = writer.submit(_add("kept"))
    assert given_up.cancel()
    writer.start()
    kept.result()
    assert writer.submit(_add("later")).result() != kept.result()
    assert _names(engine) == ["kept", "later"]


def test_nobody_can_give_up_once_the_operation_runs(writer: Writer) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(_tx: Transaction) -> str:
        begun.set()
        assert go_on.wait(timeout=30)
        return "done"

    writer.start()
    future = writer.submit(slow)
    assert begun.wait(timeout=30)
    assert not future.cancel()
    go_on.set()
    assert future.result() == "done"


def test_closing_commits_what_waits_and_refuses_what_comes(engine: Engine, writer: Writer) -> None:
    waiting = [writer.submit(_add(f"study-{i}")) for i in range(5)]
    writer.start()
    writer.close()
    assert all(future.done() for future in waiting)
    assert len(_names(engine)) == 5
    with pytest.raises(Unavailable):
        writer.submit(_add("late"))


def test_many_threads_lose_nothing(engine: Engine, writer: Writer) -> None:
    writer.start()
    threads = [
        threading.Thread(target=lambda t=t: [writer.write(_add(f"study-{t}-{i}")) for i in range(10)]) for t in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(_names(engine))) == 80


def test_a_listener_that_fails_takes_nobodys_answer_away(engine: Engine) -> None:
    def failing(_events: Sequence[Event]) -> None:
        raise RuntimeError("a defect of a listener")

    writer = Writer(engine, clock=lambda: _NOW, on_commit=failing)
    futures = [writer.submit(_add(name)) for name in ("a", "b")]
    writer.start()
    assert len({future.result() for future in futures}) == 2
    writer.close()
    assert _names(engine) == ["a", "b"]


def _pages(engine: Engine, most: int | None) -> None:
    """Let a SQLite file have at most so many pages, on every connection; None for no limit."""

    def limit(connection: sqlite3.Connection, *_others: object) -> None:
        connection.execute(f"PRAGMA max_page_count={most or 2**31}")

    event.listen(engine, "checkout", limit)


def test_a_full_disk_refuses_what_comes_keeps_what_was_acknowledged_and_goes_on_later(
    databases: Databases, published: list[Event]
) -> None:
    engine = connect(databases.ready("sqlite"))
    writer = Writer(engine, clock=lambda: _NOW, on_commit=published.extend)
    writer.start()
    with engine.connect() as connection:
        num_pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    _pages(engine, num_pages + 8)
    kept, refused, told = [], [], []
    with capture_logs() as logs:
        for number in range(40):
            name = f"study-{number}" + "x" * 2000
            try:
                writer.write(_add(name))
                kept.append(name)
            except Unavailable as error:
                refused.append(name)
                told.append(error.detail)
    assert kept
    assert refused
    assert set(told) == {"the disk of the database is full; nothing was stored, repeat the request later"}
    assert writer.num_outages == len(refused)
    assert {entry["event"] for entry in logs} == {"store.disk_full"}
    assert _names(engine) == kept
    assert [one.data["name"] for one in published] == kept
    _pages(engine, None)
    for name in refused:
        writer.write(_add(name))
    assert _names(engine) == kept + refused
    writer.close()
    engine.dispose()


def test_among_many_who_wait_at_a_full_disk_each_gets_its_own_answer(databases: Databases) -> None:
    engine = connect(databases.ready("sqlite"))
    writer = Writer(engine, clock=lambda: _NOW, on_commit=lambda _events: None)
    with engine.connect() as connection:
        _pages(engine, connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 8)
    names = [f"study-{number}" + "x" * 2000 for number in range(40)]
    futures = [writer.submit(_add(name)) for name in names]
    writer.start()
    with capture_logs():
        told = {name: future.exception(timeout=60) for name, future in zip(names, futures, strict=True)}
    assert {type(error) for error in told.values()} == {type(None), Unavailable}
    assert _names(engine) == [name for name, error in told.items() if error is None]
    writer.close()
    engine.dispose()


def test_more_operations_than_can_be_done_in_time_are_refused_at_once(
    engine: Engine, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_MAX_WAITING", 3)
    waiting = [writer.submit(_add(f"study-{number}")) for number in range(3)]
    with pytest.raises(Unavailable, match="too many writes"):
        writer.submit(_add("one-too-many"))
    writer.start()
    assert len([future.result(timeout=60) for future in waiting]) == 3
    assert _names(engine) == ["study-0", "study-1", "study-2"]
    assert writer.write(_add("later"))


def test_what_is_gathered_waits_for_nothing_that_takes_long(
    engine: Engine, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_LONG_S", -1.0)
    commits, order = _commits(engine), []

    def noted(name: str) -> Callable[[Transaction], int]:
        def operation(tx: Transaction) -> int:
            order.append(name)
            return _add(name)(tx)

        return operation

    def gathering(tx: Transaction, names: Sequence[str]) -> list[int]:
        order.append("+".join(names))
        return [_add(name)(tx) for name in names]

    async def story() -> list[int]:
        asked = [asyncio.ensure_future(writer.perform(noted(name))) for name in ("a", "b", "c")]
        asked += [asyncio.ensure_future(writer.gather(gathering, name)) for name in ("x", "y")]
        writer.start()
        return await asyncio.gather(*asked)

    assert len(set(asyncio.run(story()))) == 5
    assert order == ["x+y", "a", "b", "c"]
    assert len(commits) == 4
    writer.close()
    assert writer.num_waiting == 0


@pytest.mark.postgres
def test_a_full_disk_of_postgres_is_an_outage_too(databases: Databases) -> None:
    engine = connect(databases.ready("postgres"))
    writer = Writer(engine, clock=lambda: _NOW, on_commit=lambda _events: None)
    writer.start()

    def full(tx: Transaction) -> None:
        _add("lost")(tx)
        tx.connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$")

    with capture_logs() as logs, pytest.raises(Unavailable, match="full"):
        writer.write(full)
    assert [entry["event"] for entry in logs] == ["store.disk_full"]
    assert writer.write(_add("later"))
    assert _names(engine) == ["later"]
    writer.close()
    engine.dispose()


def _count_each(tx: Transaction, items: Sequence[str]) -> list[int | StateConflict]:
    found: list[int | StateConflict] = []
    for name in items:
        found.append(StateConflict(name) if name == "refused" else _add(name)(tx))
        if name == "broken":
            raise ZeroDivisionError("a defect")
    return found


async def _gathered(writer: Writer, names: Sequence[str]) -> list[int | BaseException]:
    waiting = [writer.gather(_count_each, name) for name in names]
    plain = [writer.perform(_add("plain"))]
    asyncio.get_running_loop().call_soon(writer.start)
    return await asyncio.gather(*waiting, *plain, return_exceptions=True)


def test_what_is_gathered_is_done_at_once_and_each_gets_its_own_answer(engine: Engine, writer: Writer) -> None:
    commits = _commits(engine)
    first, refused, last, plain = asyncio.run(_gathered(writer, ["a", "refused", "b"]))
    assert len({first, last, plain}) == 3
    assert isinstance(refused, StateConflict)
    assert len(commits) == 1
    assert sorted(_names(engine)) == ["a", "b", "plain"]


def test_a_gathering_that_fails_costs_its_neighbours_time_and_no_results(engine: Engine, writer: Writer) -> None:
    first, broken, last, plain = asyncio.run(_gathered(writer, ["a", "broken", "b"]))
    assert isinstance(broken, ZeroDivisionError)
    assert len({first, last, plain}) == 3
    assert sorted(_names(engine)) == ["a", "b", "plain"]


def test_a_task_that_gave_up_before_its_turn_changes_nothing(engine: Engine, writer: Writer) -> None:
    async def hang_up() -> None:
        given_up = asyncio.create_task(writer.perform(_add("given-up")))
        kept = asyncio.create_task(writer.perform(_add("kept")))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        writer.start()
        await kept

    asyncio.run(hang_up())
    assert _names(engine) == ["kept"]
