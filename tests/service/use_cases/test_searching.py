"""Searches follow the change feed, and are loaded anew where they cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from sqlalchemy import delete

from caviar.contract.errors import Unavailable
from caviar.contract.study import StudyEdit, StudySpec
from service.api.examples import BODIES
from service.domain.principal import SYSTEM
from service.search.mirror import Mirror
from service.store import studies
from service.store.engine import Engine, connect, read, write
from service.store.schema import events
from service.store.transaction import Event, Transaction
from service.use_cases import submitting
from service.use_cases.creating import create_trial
from service.use_cases.searching import Search, Searches, Suggestion

T = TypeVar("T")
_NOW = datetime(2026, 11, 21, tzinfo=UTC)
_PARAMS: dict[str, Any] = BODIES["enqueue_trial"]["params"]


class Books:
    """A study and the searches that follow it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.num_reads = 0
        self.is_away = False
        self.searches = Searches(self._reading)
        spec = StudySpec.model_validate(BODIES["create_study"])
        self.write(lambda tx: submitting.create(tx, spec))

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        self.num_reads += 1
        if self.is_away:
            raise Unavailable("the database does not answer")
        with read(self._engine, _NOW) as tx:
            yield tx

    def write(self, operation: Callable[[Transaction], T]) -> tuple[T, list[Event]]:
        """Commit an operation; its result and events, which nobody has been told yet."""
        with write(self._engine, _NOW, SYSTEM) as tx:
            result = operation(tx)
            events = tx.flush()
        return result, events

    def add(self, number: int) -> list[Event]:
        """Commit a new trial."""

        def create(tx: Transaction) -> int:
            study = studies.by_id(tx, 1)
            assert study is not None
            assert study.num_trials == number
            return int(create_trial(tx, study, _PARAMS, origin="enqueued").id)

        return self.write(create)[1]


@pytest.fixture
def books(ready_database_url: str) -> Iterator[Books]:
    engine = connect(ready_database_url)
    yield Books(engine)
    engine.dispose()


def _next_number(search: Search) -> int:
    step = search.next(may_create=True)
    assert isinstance(step, Suggestion)
    return step.number


def test_a_search_is_loaded_once_and_follows_the_feed(books: Books) -> None:
    assert _next_number(books.searches.of(1)) == 0
    books.searches.apply(books.add(0))
    books.searches.apply(books.add(1))
    assert _next_number(books.searches.of(1)) == 2
    assert books.num_reads == 1


def test_events_that_are_in_the_rows_already_change_nothing(books: Books) -> None:
    events = books.add(0)
    assert _next_number(books.searches.of(1)) == 1
    books.searches.apply(events)
    assert _next_number(books.searches.of(1)) == 1
    assert books.num_reads == 1


def test_a_gap_in_the_feed_is_filled_from_the_table(books: Books) -> None:
    search = books.searches.of(1)
    books.add(0)
    books.searches.apply(books.add(1))
    assert books.searches.of(1) is search
    assert _next_number(search) == 2


def test_a_gap_that_cannot_be_filled_now_is_filled_later(books: Books) -> None:
    search = books.searches.of(1)
    books.add(0)
    books.is_away = True
    books.searches.apply(books.add(1))
    books.is_away = False
    books.searches.apply(books.add(2))
    assert books.searches.of(1) is search
    assert _next_number(search) == 3


def test_an_event_that_contradicts_the_mirror_has_it_loaded_anew(books: Books) -> None:
    search = books.searches.of(1)
    books.add(0)
    data: dict[str, Any] = {"trial_id": 1, "number": 9, "params": _PARAMS, "round": None}
    wrong = Event(1, 2, "trial_created", _NOW, data)
    books.searches.apply([wrong])
    assert books.searches.of(1) is not search
    assert _next_number(books.searches.of(1)) == 1


def test_what_other_processes_have_committed_is_read_before_anything_is_judged(books: Books) -> None:
    search = books.searches.of(1)
    for number in range(3):
        books.add(number)

    def know(tx: Transaction) -> int:
        study = studies.by_id(tx, 1)
        assert study is not None
        return books.searches.knowing(tx, 1, study.last_event_seq).seq

    assert books.write(know)[0] == 4
    assert books.searches.of(1) is search
    assert _next_number(search) == 3
    assert books.num_reads == 1


def test_a_mirror_never_holds_what_may_be_rolled_back(books: Books) -> None:
    search = books.searches.of(1)

    def know(tx: Transaction) -> None:
        study = studies.by_id(tx, 1)
        assert study is not None
        create_trial(tx, study, _PARAMS, origin="enqueued")
        books.searches.knowing(tx, 1, study.last_event_seq)
        raise Unavailable("rolled back")

    with pytest.raises(Unavailable):
        books.write(know)
    assert search.seq == 1
    assert _next_number(search) == 0


def test_a_search_is_loaded_where_events_are_no_longer_there(books: Books) -> None:
    old = books.searches.of(1)
    books.add(0)
    books.write(lambda tx: tx.write(delete(events).where(events.c.seq == 2)))
    found = books.searches.up_to(1, 2)
    assert found is not old
    assert _next_number(found) == 1


def test_a_study_that_is_gone_has_no_search(books: Books) -> None:
    with pytest.raises(LookupError):
        books.searches.of(77)


def test_an_edited_study_is_searched_by_its_new_limits(books: Books) -> None:
    old = books.searches.of(1)
    edit = StudyEdit.model_validate({"budget": {"max_epochs": 3}})
    books.searches.apply(books.write(lambda tx: submitting.edit(tx, "digits-mlp", edit))[1])
    assert old.spec.budget.max_epochs == 30
    assert books.searches.of(1).spec.budget.max_epochs == 3


