"""The proxy does to requests what it says it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos.diary import Diary, entries
from tests.chaos.proxy import WEATHER, Proxy, Upstream
from tests.chaos.wire import Broken, Wire, read_message

_TOKEN = "a-token-of-the-tests-only"


class _Upstream:
    """Answers every whole request with how many there were."""

    def __init__(self) -> None:
        self.num_whole = 0
        self.num_cut = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await read_message(reader)
        except Broken:
            self.num_cut += 1
            writer.close()
            return
        if request is not None:
            self.num_whole += 1
            body = f'{{"number": {self.num_whole}}}'.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def _placed(
    kind: str | None, diary: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[_Upstream, Wire]]:
    upstream = _Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    monkeypatch.setattr(Proxy, "_draw", lambda _self: kind)
    with Diary(diary) as book:
        proxy = Proxy(lambda: [Upstream("127.0.0.1", port)], 0, book)
        await proxy.start()
        wire = Wire("127.0.0.1", proxy.port, _TOKEN)
        yield upstream, wire
        wire.close()
        await proxy.close()
        server.close()


def _asked(kind: str | None, diary: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[_Upstream, int | None]:
    """Send one request; what reached the service, and the answer's status if one came whole."""

    async def ask() -> tuple[_Upstream, int | None]:
        async with _placed(kind, diary, monkeypatch) as (upstream, wire):
            try:
                status, _ = await wire.call("POST", "/measurements", {"items": []}, timeout_s=10.0)
            except Broken:
                return upstream, None
            return upstream, status

    return asyncio.run(ask())


# What reaches the service, as whole requests, and whether the answer comes.
_SEEN = {
    "request_dropped": (0, False),
    "request_cut": (0, False),
    "answer_dropped": (1, False),
    "answer_truncated": (1, False),
    "request_half_closed": (1, True),
    "answer_half_closed": (1, True),
    "delayed": (1, True),
    "repeated": (2, True),
    "repeated_at_once": (2, True),
    "reordered": (1, True),
}


def test_every_kind_of_weather_is_tested() -> None:
    assert _SEEN.keys() == WEATHER.keys()


@pytest.mark.parametrize("kind", _SEEN)
def test_what_is_done_to_a_request(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream, status = _asked(kind, tmp_path / "network.jsonl", monkeypatch)
    num_whole, is_answered = _SEEN[kind]
    assert upstream.num_whole == num_whole
    assert (status == 200) is is_answered
    assert upstream.num_cut == (1 if kind == "request_cut" else 0)


def test_a_calm_network_passes_everything_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream, status = _asked(None, tmp_path / "network.jsonl", monkeypatch)
    assert (upstream.num_whole, status) == (1, 200)


def test_both_answers_to_a_repeat_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _asked("repeated", tmp_path / "network.jsonl", monkeypatch)
    [entry] = entries(tmp_path / "network.jsonl")
    assert (entry["what"], entry["verb"], entry["path"]) == ("repeated", "POST", "/api/v1/measurements")
    assert [answer["body"] for answer in entry["answers"]] == [{"number": 1}, {"number": 2}]
