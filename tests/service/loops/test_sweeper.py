"""The sweeper goes on whatever happens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.artifacts.folder import FolderStore
from service.loops import sweeper
from service.loops.sweeper import Sweeper
from service.store.engine import connect
from service.use_cases import sweeping
from service.use_cases.keeping import Keeper
from service.use_cases.service import Service


def test_the_loop_outlives_a_failure(ready_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []
    is_done = asyncio.Event()

    async def fail_first(_keeper: Keeper) -> int:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise OSError("the store is away")
        is_done.set()
        return 3

    async def told() -> None:
        service = Service(connect(ready_database_url), lease_ttl_s=30.0)
        service.start()
        keeper = Keeper(service, FolderStore(tmp_path), max_bytes=1)
        task = asyncio.create_task(Sweeper(keeper).run())
        try:
            async with asyncio.timeout(30):
                await is_done.wait()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.to_thread(keeper.close)
            await asyncio.to_thread(service.close)

    monkeypatch.setattr(sweeper, "_PAUSE_S", 0.0)
    monkeypatch.setattr(sweeping, "remove_doomed", fail_first)
    with capture_logs() as logs:
        asyncio.run(told())
    events = [entry["event"] for entry in logs]
    assert "sweeper.failed" in events
    assert "sweeper.removed" in events
