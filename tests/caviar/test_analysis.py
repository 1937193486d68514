"""Importances and replay through client, command and the real application."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner, Result

from caviar import Client
from caviar.cli import app, replay
from caviar.contract.errors import InvalidRequest, NotFound, StateConflict
from tests.caviar.trainer import TOKEN, Trainer, study

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "units": {"type": "int", "low": 16, "high": 64},
    "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
    "beta_1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "1-beta", "when": {"optimizer": ["adam"]}},
}


def searched(name: str = "searched", num_trials: int = 40, **changes: Any) -> dict[str, Any]:
    budget = {"max_trials": num_trials, "max_epochs": 4}
    return study(name, space=SPACE, strategy={"kind": "coarse_to_fine"}, budget=budget) | changes


def loss(params: dict[str, Any]) -> float:
    """Falls with the learning rate alone."""
    return 1.0 - math.sqrt(math.sqrt(float(params["learning_rate"])))


class Crew(Trainer):
    """A worker with several slots, whose measurements fall between its claims."""

    def __init__(self, http: TestClient) -> None:
        super().__init__(http)
        self._running: list[dict[str, Any]] = []

    def train_all(self, most: int = 1000) -> None:
        """Train until there is nothing left, or so many turns: an epoch of one trial in each."""
        for _ in range(most):
            self._fill()
            if not self._running:
                return
            assignment = self._running.pop(0)
            epoch = assignment["first_epoch"]
            if self._goes_on(assignment, epoch):
                assignment["first_epoch"] += 1
                self._running.append(assignment)

    def _fill(self) -> None:
        while len(self._running) < 3:
            leases = [assignment["lease"] for assignment in self._running]
            body = {"request_id": uuid4().hex, "max_trials": 1, "leases": leases}
            assigned = self._post(f"/workers/{self._worker_id}:claim", body)["assigned"]
            if not assigned:
                return
            self._running += assigned

    def _goes_on(self, assignment: dict[str, Any], epoch: int) -> bool:
        value = loss(assignment["params"]) + 1 / epoch
        item = {"trial_id": assignment["trial_id"], "lease": assignment["lease"], "epoch": epoch, "elapsed_s": 0.1}
        is_kept = epoch in assignment["checkpoint_epochs"]
        items = [{**item, "metrics": {"val_loss": value}, "checkpoint": is_kept}]
        decision = self._post("/measurements", {"items": items})["decisions"][0]["decision"]
        if decision == "continue" and epoch == assignment["max_epochs"]:
            self.finish(assignment)
            return False
        return bool(decision == "continue")


@pytest.fixture
def crew(application: TestClient) -> Crew:
    """A worker of the application in process."""
    return Crew(application)


def run(client: Client, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run the command with this client."""
    monkeypatch.setattr(replay, "Client", lambda url, token: client)
    return CliRunner().invoke(app, ["replay", *arguments])


def tamper(database_file: Path, number: int, name: str, factor: float) -> float:
    """Change a parameter in the event that created a trial, as nobody should; its value before."""
    database = sqlite3.connect(database_file)
    with database:
        rows = database.execute("SELECT study_id, seq, data FROM events WHERE kind = 'trial_created'").fetchall()
        for study_id, seq, text in rows:
            data = json.loads(text)
            if data["number"] == number:
                value: float = data["params"][name]
                data["params"][name] = value * factor
                changed = (json.dumps(data), study_id, seq)
                database.execute("UPDATE events SET data = ? WHERE study_id = ? AND seq = ?", changed)
    database.close()
    return value


@pytest.mark.parametrize("method", ["ped_anova", "fanova"])
def test_importances_say_what_matters(client: Client, crew: Crew, method: Any) -> None:
    client.create_study(searched(strategy={"kind": "random"}))
    crew.train_all()
    found = client.importances("searched", method)
    assert (found.study, found.method, found.num_trials) == ("searched", method, 40)
    assert found.items[0].name == "learning_rate"
    assert {item.name for item in found.items} == set(SPACE)
    assert sum(item.importance for item in found.items) == pytest.approx(1)
    [adam] = [item.num_trials for item in found.items if item.name == "beta_1"]
    assert adam == sum(trial.params["optimizer"] == "adam" for trial in client.trials("searched"))
    assert client.importances("searched", method) == found


def test_importances_of_too_few_trials_are_refused_with_numbers(client: Client, crew: Crew) -> None:
    client.create_study(searched(num_trials=9))
    with pytest.raises(StateConflict, match=r"received 0 trials .* expected at least 10"):
        client.importances("searched")
    crew.train_all()
    with pytest.raises(StateConflict, match=r"received 9 trials .* expected at least 10"):
        client.importances("searched")
    with pytest.raises(NotFound):
        client.importances("nobody")


def test_points_and_contours_are_what_pictures_are_drawn_from(client: Client, crew: Crew) -> None:
    client.create_study(searched(strategy={"kind": "random"}))
    with pytest.raises(StateConflict, match=r"received 0 trials .* expected at least 5"):
        client.contour("searched", "learning_rate", "units")
    crew.train_all()
    whole, some = client.points("searched"), client.points("searched", limit=10)
    trials = list(client.trials("searched"))
    assert whole.trial_ids == [trial.trial_id for trial in trials]
    assert whole.values == [trial.value for trial in trials]
    assert (some.total, len(some.units["units"])) == (40, some.num_shown)
    assert set(some.trial_ids) < set(whole.trial_ids)
    found = client.contour("searched", "learning_rate", "units")
    assert (found.x.name, found.y.name, found.num_trials) == ("learning_rate", "units", 40)
    assert len(found.grid) == len(found.y.units)


