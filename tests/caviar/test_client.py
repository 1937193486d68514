"""The client's verbs against the real application."""

from __future__ import annotations

import csv
import io
import json

import pytest
from starlette.testclient import TestClient

from caviar import Client
from caviar.client.connection import Clock
from caviar.contract.errors import InvalidRequest, NotFound, RequestError, StateConflict, StudyExists
from caviar.contract.states import EndReason, StudyState, TrialState
from caviar.contract.study import StudySpec
from caviar.contract.views import StudyView
from tests.caviar.trainer import STUDY, TOKEN, Trainer, study


def test_study_is_created_once(client: Client) -> None:
    created = client.create_study(STUDY)
    assert created.name == "small"
    assert created.state is StudyState.RUNNING
    again = client.create_study(StudySpec.model_validate(STUDY))
    assert again.created_at == created.created_at
    with pytest.raises(StudyExists, match="small"):
        client.create_study(study("small", seed=2))


def test_early_stopping_of_null_reaches_the_service(client: Client) -> None:
    assert client.create_study(STUDY).early_stopping is None
    body = study("patient")
    del body["early_stopping"]
    stopping = client.create_study(body).early_stopping
    assert stopping is not None
    assert stopping.patience == 5


def test_mistakes_in_a_study_are_found_before_anything_is_sent() -> None:
    offline = Client("http://127.0.0.1:9", TOKEN)
    wrong = study("Wrong Name", budget={"max_trials": 0})
    with pytest.raises(InvalidRequest) as refused:
        offline.create_study(wrong)
    assert {error.field for error in refused.value.errors} == {"name", "budget.max_trials"}
    offline.close()


def test_mistakes_that_only_the_service_knows_come_back_with_their_fields(client: Client) -> None:
    with pytest.raises(InvalidRequest) as refused:
        client.create_study(study("small", strategy={"kind": "clairvoyant"}))
    assert any(error.field.startswith("strategy") for error in refused.value.errors)


def test_preview_stores_nothing(client: Client) -> None:
    preview = client.preview(STUDY, samples=7)
    assert len(preview.configurations) == 7
    assert preview.cost.max_trials == 3
    assert list(client.studies()) == []


def test_studies_page_by_themselves(client: Client) -> None:
    names = {f"study-{number:03d}" for number in range(103)}
    for name in names:
        client.create_study(study(name))
    listed = [view.name for view in client.studies()]
    assert len(listed) == 103
    assert set(listed) == names


def test_study_is_paused_resumed_stopped(client: Client) -> None:
    client.create_study(STUDY)
    assert client.pause("small").state is StudyState.PAUSED
    assert client.resume("small").state is StudyState.RUNNING
    stopped = client.stop("small")
    assert stopped.state is StudyState.STOPPED
    assert stopped.end_reason is EndReason.STOPPED
    with pytest.raises(StateConflict):
        client.resume("small")


def test_study_is_edited_and_only_where_it_says(client: Client) -> None:
    client.create_study(study("small", budget={"max_trials": 3, "max_epochs": 2, "max_parallel": 1}))
    edited = client.edit_study("small", {"budget": {"max_trials": 5, "max_parallel": None}})
    assert edited.budget.max_trials == 5
    assert edited.budget.max_parallel is None
    assert edited.budget.max_epochs == 2


def test_study_is_cloned_and_deleted(client: Client) -> None:
    original = client.create_study(STUDY)
    clone = client.clone("small", "twin")
    assert (clone.name, clone.space, clone.seed) == ("twin", original.space, original.seed)
    client.delete_study("small")
    with pytest.raises(NotFound):
        client.study("small")
    assert [view.name for view in client.studies()] == ["twin"]


def test_name_cannot_reach_another_path(client: Client) -> None:
    for name in ("small/trials", "../workers", "small?limit=1"):
        with pytest.raises(RequestError):
            client.study(name)
    for name in ("", ".", ".."):
        with pytest.raises(InvalidRequest, match="name of a study"):
            client.study(name)


