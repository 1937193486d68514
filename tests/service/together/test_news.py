"""What one process commits, those who wait at another one hear at once."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from service.store import studies
from tests.service.protocol.wire import Wire
from tests.service.together.conftest import Pair

pytestmark = pytest.mark.postgres
_SOON_S = 20


def _study_id(wire: Wire, name: str) -> int:
    with wire.service.reading() as tx:
        return int(studies.get(tx, name).id)


def _until(wire: Wire, is_true: Callable[[], bool]) -> None:
    """Wait at a service until something holds, looking whenever its bell rings."""

    async def wait() -> None:
        while not is_true():
            assert await wire.service.feed.wait(_SOON_S)

    assert wire.client.portal is not None
    wire.client.portal.call(wait)


def _kept(wire: Wire, study_id: int) -> list[int]:
    return [event.seq for event in wire.service.feed.since(study_id, 0) or ()]


def test_a_worker_that_waits_at_one_gets_the_trial_of_a_study_made_at_the_other(pair: Pair) -> None:
    worker = pair.a.worker("elsewhere")
    waiting = pair.a.begin_claim(worker, 20)
    name = pair.b.study(objective="elsewhere")
    [assignment] = waiting.result(timeout=_SOON_S)
    assert assignment["study"] == name


def test_a_worker_that_is_drained_at_one_is_told_at_the_other(pair: Pair) -> None:
    worker = pair.a.worker("nothing")
    waiting = pair.a.begin_claim_for_mode(worker, 20)
    pair.b.post(f"/workers/{worker}:drain")
    assert waiting.result(timeout=_SOON_S) == "draining"


def test_events_of_both_come_to_each_in_order_and_without_gaps(pair: Pair) -> None:
    name = pair.a.study(objective="mixed", budget={"max_trials": 4, "max_epochs": 5})
    study_id, worker = _study_id(pair.a, name), pair.b.worker("mixed")
    for wire, other in ((pair.a, pair.b), (pair.b, pair.a)) * 2:
        assignment = wire.claim_one(worker)
        for epoch in range(1, 6):
            (wire if epoch % 2 else other).report(assignment, epoch)
        other.finish(assignment)
    with pair.a.service.reading() as tx:
        stored = studies.by_id(tx, study_id)
        assert stored is not None
        last = stored.last_event_seq
    for wire in (pair.a, pair.b):
        _until(wire, lambda wire=wire: wire.service.feed.last_seq(study_id) == last)  # type: ignore[misc]
        assert _kept(wire, study_id) == list(range(1, last + 1))


def test_a_study_that_is_deleted_at_one_is_gone_at_the_other(pair: Pair) -> None:
    name = pair.a.study()
    study_id = _study_id(pair.a, name)
    _until(pair.b, lambda: pair.b.service.feed.last_seq(study_id) is not None)
    pair.b.service.searches.of(study_id)
    pair.a.ask("DELETE", f"/studies/{name}")
    _until(pair.b, lambda: pair.b.service.feed.last_seq(study_id) is None)
    assert pair.b.service.searches.loaded(study_id) is None


def test_what_was_missed_while_nothing_could_be_heard_is_made_good(pair: Pair) -> None:
    name = pair.a.study(objective="missed")
    study_id = _study_id(pair.a, name)
    _until(pair.b, lambda: pair.b.service.feed.last_seq(study_id) == 1)
    host = pair.b.service.engine.url
    dsn = f"host={host.query['host']} user=postgres dbname={host.database}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        # Both lose their connections for listening, and at once something happens.
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN caviar'"
        assert len(connection.execute(cut).fetchall()) == 2
    pair.a.post(f"/studies/{name}:pause")
    _until(pair.b, lambda: pair.b.service.feed.last_seq(study_id) == 2)
    assert _kept(pair.b, study_id) == [1, 2]
