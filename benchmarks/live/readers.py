"""Open pages: connections that listen to the stream of changes of one study for some seconds.

Prints a line `ready` once all are greeted, and at the end a line of JSON: bytes that came, and, of some attentive
readers, `[trial_id, epoch, second of arrival]` of every point.

    python -m benchmarks.live.readers ORIGIN TOKEN STUDY CONNECTIONS SECONDS
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import zlib
from collections.abc import Iterator

import httpx2

_ATTENTIVE = 5


class _Reader:
    """One page."""

    def __init__(self, *, is_attentive: bool) -> None:
        self.is_attentive = is_attentive
        self.is_greeted = asyncio.Event()
        self.num_bytes = 0
        self.arrived: list[tuple[int, int, float]] = []
        self._unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._rest = b""

    async def listen(self, http: httpx2.AsyncClient, path: str) -> None:
        async with http.stream("GET", path) as response:
            response.raise_for_status()
            async for chunk in response.aiter_raw():
                self.num_bytes += len(chunk)
                self.is_greeted.set()
                if self.is_attentive:
                    at = time.time()
                    self.arrived += [(trial, epoch, at) for trial, epoch in self._points(chunk)]

    def _points(self, chunk: bytes) -> Iterator[tuple[int, int]]:
        *events, self._rest = (self._rest + self._unpacker.decompress(chunk)).split(b"\n\n")
        for event in events:
            data = next((line[6:] for line in event.split(b"\n") if line.startswith(b"data: ")), b"{}")
            for step in json.loads(data).get("curves", {}).get("steps", []):
                if step[0] == "point":
                    yield step[1], step[3]


async def _run(origin: str, token: str, study: str, connections: int, seconds: float) -> None:
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
    limits = httpx2.Limits(max_connections=None)
    readers = [_Reader(is_attentive=nth < _ATTENTIVE) for nth in range(connections)]
    async with httpx2.AsyncClient(base_url=origin, headers=headers, timeout=60, limits=limits) as http:
        tasks = [asyncio.create_task(one.listen(http, f"/studies/{study}/live?seq=0")) for one in readers]
        await asyncio.gather(*(one.is_greeted.wait() for one in readers))
        # What a page hears first is everything; from here on it hears changes.
        await asyncio.sleep(3)
        before = sum(one.num_bytes for one in readers)
        for one in readers:
            one.arrived.clear()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.sleep(seconds)
        total = sum(one.num_bytes for one in readers) - before
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    arrived = [point for one in readers for point in one.arrived]
    sys.stdout.write(json.dumps({"bytes": total, "arrived": arrived}) + "\n")


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