def test_trained_trials_are_on_the_leaderboard_best_first(client: Client, trainer: Trainer) -> None:
    client.create_study(STUDY)
    for losses in ([0.9, 0.5], [0.4, 0.2], [0.8, 0.7]):
        trainer.train(losses)
    board = client.leaderboard("small")
    assert [(row.rank, row.value, row.number) for row in board.items] == [(1, 0.2, 1), (2, 0.5, 0), (3, 0.7, 2)]
    first = client.leaderboard("small", limit=2)
    assert first.next_after is not None
    rest = client.leaderboard("small", limit=2, after=first.next_after)
    assert [row.number for row in first.items + rest.items] == [1, 0, 2]
    assert [trial.number for trial in client.trials("small")] == [0, 1, 2]
    assert [curve.values for curve in client.curves("small")] == [[0.9, 0.5], [0.4, 0.2], [0.8, 0.7]]


def test_trial_and_its_measurements(client: Client, trainer: Trainer) -> None:
    client.create_study(STUDY)
    trial_id = trainer.train([0.9, 0.5])["trial_id"]
    trial = client.trial(trial_id)
    assert (trial.state, trial.value, trial.best_epoch) == (TrialState.COMPLETE, 0.5, 2)
    assert len(trial.attempts) == 1
    for attempts in ("current", "all"):
        measured = client.measurements(trial_id, attempts)
        assert [(item.epoch, item.metrics["val_loss"]) for item in measured.items] == [(1, 0.9), (2, 0.5)]


def test_hand_made_configuration_comes_first(client: Client, trainer: Trainer) -> None:
    client.create_study(STUDY)
    params: dict[str, bool | int | float | str] = {"learning_rate": 0.01, "units": 32}
    enqueued = client.enqueue("small", params)
    assert enqueued.state is TrialState.WAITING
    [assignment] = trainer.claim()
    assert assignment["trial_id"] == enqueued.trial_id
    assert assignment["params"] == params


def test_configurations_that_cannot_be_sent_or_do_not_fit_are_refused(client: Client) -> None:
    client.create_study(STUDY)
    with pytest.raises(InvalidRequest, match="finite"):
        client.enqueue("small", {"learning_rate": float("nan"), "units": 32})
    with pytest.raises(InvalidRequest) as refused:
        client.enqueue("small", {"learning_rate": 0.01, "units": 1})
    assert "params.units" in {error.field for error in refused.value.errors}


def test_trial_is_stopped_and_retried(client: Client, trainer: Trainer) -> None:
    client.create_study(STUDY)
    [assignment] = trainer.claim()
    trial_id = assignment["trial_id"]
    assert client.stop_trial(trial_id).state is TrialState.CANCELLED
    assert client.retry_trial(trial_id).state is TrialState.WAITING


def test_rounds_workers_and_objectives(client: Client, trainer: Trainer) -> None:
    client.create_study(study("rounds", strategy={"kind": "coarse_to_fine"}))
    [assignment] = trainer.claim()
    rounds = client.rounds("rounds")
    assert [item.number for item in rounds.items] == [0]
    assert set(rounds.items[0].windows) == {"learning_rate", "units"}
    [worker] = client.workers().items
    assert (worker.name, worker.running) == ("trainer", [assignment["trial_id"]])
    assert "mlp" in {item.name for item in client.objectives().items}


def test_export_is_csv_or_json(client: Client, trainer: Trainer) -> None:
    client.create_study(STUDY)
    trainer.train([0.9, 0.5])
    rows = list(csv.DictReader(io.StringIO(client.export("small"))))
    assert [float(row["value"]) for row in rows] == [0.5]
    everything = json.loads(client.export("small", "json"))
    assert [trial["value"] for trial in everything["trials"]] == [0.5]


def test_wait_returns_the_finished_study(application: TestClient, trainer: Trainer) -> None:
    waits: list[float] = []

    def train_meanwhile(seconds: float) -> None:
        waits.append(seconds)
        trainer.train([0.9, 0.5])

    client = Client(token=TOKEN, http=application, clock=Clock(lambda: float(len(waits)), train_meanwhile))
    client.create_study(STUDY)
    seen: list[StudyView] = []
    finished = client.wait("small", timeout_s=60, poll_s=0.5, on_view=seen.append)
    assert finished.state is StudyState.COMPLETE
    assert [view.num_trials for view in seen] == [0, 1, 2, 3]
    assert waits == [0.5, 0.5, 0.5]


def test_wait_gives_up_after_the_timeout(application: TestClient) -> None:
    now = [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    client = Client(token=TOKEN, http=application, clock=Clock(lambda: now[0], wait))
    client.create_study(STUDY)
    with pytest.raises(TimeoutError, match=r"small is not finished after 2\.5 s"):
        client.wait("small", timeout_s=2.5, poll_s=1.0)
    assert now == [2.5]
