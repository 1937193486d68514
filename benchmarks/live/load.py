"""A steady load on a study: trials whose epochs are reported one by one over the wire, until standard input ends.

Prints, when it ends, a line of JSON: `[trial_id, epoch, second of the acknowledgement]` of every report.

    python -m benchmarks.live.load ORIGIN TOKEN OBJECTIVE EPOCHS_PER_S EPOCHS_PER_TRIAL
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import sys
import time
from typing import Any

import httpx2

_RUNNING = 25


class _Load:
    """Keeps some trials in training."""

    def __init__(self, http: httpx2.AsyncClient, objective: str, max_epochs: int) -> None:
        self._http = http
        self._objective = objective
        self._max_epochs = max_epochs
        self._requests = itertools.count()
        self.acknowledged: list[tuple[int, int, float]] = []

    async def train(self, pause_s: float, lane: int) -> None:
        """A worker with one slot: train one trial after the other, an epoch every so many seconds."""
        offer = {"name": f"load-{lane}", "host": "here", "slots": 1, "objectives": [{"name": self._objective}]}
        worker_id = (await self._post("/workers", offer))["worker_id"]
        await asyncio.sleep(pause_s * lane / _RUNNING)
        due = time.monotonic()
        while True:
            body = {"request_id": f"load-{time.time_ns()}-{next(self._requests)}", "max_trials": 1}
            [trial] = (await self._post(f"/workers/{worker_id}:claim", body))["assigned"]
            for epoch in range(1, self._max_epochs + 1):
                due = max(due + pause_s, time.monotonic() - pause_s)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._report(trial, epoch)
            await self._post(f"/trials/{trial['trial_id']}:finish", {"lease": trial["lease"], "outcome": "complete"})

    async def _report(self, trial: dict[str, Any], epoch: int) -> None:
        # Each trial has a level of its own, among the best of what a made-up study holds, so that rows move.
        value = 0.02 + 0.1 * (trial["number"] * 0.618 % 1) + math.exp(-epoch / 4)
        item = {"trial_id": trial["trial_id"], "lease": trial["lease"], "epoch": epoch, "elapsed_s": 0.5 * epoch}
        await self._post("/measurements", {"items": [{**item, "metrics": {"val_loss": value, "loss": 0.9 * value}}]})
        self.acknowledged.append((trial["trial_id"], epoch, time.time()))

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._http.post(f"/api/v1{path}", json=body)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


async def _run(origin: str, token: str, objective: str, rate: float, max_epochs: int) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=origin, headers=headers, timeout=120) as http:
        load = _Load(http, objective, max_epochs)
        tasks = [asyncio.create_task(load.train(_RUNNING / rate, lane)) for lane in range(_RUNNING)]
        waiting = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
    sys.stdout.write(json.dumps(load.acknowledged) + "\n")


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5])))
