"""Training with Keras: seeds, epochs, early stopping, limits, checkpoints, and every way to end."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import pytest

from caviar.contract.messages import Assignment
from caviar.contract.states import Outcome
from caviar.contract.study import EarlyStopping, Metric, ObjectiveRef
from tests.worker import lines
from tests.worker.wire import assignment
from worker.callbacks import StopRequest
from worker.channel import EpochDone
from worker.checkpoints.shelf import Shelf
from worker.fitting import Trainer
from worker.forms.result import Result


class Desk:
    """A trainer, and what it has sent."""

    def __init__(self, tmp_path: Path, *, checkpoints: bool = False) -> None:
        self.sent: list[EpochDone] = []
        self.stop = StopRequest()
        objectives: dict[str, Any] = {name: kind for name, kind in vars(lines).items() if isinstance(kind, type)}
        self.checkpoints = tmp_path / "checkpoints"
        best = self.checkpoints if checkpoints else None
        self.trainer = Trainer(objectives, tmp_path, best, Shelf(tmp_path / "resume"), self.take)
        self.stop_after: int | None = None

    def take(self, done: EpochDone) -> None:
        self.sent.append(done)
        if done.epoch == self.stop_after:
            self.stop.wanted = "batch"

    def train(self, **changes: Any) -> Result:
        return self.trainer.train(self.assignment(**changes), self.stop)

    @staticmethod
    def assignment(objective: str = "Line", **changes: Any) -> Assignment:
        return assignment(objective=ObjectiveRef(name=objective), **changes)

    def epochs(self) -> list[int]:
        return [done.epoch for done in self.sent]

    def curve(self, metric: str = "val_loss") -> list[float]:
        return [done.metrics[metric] for done in self.sent]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_every_epoch_is_reported_with_all_its_metrics(desk: Desk) -> None:
    assert desk.train() == Result(Outcome.COMPLETE)
    assert desk.epochs() == [1, 2, 3]
    assert [done.is_last for done in desk.sent] == [False, False, True]
    assert set(desk.sent[0].metrics) == {"loss", "val_loss"}
    assert desk.curve() == sorted(desk.curve(), reverse=True)
    elapsed = [done.elapsed_s for done in desk.sent]
    assert 0 < elapsed[0] < elapsed[1] < elapsed[2]


def test_the_seed_alone_decides(tmp_path: Path) -> None:
    same, again, other = Desk(tmp_path), Desk(tmp_path), Desk(tmp_path)
    same.train(seed=2**53 - 1)
    again.train(seed=2**53 - 1)
    other.train(seed=5)
    assert same.curve() == again.curve()
    assert same.curve() != other.curve()


def test_epochs_are_absolute(desk: Desk) -> None:
    desk.train(first_epoch=4, max_epochs=6)
    assert desk.epochs() == [4, 5, 6]


def test_params_reach_the_objective(tmp_path: Path) -> None:
    slow, fast = Desk(tmp_path), Desk(tmp_path)
    slow.train(params={"learning_rate": 1e-6})
    fast.train(params={"learning_rate": 0.1})
    assert slow.curve()[-1] > fast.curve()[-1]


def test_early_stopping_is_keras_s_own_with_all_its_arguments(desk: Desk) -> None:
    stopping = EarlyStopping(patience=2, min_delta=1e9, start_from_epoch=3)
    assert desk.train(max_epochs=50, early_stopping=stopping) == Result(Outcome.COMPLETE)
    # Epochs 1-3 are not watched, the 4th is the first best, two more bring no such gain.
    assert desk.epochs() == [1, 2, 3, 4, 5, 6]
    assert [done.is_last for done in desk.sent] == [False] * 5 + [True]


def test_early_stopping_follows_the_direction_of_the_study(desk: Desk) -> None:
    # The loss falls, which is no gain for one who wants much of it.
    metric = Metric(name="val_loss", direction="maximize")
    desk.train(max_epochs=50, metric=metric, early_stopping=EarlyStopping(patience=1))
    assert desk.epochs() == [1, 2]


def test_no_early_stopping_trains_to_the_end(desk: Desk) -> None:
    desk.train(max_epochs=20, params={"learning_rate": 1e-9})
    assert desk.epochs() == list(range(1, 21))


@pytest.mark.parametrize("rate", [1e4, 1e30])
def test_a_divergence_is_an_outcome_and_no_number(desk: Desk, rate: float) -> None:
    result = desk.train(max_epochs=200, params={"learning_rate": rate})
    assert result.outcome is Outcome.DIVERGED
    assert result.error is not None
    assert result.error.kind == "Diverged"
    assert all(math.isfinite(value) for done in desk.sent for value in done.metrics.values())
    assert len(desk.sent) < 200


def test_a_request_to_stop_cuts_the_next_epoch_short(desk: Desk) -> None:
    desk.stop_after = 2
    assert desk.train(max_epochs=50) == Result(None)
    assert desk.epochs() == [1, 2]


def test_a_request_for_the_end_of_the_epoch_reports_that_epoch(desk: Desk) -> None:
    def ask(_batch: int, logs: object = None) -> None:
        desk.stop.wanted = "epoch"

    class Asking(lines.Line):
        """Is asked to stop at the start of every batch."""

        def fit_options(self, params: Any) -> dict[str, Any]:
            return {"callbacks": [keras.callbacks.LambdaCallback(on_train_batch_begin=ask)]}

    trainer = Trainer({"Line": Asking}, desk.checkpoints, None, Shelf(desk.checkpoints), desk.take)
    assert trainer.train(desk.assignment(max_epochs=50), desk.stop) == Result(None)
    assert desk.epochs() == [1]


def test_a_stop_in_the_last_epoch_is_a_completion(desk: Desk) -> None:
    desk.stop_after = 3
    assert desk.train(max_epochs=3) == Result(Outcome.COMPLETE)


def test_a_stop_before_the_first_epoch_trains_nothing(desk: Desk) -> None:
    desk.stop.wanted = "epoch"
    assert desk.train() == Result(None)
    assert desk.sent == []


def test_the_time_limit_is_looked_at_within_epochs(desk: Desk) -> None:
    assert desk.train(max_epochs=10**6, max_trial_seconds=0.5) == Result(Outcome.COMPLETE)
    assert len(desk.sent) < 10**6


@pytest.mark.parametrize(
    ("objective", "outcome", "kind", "words"),
    [
        ("Raising", Outcome.FAILED, "ValueError", "units must be at least 1"),
        ("Quitting", Outcome.FAILED, "SystemExit", "enough"),
        ("Hungry", Outcome.OUT_OF_MEMORY, "MemoryError", "no room"),
        ("Impossible", Outcome.INFEASIBLE, "Infeasible", "no layers"),
        ("Unmeasured", Outcome.FAILED, "MissingMetric", "val_loss"),
        ("Nowhere", Outcome.FAILED, "NotTrainable", "expected one of"),
    ],
)
def test_what_an_objective_does_wrong_is_the_outcome_of_its_trial(
    desk: Desk, objective: str, outcome: Outcome, kind: str, words: str
) -> None:
    result = desk.train(objective=objective)
    assert result.outcome is outcome
    assert result.error is not None
    assert result.error.kind == kind
    assert words in result.error.message
    assert desk.train() == Result(Outcome.COMPLETE)


def test_a_bug_is_found_by_its_traceback(desk: Desk) -> None:
    error = desk.train(objective="Raising").error
    assert error is not None
    assert "lines.py" in error.traceback


def test_checkpoints_hold_the_weights_of_the_best_epoch(tmp_path: Path) -> None:
    desk = Desk(tmp_path, checkpoints=True)
    desk.train(max_epochs=4)
    file = desk.checkpoints / "tests" / "trial-00000-attempt-1.weights.h5"
    model = lines.Line(config={}, data_seed=3).build({})
    model.load_weights(file)
    _train, validation = lines.Line(config={}, data_seed=3).data({})
    assert model.evaluate(*validation, verbose=0) == pytest.approx(min(desk.curve()), rel=1e-5)


def test_no_checkpoints_are_kept_unless_asked_for(desk: Desk) -> None:
    desk.train()
    assert not desk.checkpoints.exists()
