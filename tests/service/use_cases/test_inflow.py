"""What several processes commit comes to each of them in order, without gaps and once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from caviar.contract.study import StudySpec
from service.api.examples import BODIES
from service.domain.principal import SYSTEM
from service.store import studies
from service.store.engine import Engine, connect, read, write
from service.store.notices import Notice
from service.store.transaction import Event, Transaction
from service.use_cases import submitting
from service.use_cases.inflow import Inflow

_NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Books:
    """A study with its first event, and what those who follow it are told."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.told: list[int] = []
        self.applied: list[int] = []
        self.gone: list[int] = []
        self.num_rings = 0
        self.inflow = Inflow(
            self._reading, tell=self._tell, apply=self._apply, forget=self.gone.append, ring=self._ring
        )
        spec = StudySpec.model_validate(BODIES["create_study"])
        with write(engine, _NOW) as tx:
            tx.actor = SYSTEM
            submitting.create(tx, spec)
            self.first = tx.flush()

    def commit(self, num: int = 1) -> list[Event]:
        """Commit events, of which nobody has been told yet."""
        with write(self._engine, _NOW) as tx:
            for number in range(num):
                tx.emit(1, "measured", number=number)
            return tx.flush()

    def delete(self) -> None:
        """Delete the study."""
        with write(self._engine, _NOW) as tx:
            studies.remove(tx, 1)

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        with read(self._engine, _NOW) as tx:
            yield tx

    def _tell(self, events: Sequence[Event]) -> None:
        self.told += [event.seq for event in events]

    def _apply(self, events: Sequence[Event]) -> None:
        self.applied += [event.seq for event in events]

    def _ring(self) -> None:
        self.num_rings += 1


@pytest.fixture
def books(ready_database_url: str) -> Iterator[Books]:
    engine = connect(ready_database_url)
    yield Books(engine)
    engine.dispose()


def test_own_events_are_told_at_once_while_nobody_else_commits(books: Books) -> None:
    assert books.inflow.committed(books.first)
    assert books.inflow.committed(books.commit(2))
    assert books.told == [1, 2, 3]
    assert books.applied == []


def test_an_own_event_waits_for_those_of_others_before_it(books: Books) -> None:
    assert books.inflow.committed(books.first)
    books.commit(2)
    assert not books.inflow.committed(books.commit())
    assert books.told == [1]
    books.inflow.catch_up()
    assert books.told == [1, 2, 3, 4]
    assert books.inflow.committed(books.commit())
    assert books.told == [1, 2, 3, 4, 5]


def test_whoever_reads_first_nothing_is_told_twice(books: Books) -> None:
    assert books.inflow.committed(books.first)
    books.commit(2)
    own = books.commit()
    # The notice of the others is heard first, and the own event is in the table by then.
    books.inflow.heard(Notice("other", {1: (2, 3)}))
    assert books.inflow.committed(own)
    books.inflow.heard(Notice("other", {1: (2, 3)}))
    assert books.told == [1, 2, 3, 4]
    assert books.applied == [2, 3, 4]


def test_of_an_unknown_study_only_what_is_new_is_read(books: Books) -> None:
    books.commit(5)
    books.inflow.heard(Notice("other", {1: (5, 6)}))
    assert books.told == [5, 6]


def test_more_events_than_one_portion_come_whole(books: Books) -> None:
    assert books.inflow.committed(books.first)
    books.commit(2500)
    books.inflow.heard(Notice("other", {1: (2, 2501)}))
    assert books.told == list(range(1, 2502))


def test_what_was_missed_is_found_after_a_return(books: Books) -> None:
    assert books.inflow.committed(books.first)
    books.commit(3)
    books.inflow.returned()
    assert books.told == [1, 2, 3, 4]
    assert books.num_rings == 1


def test_a_first_return_tells_nothing_old(books: Books) -> None:
    books.commit(3)
    books.inflow.returned()
    assert books.told == []
    assert books.inflow.committed(books.commit())
    assert books.told == [5]


def test_a_study_that_others_have_deleted_is_forgotten_at_once_or_after_a_return(books: Books) -> None:
    assert books.inflow.committed(books.first)
    books.inflow.heard(Notice("other", gone=[1]))
    assert books.gone == [1]
    books.delete()
    books.inflow.returned()
    assert books.gone == [1, 1]


def test_workers_are_woken_when_another_process_says_so(books: Books) -> None:
    books.inflow.heard(Notice("other", is_waking=True))
    assert books.num_rings == 1
    assert books.told == []
