"""Many workers that report seldom: what a service has to bear in daily life, for minutes."""

from __future__ import annotations

import asyncio
import json
import math
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from benchmarks.reports.caviar_fleet import OBJECTIVE
from benchmarks.reports.crowd import NUM_EPOCHS, loss
from benchmarks.serving import TOKEN


@dataclass
class Soaked:
    """What the workers have seen.

    Attributes:
        latencies: Seconds of each report.
        others: Seconds of each other request.
        errors: Answers that were no success, and connections that broke.
    """

    latencies: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def p99_s(self) -> float:
        """99 % of the reports took less."""
        return sorted(self.latencies)[math.ceil(0.99 * len(self.latencies)) - 1]


class _Line:
    """One kept-alive connection, as each worker process has one."""

    def __init__(self, origin: str) -> None:
        place = urlsplit(origin)
        self._host, self._port = place.hostname or "", place.port or 80
        self._head = f"Host: {place.netloc}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Any) -> Any:
        """The parsed answer of a request.

        Raises:
            OSError: The connection broke.
            RuntimeError: The answer is no success.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        content = json.dumps(body).encode()
        head = f"POST /api/v1{path} HTTP/1.1\r\n{self._head}Content-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.partition("content-length:")[2].split("\r\n", 1)[0])
        received = await reader.readexactly(length)
        if not answer.startswith("http/1.1 2"):
            raise RuntimeError(f"{path}: {answer.splitlines()[0]} {received[:200]!r}")
        return json.loads(received)


async def _work(origin: str, at: int, pause_s: float, end: float, seen: Soaked) -> None:
    line = _Line(origin)
    # Spread over the pause, as workers that were started at different times are.
    await asyncio.sleep(pause_s * (at * 0.618 % 1))
    try:
        offer = {"name": f"w{at}", "host": "h", "objectives": [{"name": OBJECTIVE}]}
        worker_id = (await line.post("/workers", offer))["worker_id"]
        claims = 0
        while time.monotonic() < end:
            claims += 1
            [trial] = await _timed(
                line, f"/workers/{worker_id}:claim", {"request_id": f"{claims}", "wait_s": 20.0}, seen.others
            )
            await _train(line, trial, pause_s, end, seen)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        seen.errors.append(repr(error))


async def _train(line: _Line, trial: Any, pause_s: float, end: float, seen: Soaked) -> None:
    for epoch in range(1, NUM_EPOCHS + 1):
        await asyncio.sleep(pause_s)
        if time.monotonic() >= end:
            return
        item = {"trial_id": trial["trial_id"], "lease": trial["lease"], "epoch": epoch, "elapsed_s": epoch * pause_s}
        body = {"items": [{**item, "metrics": {"val_loss": loss(epoch, trial["number"] * 0.618 % 1)}}]}
        begun = time.monotonic()
        answer = await line.post("/measurements", body)
        seen.latencies.append(time.monotonic() - begun)
        if answer["decisions"][0]["decision"] != "continue":
            return
    ending = {"lease": trial["lease"], "outcome": "complete"}
    await _timed(line, f"/trials/{trial['trial_id']}:finish", ending, seen.others)


async def _timed(line: _Line, path: str, body: Any, into: list[float]) -> Any:
    begun = time.monotonic()
    answer = await line.post(path, body)
    into.append(time.monotonic() - begun)
    return answer.get("assigned", answer)


async def _soak(origin: str, num_workers: int, pause_s: float, seconds: float) -> Soaked:
    seen, end = Soaked(), time.monotonic() + seconds
    await asyncio.gather(*(_work(origin, at, pause_s, end, seen) for at in range(num_workers)))
    return seen


def soak(origin: str, *, num_workers: int, pause_s: float, seconds: float) -> Soaked:
    """Let simulated workers register, claim, report and finish for a while.

    Args:
        origin: Of the service.
        num_workers: How many, each with one slot and a connection of its own.
        pause_s: Seconds between two reports of one worker.
        seconds: How long.
    """
    return asyncio.run(_soak(origin, num_workers, pause_s, seconds))
