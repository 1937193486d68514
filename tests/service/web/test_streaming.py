"""The stream of changes over HTTP, and parts that are asked for again."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.web.live.broadcaster import Broadcaster
from service.web.live.signal import Signal
from tests.service.web.trials import ScriptedWorker

_DEADLINE_S = 20.0


class Listener:
    """A page that reads to the end of its stream, in a thread."""

    def __init__(self, browser: TestClient, pool: ThreadPoolExecutor, greeted: threading.Event) -> None:
        self._browser, self._pool, self._greeted = browser, pool, greeted

    def open(self, path: str, **headers: str) -> Future[tuple[dict[str, str], bytes]]:
        """Connect, and wait until the service has taken note of it."""

        def read() -> tuple[dict[str, str], bytes]:
            with self._browser.stream("GET", path, headers=headers) as response:
                assert response.status_code == 200
                return dict(response.headers), b"".join(response.iter_raw())

        future = self._pool.submit(read)
        assert self._greeted.wait(_DEADLINE_S)
        return future


def _told(greeted: threading.Event, method: Callable[..., Any]) -> Callable[..., Any]:
    def told(*given: Any) -> Any:
        greeted.set()
        return method(*given)

    return told


@pytest.fixture
def listener(browser: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    greeted = threading.Event()
    for kind, method in ((Broadcaster, "_greet"), (Signal, "_run")):
        monkeypatch.setattr(kind, method, _told(greeted, getattr(kind, method)))
    with ThreadPoolExecutor() as pool:
        yield Listener(browser, pool, greeted)


def _events(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n") if line.startswith(b"event: ")]


def _delete(worker: ScriptedWorker, study: str) -> None:
    worker.post(f"/studies/{study}:stop", {})
    assert worker.http.delete(f"/api/v1/studies/{study}").status_code < 300


def test_a_page_hears_of_changes_until_its_study_is_gone(
    listener: Listener, worker: ScriptedWorker, browser: TestClient
) -> None:
    study = worker.submit("s")
    [trial] = worker.claim()
    stream = listener.open(f"/studies/{study}/live?seq=0", **{"accept-encoding": "identity"})
    worker.report(trial, 0.5)
    _delete(worker, study)
    headers, body = stream.result(_DEADLINE_S)
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-store"
    assert _events(body)[0] == b"event: hello"
    assert _events(body)[-1] == b"event: end"
    assert f"trial-{trial['trial_id']}".encode() in body
    assert browser.app.state.live.num_listeners == 0  # type: ignore[attr-defined]  # It is the application.
    assert browser.app.state.live.pace.num_turns > 0  # type: ignore[attr-defined]  # As above.


def test_who_takes_gzip_gets_it(listener: Listener, worker: ScriptedWorker) -> None:
    study = worker.submit("s")
    stream = listener.open(f"/studies/{study}/live?seq=0", **{"accept-encoding": "gzip"})
    _delete(worker, study)
    headers, body = stream.result(_DEADLINE_S)
    assert headers["content-encoding"] == "gzip"
    assert _events(zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(body))[-1] == b"event: end"


def test_a_signal_is_told_until_the_service_ends(
    listener: Listener, worker: ScriptedWorker, browser: TestClient
) -> None:
    study = worker.submit("s")
    [trial] = worker.claim()
    stream = listener.open(f"/studies/{study}/live?only=changes&trial={trial['trial_id']}&seq=0")
    browser.app.state.service.feed.close_soon()  # type: ignore[attr-defined]  # It is the application.
    headers, _ = stream.result(_DEADLINE_S)
    assert headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("seq=-1", "seq"),
        ("only=everything", "only"),
        ("only=changes&trial=0", "trial"),
        ("last=nonsense", "Last-Event-ID"),
        ("last=a.b.c", "Last-Event-ID"),
        ("sort=nonsense", "sort"),
        ("only=curves&scale=round", "scale"),
    ],
)
def test_what_cannot_be_streamed_is_refused(
    browser: TestClient, worker: ScriptedWorker, query: str, named: str
) -> None:
    study = worker.submit("s")
    response = browser.get(f"/studies/{study}/live?{query}", headers={"Accept": "text/event-stream"})
    assert response.status_code == 422
    assert named in response.text


def test_streams_are_for_those_who_signed_in(stranger: TestClient) -> None:
    response = stranger.get("/studies/s/live", headers={"Accept": "text/event-stream"})
    assert response.status_code == 401


@pytest.mark.parametrize("query", ["", "?only=changes", "?only=curves"])
def test_an_unknown_study_has_no_stream(browser: TestClient, query: str) -> None:
    assert browser.get(f"/studies/nothing/live{query}", headers={"Accept": "text/event-stream"}).status_code == 404


@pytest.mark.parametrize("kind", ["study", "trial"])
def test_a_part_that_has_not_changed_is_not_rendered_again(
    browser: TestClient, worker: ScriptedWorker, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.web.freshness._AGE_S", 10**9)
    study = worker.submit("s")
    [trial] = worker.claim()
    path = f"/studies/{study}/fragments/summary" if kind == "study" else f"/trials/{trial['trial_id']}/fragments/trial"
    first = browser.get(path)
    assert first.status_code == 200
    again = browser.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    worker.report(trial, 0.5)
    changed = browser.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_parts_of_what_is_not_there_have_no_tag(browser: TestClient) -> None:
    for path in ("/studies/nothing/fragments/summary", "/trials/99/fragments/trial"):
        response = browser.get(path)
        assert response.status_code == 404
        assert "etag" not in response.headers
