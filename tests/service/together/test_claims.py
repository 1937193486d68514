"""Claims at several processes: no number twice, no trial granted twice, no request answered twice as much."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.store import studies
from service.use_cases import claiming
from service.use_cases.service import Service
from tests.service.protocol.wire import Wire
from tests.service.together.conftest import Pair

pytestmark = pytest.mark.postgres
_Next = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize("kind", ["quasi_random", "tpe"])
def test_many_claims_at_once_get_each_trial_once(pair: Pair, kind: str) -> None:
    name = pair.a.study(strategy={"kind": kind}, budget={"max_trials": 24, "max_epochs": 3})
    workers = [(wire, wire.worker(name, slots=6)) for wire in (pair.a, pair.b) * 3]

    def take(wire: Wire, worker: str) -> list[Any]:
        held: list[Any] = []
        for _ in range(4):
            held += wire.claim(worker, knows=held)
        return held

    with ThreadPoolExecutor(len(workers)) as threads:
        taken = [trial for held in threads.map(lambda one: take(*one), workers) for trial in held]
    assert sorted(trial["number"] for trial in taken) == list(range(24))
    assert len({trial["lease"] for trial in taken}) == 24
    assert all(trial["attempt"] == 1 for trial in taken)
    assert pair.b.get(f"/studies/{name}/replay")["is_identical"]


def _before_proposal(monkeypatch: pytest.MonkeyPatch, pair: Pair, number: int, happening: Callable[[], None]) -> None:
    """Have something happen right before the first service proposes for the n-th time."""
    original: _Next = claiming._next
    num_calls = 0

    async def propose(service: Service, *arguments: Any) -> Any:
        nonlocal num_calls
        if service.engine is pair.a.service.engine:
            num_calls += 1
            if num_calls == number:
                await asyncio.to_thread(happening)
        return await original(service, *arguments)

    monkeypatch.setattr(claiming, "_next", propose)


@pytest.mark.parametrize("num_granted", [0, 1, 2])
def test_a_request_that_is_repeated_elsewhere_hands_out_no_more_than_once(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, num_granted: int
) -> None:
    name = pair.a.study(budget={"max_trials": 20, "max_epochs": 3})
    worker = pair.a.worker(name, slots=3)
    repeated: list[Any] = []

    def repeat() -> None:
        pair.clock.advance(0.5)
        repeated.extend(pair.b.claim(worker, 3, request="same"))

    _before_proposal(monkeypatch, pair, num_granted + 1, repeat)
    first = pair.a.claim(worker, 3, request="same")
    # Whichever of the two answers the worker hears, it is the whole of what it holds.
    assert [trial["lease"] for trial in first] == [trial["lease"] for trial in repeated]
    assert len(first) == (num_granted or 3)
    assert len(pair.a.get(f"/studies/{name}/trials")["items"]) == len(first)
    assert pair.b.heartbeat(worker, *first) == []


def test_a_proposal_on_an_older_state_is_made_again(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    name = pair.a.study(budget={"max_trials": 3, "max_epochs": 3})
    mine, others = pair.a.worker(name), pair.b.worker(name)
    search = pair.a.service.searches.of(_study_id(pair.a, name))
    original = search.next
    taken: list[Any] = []

    def late(*, may_create: bool) -> Any:
        step = original(may_create=may_create)
        if not taken:
            taken.append(pair.b.claim_one(others))
        return step

    monkeypatch.setattr(search, "next", late)
    assert pair.a.claim_one(mine)["number"] == 1
    assert taken[0]["number"] == 0
    assert pair.a.service.searches.loaded(_study_id(pair.a, name)) is search


def test_an_edit_at_one_holds_at_the_other_with_the_next_report(pair: Pair) -> None:
    name = pair.a.study(budget={"max_trials": 3, "max_epochs": 9})
    trial = pair.a.claim_one(pair.a.worker(name))
    assert pair.a.report(trial, 1) == "continue"
    pair.b.ask("PATCH", f"/studies/{name}", {"budget": {"max_epochs": 2}})
    assert pair.a.report(trial, 3) == "stop"


def _study_id(wire: Wire, name: str) -> int:
    with wire.service.reading() as tx:
        return int(studies.get(tx, name).id)