def test_an_unknown_method_is_refused_with_the_known_ones(client: Client) -> None:
    client.create_study(searched())
    with pytest.raises(InvalidRequest) as refused:
        client.importances("searched", "guess")  # type: ignore[arg-type]
    [error] = refused.value.errors
    assert "ped_anova" in error.expected
    assert "fanova" in error.expected


@pytest.mark.parametrize("kind", ["random", "coarse_to_fine", "tpe"])
def test_a_replay_finds_every_suggestion_again(client: Client, crew: Crew, kind: str) -> None:
    client.create_study(searched(strategy={"kind": kind}))
    client.enqueue("searched", {"learning_rate": 0.5, "units": 20, "optimizer": "sgd"})
    crew.train_all()
    found = client.replay("searched")
    assert found.first_difference is None
    assert (found.num_checked, found.num_identical, found.num_unchecked) == (39, 39, 1)
    assert found.is_identical


def test_a_replay_follows_pauses_promotions_and_edits(client: Client, crew: Crew) -> None:
    client.create_study(searched(pruner={"kind": "asha", "min_resource": 2, "reduction_factor": 2}))
    crew.train_all(60)
    client.edit_study("searched", {"budget": {"max_trials": 50, "max_epochs": 8}})
    crew.train_all(30)
    narrow = {"type": "float", "low": 1e-2, "high": 1.0, "scale": "log"}
    client.edit_study("searched", {"space": {**SPACE, "learning_rate": narrow}})
    crew.train_all()
    paused = [event for event in all_events(client) if event == "trial_paused"]
    assert len(paused) > 10
    found = client.replay("searched")
    assert found.first_difference is None
    assert (found.num_checked, found.num_identical) == (50, 50)


def test_a_replay_knows_what_was_imported(client: Client, crew: Crew) -> None:
    client.create_study(searched("first", num_trials=15))
    crew.train_all()
    client.create_study(searched("second", warm_start=["first"], seed=2))
    crew.train_all()
    num_imported = client.study("second").num_imported
    assert num_imported > 0
    found = client.replay("second")
    assert found.first_difference is None
    assert found.num_unchecked == num_imported
    assert found.num_checked > 20


def all_events(client: Client) -> list[str]:
    last = client.study("searched").last_event_seq
    kinds = []
    for event in client.events("searched", after=0):
        kinds.append(event.kind)
        if event.seq >= last:
            break
    return kinds


def test_a_changed_suggestion_is_found(
    client: Client, crew: Crew, database_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_study(searched())
    crew.train_all()
    result = run(client, monkeypatch, "searched")
    assert (result.exit_code, result.stdout) == (0, "identical: 40 of 40 suggestions\n")
    before = tamper(database_file, 30, "learning_rate", 1 + 1e-15)
    found = client.replay("searched")
    assert not found.is_identical
    assert found.num_checked == 40
    assert found.first_difference is not None
    assert found.first_difference.number == 30
    assert found.first_difference.recomputed["params"]["learning_rate"] == before
    result = run(client, monkeypatch, "searched")
    assert result.exit_code == 1
    assert "not identical" in result.stderr
    assert "trial 30" in result.stdout
    assert repr(before) in result.stdout
    assert "params.learning_rate" in result.stdout
    assert "params.units" not in result.stdout


def test_a_replay_of_nothing_and_of_hand_made_trials_says_so(
    client: Client, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_study(searched(num_trials=1))
    client.enqueue("searched", {"learning_rate": 0.5, "units": 20, "optimizer": "sgd"})
    result = run(client, monkeypatch, "searched")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "identical: 0 of 0 suggestions",
        "not checked: 1 trials that no suggestion stands behind",
    ]
    assert run(client, monkeypatch, "nobody").exit_code == 1


def test_events_that_contradict_each_other_are_no_crash(
    client: Client, crew: Crew, application: TestClient, database_file: Path
) -> None:
    client.create_study(searched())
    crew.train_all(most=3)
    database = sqlite3.connect(database_file)
    with database:
        database.execute("DELETE FROM events WHERE kind = 'trial_created' AND seq < 5")
    database.close()
    answer = application.get("/api/v1/studies/searched/replay", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 409
    assert "contradict" in answer.json()["detail"]


def test_a_study_from_before_first_bodies_were_kept(client: Client, crew: Crew, database_file: Path) -> None:
    client.create_study(searched(strategy={"kind": "random"}, num_trials=6))
    crew.train_all(most=2)
    database = sqlite3.connect(database_file)
    with database:
        database.execute("UPDATE events SET data = '{}' WHERE kind = 'study_created'")
    assert client.replay("searched").is_identical
    client.edit_study("searched", {"tags": {"a": "b"}})
    with pytest.raises(StateConflict, match="was edited"):
        client.replay("searched")
    database.close()
