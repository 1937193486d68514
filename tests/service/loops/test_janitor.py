"""The janitor clears what its terms say by the service's clock, rests in between, and goes on whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from service.loops import janitor
from service.loops.janitor import Janitor
from service.store import workers
from service.store.engine import connect
from service.store.transaction import Transaction
from service.use_cases import clearing
from service.use_cases.clearing import Kept
from service.use_cases.service import Service
from tests.service.protocol.wire import Clock

_DAY = timedelta(days=1)


def _add(*names: str) -> Callable[[Transaction], None]:
    def operation(tx: Transaction) -> None:
        for name in names:
            workers.add(
                tx, worker_id=name, token_id=None, name=name, host="h", slots=1, devices=[], labels={}, objectives=[]
            )

    return operation


def _on(database_url: str, clock: Clock, act: Callable[[Service], Awaitable[None]]) -> None:
    async def told() -> None:
        service = Service(connect(database_url), lease_ttl_s=30.0, clock=clock)
        service.start()
        try:
            await act(service)
        finally:
            await asyncio.to_thread(service.close)

    asyncio.run(told())


def test_a_round_removes_what_its_terms_name(ready_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitor, "_REST_S", 0.0)
    monkeypatch.setattr(clearing, "_PORTION", 2)
    clock = Clock()

    async def act(service: Service) -> None:
        await service.submit(_add("old-1", "old-2", "old-3"))
        clock.advance(2 * 86_400)
        await service.submit(_add("young"))
        await Janitor(service, {Kept.EVENTS: _DAY}).round()
        with service.reading() as tx:
            assert len(workers.page(tx, 10)) == 4
        await Janitor(service, {Kept.EVENTS: _DAY, Kept.WORKERS: _DAY}).round()
        with service.reading() as tx:
            assert [row.id for row in workers.page(tx, 10)] == ["young"]

    with capture_logs() as logs:
        _on(ready_database_url, clock, act)
    told = [entry for entry in logs if entry["event"].startswith("janitor.")]
    assert [(one["event"], one["kind"], one["num_rows"], one["older_than_days"]) for one in told] == [
        ("janitor.removed", "workers", 3, 1.0)
    ]


def test_the_loop_outlives_a_failure(ready_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    num_rounds = 0

    async def act(service: Service) -> None:
        is_done = asyncio.Event()

        async def fail_first(_janitor: Janitor) -> None:
            nonlocal num_rounds
            num_rounds += 1
            if num_rounds == 1:
                raise OSError("the disk is away")
            is_done.set()

        monkeypatch.setattr(Janitor, "round", fail_first)
        task = asyncio.create_task(Janitor(service, {}).run())
        async with asyncio.timeout(30):
            await is_done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    monkeypatch.setattr(janitor, "_PAUSE_S", 0.0)
    with capture_logs() as logs:
        _on(ready_database_url, Clock(), act)
    assert "janitor.failed" in [entry["event"] for entry in logs]
