"""What is written and read past SQLAlchemy is what it would have written and read, errors included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, bindparam, column, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from caviar.contract.states import Decision
from service.store import schema
from service.store.engine import begun, is_outage
from service.store.prepared import Bulk, Change, Columns, Query, send, together
from service.store.transaction import Transaction

MEASUREMENTS = schema.measurements
NAMES = MEASUREMENTS.c.keys()
NOW = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def trial_id(engine: Engine) -> int:
    """A trial to measure."""
    study: dict[str, Any] = {
        "name": "s", "spec": {}, "submitted_digest": "d", "state": "running", "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    trial: dict[str, Any] = {"number": 0, "state": "running", "origin": "sampler", "params": {}, "created_at": NOW}
    with begun(engine) as connection:
        study_id = connection.execute(insert(schema.studies).values(study)).inserted_primary_key[0]  # type: ignore[index]
        made = connection.execute(insert(schema.trials).values(trial | {"study_id": study_id, "as_of_seq": 0}))
        found: int = made.inserted_primary_key[0]  # type: ignore[index]
    return found


def measured(trial_id: int, epoch: int, **changes: Any) -> dict[str, Any]:
    row = {
        "trial_id": trial_id,
        "attempt": 1,
        "epoch": epoch,
        "value": 0.1 * epoch,
        "metrics": {"val_loss": 0.1 * epoch, "\u00e9": 1e-300},
        "elapsed_s": 1.5,
        "reported_at": NOW,
        "decision": None,
        "evidence": None,
        "is_current": True,
    }
    return row | changes


def test_rows_are_those_that_sqlalchemy_writes(engine: Engine, trial_id: int) -> None:
    rows = [
        measured(trial_id, 1),
        measured(trial_id, 2, decision=Decision.STOP, evidence={"rule": "median", "threshold": None}),
        measured(trial_id, 3, is_current=False),
    ]
    with begun(engine) as connection:
        Bulk(insert(MEASUREMENTS), *NAMES).run(connection, rows)
        connection.execute(insert(MEASUREMENTS), [{**row, "attempt": 2} for row in rows])
    columns = [column for column in MEASUREMENTS.c if column.name != "attempt"]
    with engine.connect() as connection:
        first, second = (
            connection.execute(select(*columns).where(MEASUREMENTS.c.attempt == attempt).order_by("epoch")).all()
            for attempt in (1, 2)
        )
        # Nothing is no JSON null.
        num_empty = connection.execute(select(MEASUREMENTS.c.epoch).where(MEASUREMENTS.c.evidence.is_(None))).all()
    assert first == second
    assert [row.epoch for row in first] == [1, 2, 3]
    assert first[0].reported_at == NOW
    assert first[1].evidence == {"rule": "median", "threshold": None}
    assert len(num_empty) == 4


def test_rows_are_changed_each_by_its_own_values(engine: Engine, trial_id: int) -> None:
    change = Bulk(
        update(MEASUREMENTS)
        .where(MEASUREMENTS.c.trial_id == bindparam("trial"), MEASUREMENTS.c.epoch == bindparam("at"))
        .values(value=bindparam("value"), reported_at=bindparam("then")),
        "trial",
        "at",
        "value",
        "then",
    )
    later = NOW.replace(year=2027)
    with begun(engine) as connection:
        Bulk(insert(MEASUREMENTS), *NAMES).run(connection, [measured(trial_id, epoch) for epoch in (1, 2, 3)])
        change.run(connection, [{"trial": trial_id, "at": at, "value": float(-at), "then": later} for at in (3, 1)])
        found = connection.execute(select(MEASUREMENTS.c.value, MEASUREMENTS.c.reported_at).order_by("epoch")).all()
    assert found == [(-1.0, later), (0.2, NOW), (-3.0, later)]


def test_what_the_database_refuses_is_sqlalchemy_s_error(engine: Engine, trial_id: int) -> None:
    twice = [measured(trial_id, 1), measured(trial_id, 1)]
    with pytest.raises(IntegrityError) as refused, begun(engine) as connection:
        Bulk(insert(MEASUREMENTS), *NAMES).run(connection, twice)
    assert "val_loss" not in str(refused.value)
    with engine.connect() as connection:
        assert not connection.execute(select(MEASUREMENTS.c.epoch)).all()


def test_naive_times_are_refused_as_elsewhere(engine: Engine, trial_id: int) -> None:
    naive = measured(trial_id, 1, reported_at=NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="naive"), begun(engine) as connection:
        Bulk(insert(MEASUREMENTS), *NAMES).run(connection, [naive])


@pytest.mark.parametrize(
    ("bulk", "said"),
    [
        (Bulk(insert(MEASUREMENTS), *(name for name in NAMES if name != "is_current")), "is_current"),
        (
            Bulk(
                update(MEASUREMENTS).values(value=bindparam("value")).where(MEASUREMENTS.c.epoch == bindparam("at")),
                "value",
            ),
            "at",
        ),
    ],
    ids=["a default", "a parameter"],
)
def test_what_rows_do_not_give_is_named(engine: Engine, bulk: Bulk, said: str) -> None:
    with pytest.raises(ValueError, match=said), begun(engine) as connection:
        bulk.run(connection, [{"value": 1.0}])


def test_rows_are_read_as_sqlalchemy_reads_them(engine: Engine, trial_id: int) -> None:
    statement = select(MEASUREMENTS).where(MEASUREMENTS.c.trial_id == bindparam("of")).order_by(MEASUREMENTS.c.epoch)
    query = Query(statement)
    rows = [
        measured(trial_id, 1),
        measured(trial_id, 2, decision=Decision.STOP, evidence={"rule": "median"}, is_current=False),
    ]
    with begun(engine) as connection:
        assert query.rows(connection, {"of": trial_id}) == []
        for row in rows:
            Bulk(insert(MEASUREMENTS), *NAMES).run(connection, [row])
        expected = connection.execute(statement, {"of": trial_id}).all()
        assert query.rows(connection, {"of": trial_id}) == [list(row) for row in expected]
        assert query.rows(connection, {"of": trial_id + 1}) == []


def test_records_have_their_columns_as_attributes(engine: Engine, trial_id: int) -> None:
    statement = select(MEASUREMENTS, schema.trials.c.number.label("nth")).join(schema.trials)
    query = Query(statement.where(MEASUREMENTS.c.trial_id == bindparam("of"), MEASUREMENTS.c.is_current))
    with begun(engine) as connection:
        Bulk(insert(MEASUREMENTS), *NAMES).run(
            connection, [measured(trial_id, 1, evidence={"rule": "median"}), measured(trial_id, 2, is_current=False)]
        )
        [found] = query.records(connection, {"of": trial_id})
    assert {name: getattr(found, name) for name in NAMES} == measured(trial_id, 1, evidence={"rule": "median"})
    assert found.nth == 0


def test_a_change_tells_what_it_was_done_to(engine: Engine, trial_id: int) -> None:
    change = Change(
        update(schema.trials)
        .where(schema.trials.c.id == bindparam("of"), schema.trials.c.state == "running")
        .values(num_epochs=schema.trials.c.num_epochs + 1, ended_at=bindparam("then"))
        .returning(schema.trials.c.num_epochs, schema.trials.c.ended_at),
        "of",
        "then",
    )
    with begun(engine) as connection:
        [first] = change.records(connection, {"of": trial_id, "then": NOW})
        [second] = change.records(connection, {"of": trial_id, "then": NOW})
        assert change.records(connection, {"of": trial_id + 1, "then": NOW}) == []
    assert (first.num_epochs, second.num_epochs) == (1, 2)
    assert second.ended_at == NOW


def test_columns_are_those_that_values_are_given_for(engine: Engine, trial_id: int) -> None:
    columns = Columns(update(schema.trials).where(schema.trials.c.id == bindparam("of")), "of")
    with begun(engine) as connection:
        columns.run(connection, {"of": trial_id, "note": "n", "evidence": {"rule": "median"}})
        columns.run(connection, {"of": trial_id, "ended_at": NOW})
        columns.run(connection, {"of": trial_id, "evidence": None})
        found = connection.execute(select(schema.trials).where(schema.trials.c.evidence.is_(None))).one()
    assert (found.note, found.ended_at) == ("n", NOW)


def test_what_goes_wrong_while_reading_is_sqlalchemy_s_error(engine: Engine) -> None:
    query = Query(select(schema.improvements))
    with begun(engine) as connection:
        connection.exec_driver_sql("DROP TABLE improvements")
        with pytest.raises(DBAPIError) as refused:
            query.rows(connection, {})
        connection.get_transaction().rollback()  # type: ignore[union-attr]  # It has begun.
    assert not refused.value.connection_invalidated
    with begun(engine) as connection:
        assert not query.rows(connection, {})


@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
def test_a_connection_that_is_gone_is_told_and_replaced(engine: Engine) -> None:
    query = Query(select(schema.improvements))
    with engine.connect() as connection:
        number = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with engine.connect() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({number})")
        with pytest.raises(DBAPIError) as gone:
            query.rows(connection, {})
        assert connection.invalidated
    assert gone.value.connection_invalidated
    assert is_outage(gone.value)
    with begun(engine) as connection:
        assert not query.rows(connection, {})


def test_what_is_written_together_is_all_there(engine: Engine, trial_id: int) -> None:
    change = Bulk(
        update(schema.trials).where(schema.trials.c.id == bindparam("of")).values(note=bindparam("said")), "of", "said"
    )
    with begun(engine) as connection:
        with together(connection):
            Bulk(insert(MEASUREMENTS), *NAMES).run(connection, [measured(trial_id, epoch) for epoch in range(1, 400)])
            connection.execute(update(schema.studies).values(priority=7))
            change.run(connection, [{"of": trial_id, "said": "n"}])
        # What follows sees it.
        assert len(Query(select(MEASUREMENTS.c.epoch)).rows(connection, {})) == 399
    with engine.connect() as connection:
        assert connection.execute(select(schema.trials.c.note)).scalar_one() == "n"
        assert connection.execute(select(schema.studies.c.priority)).scalar_one() == 7


def test_what_fails_together_is_told_and_leaves_nothing(engine: Engine, trial_id: int) -> None:
    bulk = Bulk(insert(MEASUREMENTS), *NAMES)

    def write_twice(connection: Connection) -> None:
        with together(connection):
            bulk.run(connection, [measured(trial_id, 1)])
            bulk.run(connection, [measured(trial_id, 1)])
            connection.execute(update(schema.studies).values(priority=7))

    with pytest.raises(IntegrityError), begun(engine) as connection:
        write_twice(connection)
    with begun(engine) as connection:
        assert not Query(select(MEASUREMENTS.c.epoch)).rows(connection, {})
        assert connection.execute(select(schema.studies.c.priority)).scalar_one() == 0


def test_what_a_transaction_has_sent_is_there_once_it_is_read(engine: Engine, trial_id: int) -> None:
    bulk, query = Bulk(insert(MEASUREMENTS), *NAMES), Query(select(MEASUREMENTS.c.epoch))
    with begun(engine) as connection, Transaction(connection, NOW) as tx:
        for epoch in (1, 2):
            tx.send_together()
            tx.write_all(bulk, [measured(trial_id, epoch)])
            assert len(tx.records(query, {})) == epoch
        tx.send_together()
        tx.write_all(bulk, [measured(trial_id, 3)])
        assert len(tx.read(select(MEASUREMENTS.c.epoch)).all()) == 3
        tx.send_together()
        tx.write_all(bulk, [measured(trial_id, 4)])
        tx.flush()
    with engine.connect() as connection:
        assert len(query.rows(connection, {})) == 4


def test_what_a_transaction_has_sent_in_vain_is_told_before_its_commit(engine: Engine, trial_id: int) -> None:
    bulk = Bulk(insert(MEASUREMENTS), *NAMES)

    def send_twice(tx: Transaction) -> None:
        tx.send_together()
        tx.write_all(bulk, [measured(trial_id, 1)])
        tx.write_all(bulk, [measured(trial_id, 1)])
        tx.flush()

    for _ in range(2):
        with pytest.raises(IntegrityError), begun(engine) as connection, Transaction(connection, NOW) as tx:
            send_twice(tx)
    with engine.connect() as connection:
        assert not Query(select(MEASUREMENTS.c.epoch)).rows(connection, {})


def test_what_was_sent_in_vain_before_a_commit_is_told_by_it_and_undoes_all(engine: Engine, trial_id: int) -> None:
    bulk = Bulk(insert(MEASUREMENTS), *NAMES)

    def commit_twice_the_same(tx: Transaction) -> None:
        tx.emit(1, "measured", epoch=1)
        tx.send_together()
        tx.write_all(bulk, [measured(trial_id, 1)])
        tx.write_all(bulk, [measured(trial_id, 1)])
        tx.commit()

    for _ in range(2):
        with pytest.raises(IntegrityError), begun(engine) as connection, Transaction(connection, NOW) as tx:
            commit_twice_the_same(tx)
    with begun(engine) as connection, Transaction(connection, NOW) as tx:
        tx.emit(1, "measured", epoch=1)
        tx.write_all(bulk, [measured(trial_id, 1)])
        [event] = tx.commit()
    assert event.seq == 1
    with engine.connect() as connection:
        assert len(Query(select(MEASUREMENTS.c.epoch)).rows(connection, {})) == 1
        assert connection.execute(select(schema.events.c.seq)).scalars().all() == [1]


@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
def test_what_fails_on_its_way_when_the_commit_is_sent_leaves_no_transaction_behind(
    engine: Engine, trial_id: int
) -> None:
    # It fails so late that the commit has been sent by then.
    slow = "DO $$ BEGIN PERFORM pg_sleep(0.3); RAISE division_by_zero; END $$"

    def commit_too_early(tx: Transaction, connection: Connection) -> None:
        tx.send_together()
        tx.write_all(Bulk(insert(MEASUREMENTS), *NAMES), [measured(trial_id, 1)])
        send(connection, slow)
        tx.commit()

    with pytest.raises(DBAPIError) as failed, begun(engine) as connection, Transaction(connection, NOW) as tx:
        commit_too_early(tx, connection)
    assert type(failed.value.orig).__name__ == "DivisionByZero"
    # Whoever has the next connection of the pool finds it in order, and the others see nothing of what failed.
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.execute(select(MEASUREMENTS.c.epoch)).all() == []
    with begun(engine) as connection, Transaction(connection, NOW) as tx:
        tx.write_all(Bulk(insert(MEASUREMENTS), *NAMES), [measured(trial_id, 1)])
        tx.commit()
    with engine.connect() as connection:
        assert connection.execute(select(MEASUREMENTS.c.epoch)).scalars().all() == [1]


def test_questions_asked_in_one_go_are_answered_each_by_its_own_rows(engine: Engine, trial_id: int) -> None:
    bulk = Bulk(insert(MEASUREMENTS), *NAMES)
    above = Query(
        select(MEASUREMENTS.c.epoch, MEASUREMENTS.c.metrics)
        .where(MEASUREMENTS.c.epoch > bindparam("least"))
        .order_by(MEASUREMENTS.c.epoch)
    )
    noted = Query(select(schema.trials.c.note, schema.trials.c.created_at))
    with begun(engine) as connection, Transaction(connection, NOW) as tx:
        tx.send_together()
        tx.write_all(bulk, [measured(trial_id, epoch) for epoch in (1, 2, 3)])
        some, none, [trial] = tx.all_records((above, {"least": 1}), (above, {"least": 3}), (noted, {}))
        assert [(row.epoch, row.metrics["val_loss"]) for row in some] == [(2, 0.2), (3, pytest.approx(0.3))]
        assert none == []
        assert (trial.note, trial.created_at) == ("", NOW)
        # Nor does SQLAlchemy's own way of asking miss anything of it.
        assert len(tx.read(select(MEASUREMENTS.c.epoch)).all()) == 3


def test_a_question_that_cannot_be_answered_is_told_as_an_error(engine: Engine, trial_id: int) -> None:
    broken = Query(select(column("nothing")).select_from(schema.trials).where(schema.trials.c.id == bindparam("of")))
    with pytest.raises(DBAPIError), begun(engine) as connection, Transaction(connection, NOW) as tx:
        tx.all_records((broken, {"of": trial_id}), (broken, {"of": trial_id}))
    with begun(engine) as connection:
        assert not Query(select(MEASUREMENTS.c.epoch)).rows(connection, {})


def test_what_ends_a_transaction_is_told_whatever_it_has_sent(engine: Engine, trial_id: int) -> None:
    def fail(tx: Transaction) -> None:
        tx.send_together()
        tx.write_all(Bulk(insert(MEASUREMENTS), *NAMES), [measured(trial_id, 1)])
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"), begun(engine) as connection, Transaction(connection, NOW) as tx:
        fail(tx)
    with begun(engine) as connection:
        assert not Query(select(MEASUREMENTS.c.epoch)).rows(connection, {})
