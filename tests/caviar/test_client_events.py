"""The client's events: live from a service, and without a gap over broken connections."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice

import httpx2
import pytest

from caviar import Client
from caviar.client.connection import Clock
from caviar.contract.errors import NotFound, RequestError, Unavailable
from tests.caviar.trainer import TOKEN, ServiceProcess, Trainer, study

Answer = Callable[[httpx2.Request], httpx2.Response]


class Breaking(httpx2.SyncByteStream):
    """Events, then a connection that breaks."""

    def __init__(self, *seqs: int) -> None:
        self._seqs = seqs

    def __iter__(self) -> Iterator[bytes]:
        yield b": connected\n\n"
        for seq in self._seqs:
            yield _message(seq)
        raise httpx2.ReadError("connection reset")


def _message(seq: int) -> bytes:
    data = {"seq": seq, "kind": "measured", "at": "2026-01-01T00:00:00Z", "data": {"trial_id": 1}}
    return f"id: {seq}\nevent: measured\ndata: {json.dumps(data)}\n\n".encode()


def _streamed(*, stream: httpx2.SyncByteStream | None = None, content: bytes | None = None) -> httpx2.Response:
    return httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, stream=stream, content=content)


class Script:
    """A service that answers as told, and remembers from where it was asked to go on."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[str | None] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/api/v1/studies/small/events"
        self.asked.append(request.headers.get("Last-Event-ID"))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        http = httpx2.Client(base_url="http://service.test", transport=httpx2.MockTransport(self))
        return Client(token=TOKEN, http=http, clock=Clock(lambda: sum(self.pauses), self.pauses.append))


def test_events_arrive_as_they_happen(service: ServiceProcess, remote_trainer: Trainer) -> None:
    with Client(service.url, TOKEN) as client:
        client.create_study(study("live"))
        feed = client.events("live")
        remote_trainer.train([0.9, 0.5])
        kinds = [event.kind for event in islice(feed, 5)]
        assert kinds == ["trial_created", "trial_started", "measured", "measured", "trial_ended"]
        everything = [event.seq for event in islice(client.events("live", after=0), 6)]
        assert everything == [1, 2, 3, 4, 5, 6]


def test_broken_connection_goes_on_after_the_last_event() -> None:
    script = Script(_streamed(stream=Breaking(4, 5)), _streamed(stream=Breaking()), _streamed(stream=Breaking(6)))
    seqs = [event.seq for event in islice(script.client().events("small", after=3), 3)]
    assert seqs == [4, 5, 6]
    assert script.asked == ["3", "5", "5"]


def test_stream_that_the_service_ends_is_opened_again() -> None:
    script = Script(_streamed(content=_message(1)), _streamed(content=_message(2)))
    assert [event.seq for event in islice(script.client().events("small", after=0), 2)] == [1, 2]
    assert script.asked == ["0", "1"]


def test_service_that_was_never_there_is_told_at_once() -> None:
    script = Script(httpx2.ConnectError("refused"))
    with pytest.raises(Unavailable):
        next(script.client().events("small", after=0))
    assert script.pauses == []


def test_service_that_stays_away_is_given_up_after_a_minute_of_longer_and_longer_pauses() -> None:
    script = Script(_streamed(stream=Breaking(1)), httpx2.ConnectError("refused"))
    feed = script.client().events("small", after=0)
    assert next(feed).seq == 1
    with pytest.raises(Unavailable):
        next(feed)
    assert 60 <= sum(script.pauses) < 66
    assert script.pauses == sorted(script.pauses)
    assert max(script.pauses) == 5.0


def test_patience_begins_anew_with_each_connection() -> None:
    away = [httpx2.ConnectError("refused")] * 12
    script = Script(
        _streamed(stream=Breaking(1)), *away, _streamed(stream=Breaking(2)), *away, _streamed(stream=Breaking(3))
    )
    assert [event.seq for event in islice(script.client().events("small", after=0), 3)] == [1, 2, 3]
    assert sum(script.pauses) > 60


def test_deleted_study_ends_the_events() -> None:
    problem = {"code": "not_found", "detail": "there is no study small"}
    script = Script(_streamed(content=_message(1)), httpx2.Response(404, json=problem))
    feed = script.client().events("small", after=0)
    assert next(feed).seq == 1
    with pytest.raises(NotFound, match="no study small"):
        next(feed)


def test_what_is_no_event_is_refused() -> None:
    script = Script(_streamed(content=b"data: {}\n\n"))
    with pytest.raises(RequestError, match="cannot be read"):
        next(script.client().events("small", after=0))


def test_what_is_no_event_stream_is_refused() -> None:
    script = Script(httpx2.Response(200, html="<h1>hello</h1>"))
    with pytest.raises(RequestError, match="no stream of events"):
        next(script.client().events("small", after=0))
