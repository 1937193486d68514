"""Writers of all processes take turns on Postgres, and none of them holds the others up for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from caviar.contract.errors import Unavailable
from service.store.clock import ServerClock
from service.store.engine import NotBegun, begun, connect, take_turn
from service.store.leadership import Leadership
from service.store.transaction import Transaction
from service.store.writer import Writer
from tests.databases import Databases

pytestmark = pytest.mark.postgres
_PATIENCE_S = 0.5


@pytest.fixture
def url(databases: Databases) -> str:
    """A fresh database, which all engines of a test share."""
    return databases.ready("postgres")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine of one process, whose writers are not patient."""
    made = connect(url, patience_s=_PATIENCE_S)
    yield made
    made.dispose()


@pytest.fixture
def other(url: str) -> Iterator[Engine]:
    """An engine of another process."""
    made = connect(url, patience_s=_PATIENCE_S)
    yield made
    made.dispose()


def _writer(engine: Engine) -> Writer:
    def pass_over(_events: object) -> None:
        """Nobody listens."""

    return Writer(engine, clock=ServerClock(engine), on_commit=pass_over)


def test_a_frozen_writer_frees_the_others_and_has_changed_nothing(engine: Engine, other: Engine) -> None:
    writer = _writer(other)
    writer.start()
    with engine.connect() as connection:
        turn = take_turn(connection)
        connection.exec_driver_sql("DELETE FROM alembic_version")
        begun_s = time.monotonic()
        # It says nothing more; the other one waits for its turn meanwhile.
        version = writer.write(
            lambda tx: tx.connection.exec_driver_sql("SELECT version_num FROM alembic_version").all()
        )
        assert time.monotonic() - begun_s < 20 * _PATIENCE_S
        assert len(version) == 1
        assert turn.is_active
        connection.invalidate()
    writer.close()


def test_a_connection_that_was_lost_while_it_rested_costs_nobody_anything(engine: Engine, other: Engine) -> None:
    writer = _writer(engine)
    writer.start()

    def number(tx: Transaction) -> int:
        return int(tx.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())

    first = writer.write(number)
    assert writer.write(number) == first
    with other.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend({first}, 30000)")
    assert writer.write(number) != first
    assert writer.num_outages == 0
    writer.close()


def test_an_operation_whose_transaction_the_server_ended_is_refused_or_done_again(engine: Engine) -> None:
    writer = _writer(engine)
    writer.start()
    tries: list[int] = []

    def be_cut_off(tx: Transaction) -> int:
        tries.append(1)
        if len(tries) == 1:
            tx.connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '1ms'")
            deadline = time.monotonic() + 30
            while not tx.connection.connection.driver_connection.closed and time.monotonic() < deadline:  # type: ignore[union-attr]
                tx.connection.exec_driver_sql("SELECT 1")
        return len(tries)

    with pytest.raises(Unavailable):
        writer.write(be_cut_off)
    assert writer.num_outages == 1
    assert writer.write(be_cut_off) == 2
    writer.close()


def test_who_has_no_turn_in_time_is_refused_at_once_with_all_that_wait(engine: Engine, other: Engine) -> None:
    # The others' patience is longer, so they keep their turn although they say nothing.
    patient = other.execution_options(patience_s=60)
    writer = _writer(engine)
    with begun(patient):
        waiting = [writer.submit(lambda tx: tx.num_writes) for _ in range(40)]
        begun_s = time.monotonic()
        writer.start()
        for future in waiting:
            with pytest.raises(NotBegun):
                future.result(timeout=30)
        assert time.monotonic() - begun_s < 20 * _PATIENCE_S
    assert writer.num_outages == 40
    assert writer.write(lambda tx: tx.num_writes) == 0
    writer.close()


def test_times_follow_the_order_of_commits_by_the_server_s_clock(engine: Engine, other: Engine) -> None:
    moved = ServerClock(engine, monotonic=lambda: 1e6)
    clocks = [(engine, moved), (other, ServerClock(other))] * 5
    times = []
    for one, clock in clocks:
        with begun(one):
            times.append(clock())
    assert times == sorted(times)
    assert abs(times[0] - datetime.now(UTC)) < timedelta(minutes=1)


def test_time_goes_on_between_two_transactions(engine: Engine) -> None:
    passed = [10.0]
    clock = ServerClock(engine, monotonic=lambda: passed[0])
    with begun(engine):
        told = clock()
    passed[0] += 2.5
    assert clock() - told == timedelta(seconds=2.5)


def _comes_to_lead(leadership: Leadership) -> None:
    """The server hears of the end of a session a moment later."""
    deadline = time.monotonic() + 30
    while not leadership.is_held():
        assert time.monotonic() < deadline


@pytest.fixture
def first(engine: Engine) -> Iterator[Leadership]:
    """Of one process."""
    leadership = Leadership(engine, patience_s=30)
    yield leadership
    leadership.give_up()


@pytest.fixture
def second(other: Engine) -> Iterator[Leadership]:
    """Of another one."""
    leadership = Leadership(other, patience_s=30)
    yield leadership
    leadership.give_up()


def test_one_process_leads_until_it_gives_up(first: Leadership, second: Leadership) -> None:
    assert first.is_held()
    assert not second.is_held()
    assert first.is_held()
    first.give_up()
    _comes_to_lead(second)
    assert not first.is_held()


def test_a_leader_whose_session_is_gone_leads_no_more(first: Leadership, second: Leadership, other: Engine) -> None:
    assert first.is_held()
    with other.connect() as connection:
        # Of this database: leaders of others on the same server are none of its business.
        cut = (
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
            "WHERE locktype = 'advisory' AND datname = current_database()"
        )
        assert len(connection.exec_driver_sql(cut).all()) == 1
    _comes_to_lead(second)
    assert not first.is_held()


def test_a_leader_that_is_frozen_leads_no_more(engine: Engine, second: Leadership) -> None:
    frozen = Leadership(engine, patience_s=0.2)
    assert frozen.is_held()
    _comes_to_lead(second)
    assert not frozen.is_held()
    frozen.give_up()
