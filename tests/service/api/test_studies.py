"""Studies over REST: created once, previewed, edited, steered, exported, deleted."""

from __future__ import annotations

import copy
import csv
import io
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.examples import BODIES

_API = "/api/v1"


def _body(name: str = "digits-mlp", **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(BODIES["create_study"]), "name": name, **changes}


class Person:
    """Asks and expects to be answered."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """The parsed answer, which must have this status."""
        answer = self.client.request(method, _API + path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def claim(self, num_trials: int = 1) -> list[dict[str, Any]]:
        """Trials that a new worker holds."""
        worker = self.ask("POST", "/workers", BODIES["register_worker"], status=201)["worker_id"]
        answer = self.ask("POST", f"/workers/{worker}:claim", {"request_id": "1", "max_trials": num_trials})
        return list(answer["assigned"])

    def report(self, trial: dict[str, Any], *values: float) -> dict[str, Any]:
        """Report epochs from the first one on; the decision after the last."""
        base = {"trial_id": trial["trial_id"], "lease": trial["lease"], "elapsed_s": 0.1}
        items = [{**base, "epoch": e, "metrics": {"val_loss": v}} for e, v in enumerate(values, start=1)]
        return dict(self.ask("POST", "/measurements", {"items": items})["decisions"][0])


@pytest.fixture
def person(client: TestClient) -> Person:
    return Person(client)


def test_half_of_the_previewed_betas_lie_in_the_upper_decade(person: Person) -> None:
    space = {"beta_1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "reverse_log"}}
    for strategy in ("random", "coarse_to_fine", "tpe"):
        body = _body(space=space, strategy={"kind": strategy})
        drawn = [c["beta_1"] for c in person.ask("POST", "/studies:preview?samples=10000", body)["configurations"]]
        assert len(drawn) == 10_000
        assert 0.48 <= sum(0.99 <= beta <= 0.999 for beta in drawn) / 10_000 <= 0.52
    assert person.ask("GET", "/studies")["items"] == []


def test_a_study_proposes_what_its_preview_showed(person: Person) -> None:
    body = _body(strategy={"kind": "random"})
    previewed = person.ask("POST", "/studies:preview?samples=5", body)["configurations"]
    person.ask("POST", "/studies", body, status=201)
    assert [trial["params"] for trial in person.claim(5)] == previewed


def test_the_same_body_again_is_the_same_study_and_another_body_is_refused(person: Person) -> None:
    created = person.ask("POST", "/studies", _body(), status=201)
    assert person.ask("POST", "/studies", _body())["created_at"] == created["created_at"]
    # What the defaults say may be written out or left out.
    assert person.ask("POST", "/studies", _body(retries=2))["created_at"] == created["created_at"]
    assert person.ask("POST", "/studies", _body(seed=8), status=409)["code"] == "study_exists"
    person.ask("PATCH", "/studies/digits-mlp", {"tags": {"by": "me"}})
    assert person.ask("POST", "/studies", _body())["tags"] == {"by": "me"}


def test_lists_are_paged(person: Person) -> None:
    for number in range(5):
        person.ask("POST", "/studies", _body(f"study-{number}"), status=201)
    first = person.ask("GET", "/studies?limit=3")
    rest = person.ask("GET", f"/studies?limit=3&after={first['next_after']}")
    assert [s["name"] for s in (*first["items"], *rest["items"])] == [f"study-{n}" for n in (4, 3, 2, 1, 0)]
    assert rest["next_after"] is None


def test_limits_of_a_live_study_can_be_changed(person: Person) -> None:
    person.ask("POST", "/studies", _body(budget={"max_trials": 2, "max_epochs": 3, "max_parallel": 1}), status=201)
    assert len(person.claim(5)) == 1
    edited = person.ask("PATCH", "/studies/digits-mlp", {"budget": {"max_parallel": None, "max_trials": 4}})
    assert edited["budget"] | {"max_parallel": None, "max_trials": 4, "max_epochs": 3} == edited["budget"]
    assert len(person.claim(5)) == 3
    refused = person.ask("PATCH", "/studies/digits-mlp", {"budget": {"max_trials": None}}, status=422)
    assert [error["field"] for error in refused["errors"]] == ["budget.max_trials"]
    assert person.ask("PATCH", "/studies/digits-mlp", {"budget": {"max_epochs": None}}, status=422)["errors"]


def test_a_lowered_limit_ends_a_study_whose_trials_have_ended(person: Person) -> None:
    person.ask("POST", "/studies", _body(), status=201)
    (trial,) = person.claim()
    person.report(trial, 0.5)
    person.ask("POST", f"/trials/{trial['trial_id']}:finish", {"lease": trial["lease"], "outcome": "complete"})
    ended = person.ask("PATCH", "/studies/digits-mlp", {"budget": {"max_trials": 1}})
    assert (ended["state"], ended["end_reason"]) == ("complete", "max_trials")


def test_a_paused_study_hands_out_nothing_until_it_is_resumed(person: Person) -> None:
    person.ask("POST", "/studies", _body(), status=201)
    (running,) = person.claim()
    assert person.ask("POST", "/studies/digits-mlp:pause")["state"] == "paused"
    assert person.claim() == []
    assert person.report(running, 0.5)["decision"] == "continue"
    assert person.ask("POST", "/studies/digits-mlp:resume")["state"] == "running"
    assert len(person.claim()) == 1


def test_a_stopped_study_keeps_what_was_measured(person: Person) -> None:
    person.ask("POST", "/studies", _body(pruner={"kind": "none"}), status=201)
    (trial,) = person.claim()
    person.report(trial, 0.5, 0.4)
    assert person.ask("POST", "/studies/digits-mlp:stop")["counts"] == {"cancelled": 1}
    assert person.ask("GET", "/studies/digits-mlp")["best"]["value"] == 0.4
    for verb in ("pause", "resume"):
        assert person.ask("POST", f"/studies/digits-mlp:{verb}", status=409)["code"] == "state_conflict"
    assert person.ask("POST", "/studies/digits-mlp:stop")["state"] == "stopped"
    item = {"trial_id": trial["trial_id"], "lease": trial["lease"], "epoch": 3, "elapsed_s": 1.0}
    lost = person.ask("POST", "/measurements", {"items": [{**item, "metrics": {"val_loss": 0.1}}]}, status=410)
    assert lost["code"] == "lease_lost"


def test_a_clone_is_the_same_study_without_its_trials(person: Person) -> None:
    person.ask("POST", "/studies", _body(), status=201)
    person.claim()
    clone = person.ask("POST", "/studies/digits-mlp:clone", {"name": "again"}, status=201)
    original = person.ask("GET", "/studies/digits-mlp")
    same = ("objective", "space", "strategy", "pruner", "budget", "seed")
    assert {key: clone[key] for key in same} == {key: original[key] for key in same}
    assert clone["num_trials"] == 0
    taken = _body("taken", seed=9)
    person.ask("POST", "/studies", taken, status=201)
    assert person.ask("POST", "/studies/digits-mlp:clone", {"name": "taken"}, status=409)["code"] == "study_exists"


def test_a_deleted_study_is_gone_with_its_trials(person: Person) -> None:
    person.ask("POST", "/studies", _body(), status=201)
    (trial,) = person.claim()
    person.report(trial, 0.5)
    person.ask("DELETE", "/studies/digits-mlp", status=204)
    person.ask("GET", "/studies/digits-mlp", status=404)
    person.ask("GET", f"/trials/{trial['trial_id']}", status=404)
    person.ask("DELETE", "/studies/digits-mlp", status=404)
    item = {"trial_id": trial["trial_id"], "lease": trial["lease"], "epoch": 2, "elapsed_s": 1.0}
    person.ask("POST", "/measurements", {"items": [{**item, "metrics": {"val_loss": 0.1}}]}, status=404)
    # The name is free again, for a study that begins at trial 0.
    person.ask("POST", "/studies", _body(seed=9), status=201)
    assert [again["number"] for again in person.claim()] == [0]


def test_a_hand_made_configuration_is_trained_next(person: Person) -> None:
    person.ask("POST", "/studies", _body(), status=201)
    params = {"learning_rate": 0.01, "beta_1": 0.95, "units": 64}
    enqueued = person.ask("POST", "/studies/digits-mlp/trials", {"params": params}, status=201)
    (trial,) = person.claim()
    assert (trial["trial_id"], trial["params"]) == (enqueued["trial_id"], params)
    assert person.ask("GET", f"/trials/{trial['trial_id']}")["origin"] == "enqueued"
    refused = person.ask("POST", "/studies/digits-mlp/trials", {"params": {**params, "units": 1024}}, status=422)
    assert [error["field"] for error in refused["errors"]] == ["params.units"]


def test_a_trial_can_be_stopped_and_run_again(person: Person) -> None:
    person.ask("POST", "/studies", _body(), status=201)
    (trial,) = person.claim()
    path = f"/trials/{trial['trial_id']}"
    person.report(trial, 0.5, 0.4)
    assert person.ask("POST", f"{path}:retry", status=409)["code"] == "state_conflict"
    assert person.ask("POST", f"{path}:stop")["state"] == "cancelled"
    assert person.ask("POST", f"{path}:stop")["state"] == "cancelled"
    assert person.ask("POST", f"{path}:retry")["state"] == "waiting"
    (again,) = person.claim()
    assert (again["trial_id"], again["attempt"], again["seed"]) == (trial["trial_id"], 2, trial["seed"])
    person.report(again, 0.7)
    curve = person.ask("GET", f"{path}/measurements")["items"]
    assert [(item["attempt"], item["epoch"]) for item in curve] == [(2, 1)]
    everything = person.ask("GET", f"{path}/measurements?attempts=all")["items"]
    assert [(item["attempt"], item["epoch"]) for item in everything] == [(1, 1), (2, 1), (1, 2)]


def test_the_leaderboard_ranks_by_the_best_epoch(person: Person) -> None:
    person.ask("POST", "/studies", _body(pruner={"kind": "none"}), status=201)
    first, second, third = person.claim(3)
    person.report(first, 0.5, 0.3, 0.9)
    person.report(second, 0.4, 0.35)
    board = person.ask("GET", "/studies/digits-mlp/leaderboard")
    assert [(row["number"], row["rank"], row["value"], row["best_epoch"]) for row in board["items"]] == [
        (first["number"], 1, 0.3, 2),
        (second["number"], 2, 0.35, 2),
        (third["number"], None, None, None),
    ]
    page = person.ask("GET", "/studies/digits-mlp/leaderboard?limit=1&after=1")
    assert [row["rank"] for row in page["items"]] == [2]
    assert page["next_after"] == 2


def test_an_export_cannot_smuggle_formulas_into_a_spreadsheet(person: Person) -> None:
    person.ask("POST", "/studies", _body(), status=201)
    worker = {**BODIES["register_worker"], "name": "=HYPERLINK(1)"}
    worker_id = person.ask("POST", "/workers", worker, status=201)["worker_id"]
    person.ask("POST", f"/workers/{worker_id}:claim", {"request_id": "1"})
    answer = person.client.get(f"{_API}/studies/digits-mlp/export?format=csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["worker"] == "'=HYPERLINK(1)"


def test_an_export_holds_every_trial_and_epoch(person: Person) -> None:
    person.ask("POST", "/studies", _body(pruner={"kind": "none"}), status=201)
    for trial in person.claim(3):
        person.report(trial, 0.5, -0.25)
    exported = person.ask("GET", "/studies/digits-mlp/export")
    assert [len(trial["measurements"]) for trial in exported["trials"]] == [2, 2, 2]
    rows = list(csv.DictReader(io.StringIO(person.client.get(f"{_API}/studies/digits-mlp/export?format=csv").text)))
    assert [float(row["value"]) for row in rows] == [-0.25] * 3
