"""What Prometheus is told is what has happened."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings
from tests.service.metrics.scrape import scrape, value
from tests.service.protocol.wire import LEASE_TTL_S, Wire

_TOKEN = "a-token-for-tests-only"
_SCRAPER = "a-token-of-prometheus-alone"
_GPU = {
    "kind": "gpu",
    "name": "NVIDIA H200",
    "index": 0,
    "uuid": "GPU-1",
    "memory_total_bytes": 150_000_000_000,
    "memory_used_bytes": 1_000_000_000,
    "utilisation": 0.75,
}


def test_trials_and_leases_are_counted(any_wire: Wire) -> None:
    wire = any_wire
    study = wire.study(budget={"max_trials": 4, "max_epochs": 5}, retries=1)
    first, second = wire.worker(study, slots=2), wire.worker(study, slots=2, name="w2")
    done, released = wire.claim(first, 2)
    expired, _ = wire.claim(second, 2)
    for epoch in (1, 2):
        wire.report(done, epoch, 0.5 / epoch)
    assert wire.finish(done) == "complete"
    assert wire.release(released) == "waiting"
    assert wire.finish(released) == "410 lease_lost"
    wire.advance(LEASE_TTL_S + 1)
    assert wire.heartbeat(second, expired) == [expired["lease"]]
    assert wire.claim(wire.worker("other")) == []
    samples = scrape(wire.client)
    told = {
        "caviar_epochs_reported_total": 2,
        "caviar_trials_created_total": 4,
        "caviar_leases_granted_total": 4,
        "caviar_leases_expired_total": 2,
        "caviar_leases_lost_total": 2,
        "caviar_leases_held": 0,
        "caviar_study_epochs": 2,
        "caviar_study_best_value": 0.25,
    }
    labels = {"caviar_study_epochs": {"study": study}, "caviar_study_best_value": {"study": study}}
    assert {name: value(samples, name, **labels.get(name, {})) for name in told} == told
    assert value(samples, "caviar_trials_ended_total", state="complete", stop_reason="early_stopped") == 1
    assert value(samples, "caviar_trials_requeued_total", reason="released") == 1
    assert value(samples, "caviar_trials_requeued_total", reason="expired") == 2
    assert value(samples, "caviar_claims_total", result="assigned") == 2
    assert value(samples, "caviar_claims_total", result="empty") == 1
    assert {state: value(samples, "caviar_trials", state=state) for state in ("waiting", "running", "complete")} == {
        "waiting": 3,
        "running": 0,
        "complete": 1,
    }
    assert value(samples, "caviar_study_trials", study=study, state="complete") == 1
    assert value(samples, "caviar_studies", state="running") == 1
    assert value(samples, "caviar_studies", state="stopped") == 0


def test_the_fleet_is_told_of(wire: Wire) -> None:
    study = wire.study()
    device = {**_GPU, "name": 'odd "name"\n\\'}
    worker = wire.worker(study, slots=2, name='box\n"1"\\', devices=[device, {"kind": "cpu", "name": "x"}])
    wire.worker("gone", name="gone", devices=[{**_GPU, "uuid": "GPU-2"}])
    wire.advance(LEASE_TTL_S + 1)
    wire.heartbeat(worker)
    again = {**_GPU, "memory_used_bytes": 7}
    assert wire.claim(wire.worker(study, slots=1, name='box\n"1"\\', devices=[again]))
    samples = scrape(wire.client)
    labels = {"worker": 'box\n"1"\\', "host": "h", "device": "GPU-1", "kind": "gpu"}
    assert value(samples, "caviar_workers", mode="working") == 2
    assert value(samples, "caviar_worker_slots") == 3
    assert value(samples, "caviar_worker_slots_busy") == 1
    # The same machine has registered twice: what it said last counts, once.
    assert value(samples, "caviar_device_memory_used_bytes", **labels) == 7
    assert value(samples, "caviar_device_memory_total_bytes", **labels) == 150_000_000_000
    assert value(samples, "caviar_device_utilisation_ratio", **labels) == 0.75
    assert not [key for key in samples if ("device", "GPU-2") in key[1]]


def test_only_the_newest_studies_are_told_of_one_by_one(wire: Wire) -> None:
    names = [wire.study() for _ in range(22)]
    told = {dict(labels)["study"] for name, labels in scrape(wire.client) if name == "caviar_study_epochs"}
    assert len(told) == 20
    assert told < set(names)


def test_requests_are_counted_by_the_template_of_their_route(wire: Wire) -> None:
    study = wire.study()
    for path in (f"/studies/{study}", "/studies/none", "/studies/other", "/trials/nonsense"):
        wire.ask("GET", path)
    wire.claim(wire.worker(study))
    wire.client.get("/healthz")
    wire.client.request("BREW", "/nothing/at/all")
    samples = scrape(wire.client)
    count = "caviar_http_request_duration_seconds_count"
    route = "/api/v1/studies/{name}"
    assert value(samples, count, route=route, method="GET", status="2xx") == 1
    assert value(samples, count, route=route, method="GET", status="4xx") == 2
    assert value(samples, count, route="/api/v1/trials/{trial_id}", method="GET", status="4xx") == 1
    assert value(samples, count, route="/healthz", method="GET", status="2xx") == 1
    claim = "/api/v1/workers/{worker_id}:claim"
    assert value(samples, count, route=claim, method="POST", status="2xx") == 1
    assert value(samples, count, route="unmatched", method="other", status="4xx") == 1
    assert value(samples, "caviar_http_problems_total", code="not_found") >= 2
    assert value(samples, "caviar_http_requests_open") == 1


def test_the_writer_and_the_process_are_told_of(wire: Wire) -> None:
    wire.study()
    samples = scrape(wire.client)
    commits = value(samples, "caviar_writer_commit_seconds_count")
    assert commits >= 3
    assert value(samples, "caviar_writer_batch_operations_count") == commits
    assert value(samples, "caviar_writer_batch_operations_bucket", le="+Inf") == commits
    assert value(samples, "caviar_writer_waiting") == 0
    assert value(samples, "caviar_database_up") == 1
    assert value(samples, "caviar_database_size_bytes") > 10_000
    assert value(samples, "process_resident_memory_bytes") > 10_000_000
    assert value(samples, "caviar_long_polls") == 0


def test_a_claim_that_waits_is_a_long_poll(wire: Wire) -> None:
    study = wire.study()
    wire.post(f"/studies/{study}:pause")
    waiting = wire.begin_claim(wire.worker(study), 30)
    while wire.service.feed.num_polls == 0:
        threading.Event().wait(0.001)
    samples = scrape(wire.client)
    assert value(samples, "caviar_long_polls") == 1
    assert value(samples, "caviar_http_requests_open") == 2
    wire.post(f"/studies/{study}:resume")
    assert len(waiting.result(30)) == 1


def test_without_its_database_a_process_tells_of_itself(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    wire.study()

    def fail() -> None:
        raise TimeoutError

    monkeypatch.setattr(wire.app.state.exposition._inventory, "_ask", fail)
    samples = scrape(wire.client)
    assert value(samples, "caviar_database_up") == 0
    assert value(samples, "caviar_writer_splits_total") == 0
    assert not [name for name, _ in samples if name == "caviar_trials"]


def test_two_applications_in_one_process_count_for_themselves(tmp_path: Path) -> None:
    apps = [ServiceSettings(database_url=f"sqlite:///{tmp_path / name}.db", token=_TOKEN) for name in ("a", "b")]
    for settings in apps:
        prepare(settings)
    clients = [TestClient(create_app(settings), headers={"Authorization": f"Bearer {_TOKEN}"}) for settings in apps]
    with clients[0] as one, clients[1] as other:
        one.get("/healthz")
        labels = {"route": "/healthz", "method": "GET", "status": "2xx"}
        assert value(scrape(one), "caviar_http_request_duration_seconds_count", **labels) == 1
        assert ("caviar_http_request_duration_seconds_count", frozenset(labels.items())) not in scrape(other)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that is ready, for several applications one after the other."""
    url = f"sqlite:///{tmp_path_factory.mktemp('scrapes') / 'caviar.db'}"
    prepare(ServiceSettings.model_validate({"database_url": url, "token": _TOKEN}))
    return url


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({}, {_TOKEN}),
        ({"metrics_token": _SCRAPER}, {_TOKEN, _SCRAPER}),
        ({"metrics_public": True}, {_TOKEN, _SCRAPER, "another-token-of-nobody", None}),
    ],
)
def test_metrics_are_denied_by_default(address: str, changes: dict[str, object], allowed: set[str | None]) -> None:
    settings = ServiceSettings.model_validate({"database_url": address, "token": _TOKEN, **changes})
    with TestClient(create_app(settings)) as client:
        for sent in (None, "another-token-of-nobody", _SCRAPER, _TOKEN):
            client.headers = {} if sent is None else {"Authorization": f"Bearer {sent}"}
            assert client.get("/metrics").status_code == (200 if sent in allowed else 401)
            # What lets Prometheus in opens nothing else.
            assert client.get("/api/v1/studies").status_code == (200 if sent == _TOKEN else 401)
            assert client.post("/metrics").status_code == (405 if sent == _TOKEN else 401)
