"""The client of the worker wire, over real HTTP and against the real application."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from caviar.contract.errors import (
    InvalidRequest,
    LeaseLost,
    NotFound,
    ReportConflict,
    RequestError,
    Unauthorized,
    Unavailable,
)
from caviar.contract.messages import (
    Assignment,
    Claim,
    Finish,
    Heartbeat,
    OfferedObjective,
    RegisterWorker,
    Release,
    Report,
)
from caviar.contract.states import Decision, Outcome, TrialState
from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings
from tests.worker.wire import TOKEN, Service, measurement
from worker.api import BrokenOff, WorkerApi
from worker.line import Line

BODY = RegisterWorker(name="w", host="h", objectives=[OfferedObjective(name="mlp")])


@pytest.fixture(params=["by a line", "by the client"])
def api(service: Service, request: pytest.FixtureRequest) -> Iterator[WorkerApi]:
    client = httpx2.Client(base_url=service.url, headers={"Authorization": f"Bearer {TOKEN}"})
    with client, closing(Line(service.url, TOKEN)) as line:
        yield WorkerApi(client, line if request.param == "by a line" else None)


@pytest.fixture
def real_client(tmp_path: Path) -> Iterator[TestClient]:
    settings = ServiceSettings(database_url=f"sqlite:///{tmp_path / 'caviar.db'}", token=SecretStr(TOKEN * 2))
    prepare(settings)
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {TOKEN * 2}"}) as client:
        yield client


def claimed(api: WorkerApi, client: TestClient, **study: object) -> Assignment:
    body = {
        "name": "s",
        "objective": {"name": "mlp", "config": {"dataset": "iris"}},
        "strategy": {"kind": "random"},
        "pruner": {"kind": "none"},
        "budget": {"max_trials": 4, "max_epochs": 3},
    }
    assert client.post("/api/v1/studies", json={**body, **study}).status_code == 201
    worker_id = api.register(BODY).worker_id
    [assignment] = api.claim(worker_id, Claim(request_id="r", max_trials=1)).assigned
    return assignment


def test_a_whole_run_against_the_real_application(real_client: TestClient) -> None:
    api = WorkerApi(real_client)
    mine = claimed(api, real_client)
    for epoch in (1, 2, 3):
        answer = api.report(Report(items=[measurement(mine.trial_id, epoch, lease=mine.lease, value=1 / epoch)]))
        assert [d.decision for d in answer.decisions] == [Decision.CONTINUE]
    status = api.finish(mine.trial_id, Finish(lease=mine.lease, outcome=Outcome.COMPLETE))
    assert (status.state, status.stop_reason) == (TrialState.COMPLETE, "max_epochs")


def test_the_real_application_refuses_in_words_that_the_worker_knows(real_client: TestClient) -> None:
    api = WorkerApi(real_client)
    mine = claimed(api, real_client)
    api.report(Report(items=[measurement(mine.trial_id, 1, lease=mine.lease)]))
    with pytest.raises(ReportConflict):
        api.report(Report(items=[measurement(mine.trial_id, 1, lease=mine.lease, value=9.0)]))
    with pytest.raises(LeaseLost):
        api.report(Report(items=[measurement(mine.trial_id, 2, lease="another")]))
    with pytest.raises(NotFound):
        api.claim("no-such-worker", Claim(request_id="r"))
    with pytest.raises(NotFound):
        api.heartbeat("no-such-worker", Heartbeat())
    real_client.headers["Authorization"] = "Bearer of-nothing"
    with pytest.raises(Unauthorized):
        api.release(mine.trial_id, Release(lease=mine.lease))


def test_heartbeats_and_releases_against_the_real_application(real_client: TestClient) -> None:
    api = WorkerApi(real_client)
    mine = claimed(api, real_client)
    worker_id = api.register(BODY).worker_id
    assert api.heartbeat(worker_id, Heartbeat(leases=["unknown"])).lost == ["unknown"]
    assert api.release(mine.trial_id, Release(lease=mine.lease)).state is TrialState.WAITING
    [again] = api.claim(worker_id, Claim(request_id="r2")).assigned
    assert (again.trial_id, again.params, again.seed) == (mine.trial_id, mine.params, mine.seed)


def test_many_requests_share_one_connection(service: Service) -> None:
    connects: list[str] = []

    def trace(event: str, _info: object) -> None:
        if event.startswith("connection.connect_tcp.complete"):
            connects.append(event)

    class Traced(httpx2.HTTPTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            request.extensions["trace"] = trace
            return super().handle_request(request)

    with httpx2.Client(
        base_url=service.url, headers={"Authorization": f"Bearer {TOKEN}"}, transport=Traced()
    ) as client:
        api = WorkerApi(client)
        worker_id = api.register(BODY).worker_id
        for _ in range(20):
            api.heartbeat(worker_id, Heartbeat())
    assert len(connects) == 1


def test_an_absent_service_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with httpx2.Client(base_url=url) as client:
            for line in (None, Line(url, TOKEN)):
                with pytest.raises(Unavailable, match="cannot be reached"):
                    WorkerApi(client, line).register(BODY)


def test_a_service_that_is_away_is_unavailable(service: Service, api: WorkerApi) -> None:
    service.is_away = True
    with pytest.raises(Unavailable, match="away"):
        api.register(BODY)


FILE = b"0123456789" * 300_000
SHA256 = hashlib.sha256(FILE).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "epoch-0000001.npz"
    path.write_bytes(FILE)
    return path


def fetched(api: WorkerApi, trial_id: int, epoch: int, lease: str) -> bytes:
    with api.checkpoint(trial_id, epoch, lease) as pieces:
        return b"".join(pieces)


def test_files_come_back_as_they_went(service: Service, api: WorkerApi, path: Path) -> None:
    trial = service.add()
    trial.lease = "lease-1-1"
    with path.open("rb") as file:
        view = api.upload_checkpoint(1, 1, "lease-1-1", file, SHA256)
    assert (view.kind, view.epoch, view.size_bytes, view.sha256) == ("checkpoint", 1, len(FILE), SHA256)
    assert fetched(api, 1, 1, "lease-1-1") == FILE
    with path.open("rb") as file:
        api.upload_weights(1, 3, "lease-1-1", file, SHA256)
    assert trial.weights == (3, FILE)


def test_files_are_never_in_memory_as_a_whole_and_tell_their_length(path: Path) -> None:
    seen: list[tuple[str, int]] = []

    class Full(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            assert isinstance(request.stream, httpx2.SyncByteStream)
            seen.extend((request.headers["Content-Length"], len(piece)) for piece in request.stream)
            return httpx2.Response(507, json={"code": "storage_full", "detail": "no room"})

    client = httpx2.Client(base_url="http://service", transport=Full())
    with client, path.open("rb") as file, pytest.raises(RequestError, match="no room"):
        WorkerApi(client).upload_checkpoint(1, 1, "lease-1-1", file, SHA256)
    assert {length for length, _size in seen} == {str(len(FILE))}
    assert max(size for _length, size in seen) < len(FILE) / 10


def test_files_against_the_real_application(real_client: TestClient, path: Path) -> None:
    api = WorkerApi(real_client)
    mine = claimed(api, real_client)
    with path.open("rb") as file:
        view = api.upload_checkpoint(mine.trial_id, 1, mine.lease, file, SHA256)
        file.seek(0)
        again = api.upload_checkpoint(mine.trial_id, 1, mine.lease, file, SHA256)
    assert (view.size_bytes, again) == (len(FILE), view)
    assert fetched(api, mine.trial_id, 1, mine.lease) == FILE
    with pytest.raises(NotFound):
        fetched(api, mine.trial_id, 2, mine.lease)
    with pytest.raises(LeaseLost):
        fetched(api, mine.trial_id, 1, "another")
    with path.open("rb") as file, pytest.raises(LeaseLost):
        api.upload_checkpoint(mine.trial_id, 2, "another", file, SHA256)
    with path.open("rb") as file, pytest.raises(InvalidRequest):
        api.upload_checkpoint(mine.trial_id, 2, mine.lease, file, "0" * 64)
    report = Report(items=[measurement(mine.trial_id, 1, lease=mine.lease, checkpoint=True)])
    assert [decided.decision for decided in api.report(report).decisions] == [Decision.CONTINUE]
    api.release(mine.trial_id, Release(lease=mine.lease))
    [heir] = api.claim(api.register(BODY).worker_id, Claim(request_id="r2")).assigned
    assert heir.checkpoint is not None
    assert (heir.first_epoch, heir.checkpoint.sha256, heir.checkpoint.size_bytes) == (2, SHA256, len(FILE))


def test_an_upload_that_breaks_off_is_told_from_an_absence(service: Service, api: WorkerApi, path: Path) -> None:
    service.is_hanging_up = True
    with path.open("rb") as file, pytest.raises(BrokenOff):
        api.upload_checkpoint(1, 1, "lease-1-1", file, SHA256)


def answering(status: int, content: str) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _request: httpx2.Response(status, text=content)


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (200, "<html>a proxy's page</html>", Unavailable),
        (200, '{"something": "else"}', Unavailable),
        (500, '{"code": "internal_error", "detail": "x"}', Unavailable),
        (502, "<html>bad gateway</html>", Unavailable),
        (429, "slow down", Unavailable),
        (408, "", Unavailable),
        (404, "<html>not here</html>", RequestError),
        (302, "", RequestError),
        (422, '{"code": "invalid_request", "detail": "d", "errors": [{"odd": 1}]}', InvalidRequest),
        (410, '{"code": "lease_lost", "detail": "gone"}', LeaseLost),
    ],
)
def test_answers_are_told_apart_by_what_the_worker_can_do(status: int, content: str, kind: type[Exception]) -> None:
    transport = httpx2.MockTransport(answering(status, content))
    with httpx2.Client(base_url="http://service", transport=transport) as client, pytest.raises(kind) as caught:
        WorkerApi(client).register(BODY)
    assert caught.type is kind


def test_a_claim_may_take_as_long_as_it_waits() -> None:
    timeouts: list[dict[str, float]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        timeouts.append(request.extensions["timeout"])
        return httpx2.Response(200, json={"assigned": [], "retry_after_s": 0.0})

    with httpx2.Client(base_url="http://service", transport=httpx2.MockTransport(answer)) as client:
        api = WorkerApi(client)
        api.claim("w", Claim(request_id="r", wait_s=0.0))
        api.claim("w", Claim(request_id="r", wait_s=30.0))
    assert timeouts[0]["read"] < 30 < timeouts[1]["read"]