def _search(kind: str, space: dict[str, Any]) -> tuple[Search, Mirror]:
    spec = StudySpec.model_validate(
        {
            "name": "s",
            "objective": {"name": "o"},
            "space": space,
            "strategy": {"kind": kind},
            "pruner": {"kind": "median"},
            "seed": 5,
        }
    )
    mirror = Mirror(spec)
    return Search(spec, mirror, seq=1, space_version=1), mirror


def _given_at_once(search: Search, num_claims: int) -> list[Suggestion]:
    """What claims are given that come at the same moment, in their order; none of it comes into the mirror."""

    async def take() -> Suggestion:
        async with search.steps.next(may_create=True) as step:
            assert isinstance(step, Suggestion)
            return step

    async def main() -> list[Suggestion]:
        return await asyncio.gather(*(take() for _ in range(num_claims)))

    return asyncio.run(main())


_WIDE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "n": {"type": "int", "low": 1, "high": 100},
}


@pytest.mark.parametrize("kind", ["random", "quasi_random", "grid"])
def test_what_does_not_learn_suggests_at_once_what_it_would_one_after_the_other(kind: str) -> None:
    found = _given_at_once(_search(kind, _WIDE)[0], 4)
    search, mirror = _search(kind, _WIDE)
    for number, suggestion in enumerate(found):
        expected = search.next(may_create=True)
        assert isinstance(expected, Suggestion)
        assert (suggestion.number, suggestion.num_ahead) == (number, number)
        assert suggestion.proposal == expected.proposal
        mirror.add(number, number + 1, suggestion.proposal.params)


def test_what_is_suggested_at_once_is_never_the_same() -> None:
    # Of two configurations, chance draws one again soon.
    space: dict[str, Any] = {"n": {"type": "int", "low": 1, "high": 2}}
    for seed in range(8):
        spec = _search("random", space)[0].spec.model_copy(update={"seed": seed})
        search = Search(spec, Mirror(spec), seq=1, space_version=1)
        first, *others = _given_at_once(search, 2)
        # Whoever was not given something at once was given what the first one has not stored.
        assert [one.number for one in others] in ([0], [1])
        assert (others[0].proposal.params == first.proposal.params) == (others[0].number == 0)


def test_what_learns_suggests_one_after_the_other() -> None:
    found = _given_at_once(_search("tpe", _WIDE)[0], 4)
    assert [(one.number, one.num_ahead) for one in found] == [(0, 0)] * 4


def _created(suggestion: Suggestion, **changes: Any) -> dict[str, Any]:
    """Data of the event of a trial that was made of a suggestion."""
    params = dict(suggestion.proposal.params)
    return {"trial_id": suggestion.number + 1, "number": suggestion.number, "params": params, "origin": "sampler"} | {
        "round": None,
        **changes,
    }


def _happens(search: Search, kind: str, data: dict[str, Any]) -> None:
    assert search.apply(Event(1, search.seq + 1, kind, _NOW, data))


@pytest.mark.parametrize("kind", ["random", "quasi_random", "grid"])
def test_what_comes_next_is_at_hand_in_its_order(kind: str) -> None:
    search, _ = _search(kind, _WIDE)
    assert search.in_stock([]) is None
    [first] = _given_at_once(search, 1)
    assert search.in_stock([]) is None, "the first one is on its way"
    _happens(search, "trial_created", _created(first))
    second = search.in_stock([])
    assert second is not None
    assert second == search.in_stock([]), "whoever asks again gets the same"
    third = search.in_stock([_created(second)])
    assert third is not None
    assert (second.number, third.number, second.as_of, third.as_of) == (1, 2, 1, 1)
    alone, mirror = _search(kind, _WIDE)
    for suggestion in (first, second, third):
        expected = alone.next(may_create=True)
        assert isinstance(expected, Suggestion)
        assert suggestion.proposal == expected.proposal
        mirror.add(suggestion.number, suggestion.number + 1, suggestion.proposal.params)


def test_the_stock_comes_to_an_end() -> None:
    search, _ = _search("random", _WIDE)
    given: list[Suggestion] = _given_at_once(search, 2)
    while given:
        last = given.pop(0)
        _happens(search, "trial_created", _created(last))
        following = search.in_stock([])
        given += [following] if following is not None else []
    assert last.number == 9


_OTHER = {"params": {"x": 0.5, "n": 7}, "origin": "enqueued"}


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("trial_created", _OTHER),
        ("trial_created", {"origin": "enqueued"}),
        ("trial_created", {"params": {"x": 0.0, "n": 1}}),
    ],
)
def test_nothing_is_at_hand_once_another_trial_came_in_between(kind: str, changes: dict[str, Any]) -> None:
    search, _ = _search("random", _WIDE)
    [first] = _given_at_once(search, 1)
    _happens(search, "trial_created", _created(first))
    second = search.in_stock([])
    assert second is not None
    assert search.in_stock([_created(second, **changes)]) is None, "by the same transaction"
    _happens(search, kind, _created(second, **changes))
    assert search.in_stock([]) is None


@pytest.mark.parametrize(
    ("strategy", "pruner"), [("tpe", {"kind": "median"}), ("random", {"kind": "asha"}), ("cma_es", {"kind": "none"})]
)
def test_nothing_is_at_hand_where_results_decide_what_comes_next(strategy: str, pruner: dict[str, Any]) -> None:
    spec = StudySpec.model_validate(
        {"name": "s", "objective": {"name": "o"}, "space": _WIDE, "strategy": {"kind": strategy}, "pruner": pruner}
    )
    search = Search(spec, Mirror(spec), seq=1, space_version=1)
    [first] = _given_at_once(search, 1)
    _happens(search, "trial_created", _created(first))
    assert search.in_stock([]) is None
