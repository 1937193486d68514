"""`caviar workers`, and the client's verbs on workers."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from caviar import Client
from caviar.cli import app, workers
from caviar.contract.errors import InvalidRequest, NotFound
from caviar.contract.states import WorkerMode
from tests.caviar.trainer import TOKEN, study

GIB = 2**30
GPU = {"kind": "gpu", "name": "H200", "memory_total_bytes": 141 * GIB, "memory_used_bytes": 20 * GIB}


@pytest.fixture
def commands(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that reach the application in process."""
    monkeypatch.setattr(workers, "Client", lambda _url, _token: client)


def run(*arguments: str) -> Result:
    """Run `caviar workers` in this process."""
    return CliRunner().invoke(app, ["workers", *arguments], env={"COLUMNS": "200"})


def register(http: TestClient, name: str, **changes: Any) -> str:
    """Register a worker and return its id."""
    body = {"name": name, "host": "box", "objectives": [{"name": "mlp"}]} | changes
    answer = http.post("/api/v1/workers", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
    return str(answer.json()["worker_id"])


def test_the_client_steers_workers_and_reads_the_demand(client: Client, application: TestClient) -> None:
    worker_id = register(application, "rig")
    assert client.pause_worker(worker_id).mode is WorkerMode.PAUSED
    assert client.drain_worker(worker_id).mode is WorkerMode.DRAINING
    assert client.resume_worker(worker_id).mode is WorkerMode.WORKING
    client.create_study(study("small"))
    assert client.study("small").num_able_workers == 1
    demand = client.demand()
    assert (demand.num_running, demand.num_wanted) == (0, 3)
    with pytest.raises(NotFound):
        client.pause_worker("nobody")
    with pytest.raises(InvalidRequest, match="id of a worker"):
        client.drain_worker("..")


@pytest.mark.usefixtures("commands")
def test_workers_are_listed_with_what_they_are(application: TestClient) -> None:
    assert run().output == "0 connected, 0 trials in training, 0 could be\n"
    worker_id = register(application, "rig", slots=4, devices=[GPU], labels={"site": "attic"})
    result = run()
    assert result.exit_code == 0
    for text in ("rig", "working", "H200, 20 of 141 GiB", "site=attic", worker_id[:8], "1 connected"):
        assert text in result.output


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(("verb", "mode"), [("pause", "paused"), ("drain", "draining"), ("resume", "working")])
def test_a_worker_is_steered_by_its_name_or_id(client: Client, application: TestClient, verb: str, mode: str) -> None:
    worker_id = register(application, "rig")
    for named in ("rig", worker_id, worker_id[:8]):
        result = run(verb, named)
        assert (result.exit_code, result.output) == (0, f"worker rig ({worker_id}) is {mode}\n")
    assert [str(worker.mode) for worker in client.workers().items] == [mode]


@pytest.mark.usefixtures("commands")
def test_names_that_say_too_little_are_refused(client: Client, application: TestClient) -> None:
    ids = [register(application, "rig"), register(application, "rig")]
    for named, said in (("rig", ids[1]), ("rog", "'rog'")):
        result = run("drain", named)
        assert result.exit_code == 1
        assert said in result.output
    assert {worker.mode for worker in client.workers().items} == {WorkerMode.WORKING}
