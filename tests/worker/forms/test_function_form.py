"""Training functions: what they are given, what they report, how they stop, and how they go on."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caviar.contract.messages import Checkpoint
from caviar.contract.states import Outcome
from caviar.contract.study import EarlyStopping, Metric, ObjectiveRef
from tests.worker.wire import assignment
from worker.callbacks import StopRequest
from worker.channel import EpochDone
from worker.checkpoints.shelf import Shelf
from worker.fitting import Trainer
from worker.forms.result import Result
from worker.forms.trial import Trial
from worker.objectives.errors import Infeasible
from worker.objectives.function import FunctionObjective

CURVE = [1.0, 0.5, 0.25, 0.5, 0.75, 0.5, 0.25, 0.125]


class Desk:
    """A trainer of one function, and what it has sent."""

    def __init__(self, tmp_path: Path, function: Callable[[Trial], object]) -> None:
        self.sent: list[EpochDone] = []
        self.stop = StopRequest()
        self.shelf = Shelf(tmp_path / "shelf")
        objective = FunctionObjective("train", function, None)
        self.trainer = Trainer({"train": objective}, tmp_path, None, self.shelf, self.take)
        self.on_epoch: Callable[[EpochDone], None] = lambda done: None

    def take(self, done: EpochDone) -> None:
        self.sent.append(done)
        self.on_epoch(done)

    def train(self, **changes: Any) -> Result:
        objective = changes.pop("objective", ObjectiveRef(name="train"))
        return self.trainer.train(assignment(objective=objective, **changes), self.stop)

    @property
    def epochs(self) -> list[int]:
        return [done.epoch for done in self.sent]


def report_all(trial: Trial) -> None:
    for epoch in trial.epochs():
        trial.report(epoch, {"val_loss": CURVE[epoch - 1]})
        if trial.should_stop():
            return


def error_of(result: Result) -> str:
    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    return f"{result.error.kind}: {result.error.message}"


def test_a_function_is_given_its_trial(tmp_path: Path) -> None:
    given: list[dict[str, Any]] = []

    def train(trial: Trial) -> None:
        given.append({name: value for name, value in vars(trial).items() if not name.startswith("_")})
        report_all(trial)

    metric = Metric(name="val_loss", direction="maximize")
    result = Desk(tmp_path, train).train(
        params={"units": 3}, objective=ObjectiveRef(name="train", config={"a": 1}), metric=metric, trial_id=5,
        seed=2**40 + 3, data_seed=2**40 + 4,
    )  # fmt: skip
    assert result == Result(Outcome.COMPLETE)
    assert given == [
        {"params": {"units": 3}, "config": {"a": 1}, "number": 4, "seed": 3, "data_seed": 4, "data_dir": tmp_path,
         "metric": metric, "first_epoch": 1, "max_epochs": 3, "checkpoint": None}
    ]  # fmt: skip


def test_every_epoch_is_sent_and_the_last_one_marked(tmp_path: Path) -> None:
    desk = Desk(tmp_path, report_all)
    assert desk.train() == Result(Outcome.COMPLETE)
    assert [(done.epoch, done.metrics, done.is_last) for done in desk.sent] == [
        (1, {"val_loss": 1.0}, False), (2, {"val_loss": 0.5}, False), (3, {"val_loss": 0.25}, True),
    ]  # fmt: skip
    assert 0 < desk.sent[0].elapsed_s < desk.sent[2].elapsed_s


def test_numbers_of_numpy_and_tensors_are_numbers(tmp_path: Path) -> None:
    import keras

    def train(trial: Trial) -> None:
        tensor = keras.ops.convert_to_tensor(0.25)
        trial.report(np.int64(1), {"val_loss": np.float32(0.5), "val_recall": tensor, "val_precision": float("nan")})  # type: ignore[arg-type]  # what operator.index takes

    desk = Desk(tmp_path, train)
    assert desk.train(max_epochs=1) == Result(Outcome.COMPLETE)
    assert desk.sent[0].metrics == {"val_loss": 0.5, "val_recall": 0.25}


@pytest.mark.parametrize(
    ("epoch", "metrics", "words"),
    [
        (2, {"val_loss": 1.0}, "ValueError: report received epoch 2, expected 1: epochs begin with trial.first_epoch"),
        (0, {"val_loss": 1.0}, "ValueError: report received epoch 0, expected 1"),
        (True, {"val_loss": 1.0}, "ValueError: report received epoch True, expected 1"),
        (1.0, {"val_loss": 1.0}, "TypeError: report received the epoch 1.0, expected a whole number"),
        (1, {"loss": 1.0}, "ValueError: report(1, …) received the metrics loss, expected val_loss among them"),
        (1, {}, "ValueError: report(1, …) received the metrics none, expected val_loss"),
        (1, {"val_loss": "0.5"}, "TypeError: report received val_loss='0.5', expected a number"),
        (1, {"val_loss": None}, "TypeError: report received val_loss=None, expected a number"),
        (1, {"val_loss": [1.0, 2.0]}, "TypeError: report received val_loss=[1.0, 2.0], expected a number"),
        (1, {"val_loss": 1.0, "two words": 1.0}, "ValueError: report received the metric name 'two words', expected a"),
    ],
)
def test_a_faulty_report_is_the_error_of_the_trial(tmp_path: Path, epoch: Any, metrics: Any, words: str) -> None:
    desk = Desk(tmp_path, lambda trial: trial.report(epoch, metrics))
    assert words in error_of(desk.train())
    assert desk.sent == []


def test_an_epoch_is_reported_once(tmp_path: Path) -> None:
    def train(trial: Trial) -> None:
        trial.report(1, {"val_loss": 1.0})
        trial.report(1, {"val_loss": 1.0})

    assert "received epoch 1, expected 2" in error_of(Desk(tmp_path, train).train())


def test_a_function_without_reports_has_failed(tmp_path: Path) -> None:
    assert "returned without a report, expected trial.report" in error_of(Desk(tmp_path, lambda trial: 0.5).train())


def test_a_function_may_end_early_by_itself(tmp_path: Path) -> None:
    desk = Desk(tmp_path, lambda trial: trial.report(1, {"val_loss": 1.0}))
    assert desk.train() == Result(Outcome.COMPLETE)
    assert [done.is_last for done in desk.sent] == [False]


@pytest.mark.parametrize("metrics", [{"val_loss": float("nan")}, {"val_loss": float("inf")},
                                     {"val_loss": 1.0, "loss": float("nan")}])  # fmt: skip
def test_a_divergence_ends_the_trial(tmp_path: Path, metrics: dict[str, float]) -> None:
    told: list[bool] = []

    def train(trial: Trial) -> None:
        trial.report(1, {"val_loss": 1.0})
        trial.report(2, metrics)
        told.append(trial.should_stop())

    desk = Desk(tmp_path, train)
    result = desk.train()
    assert result.outcome is Outcome.DIVERGED
    assert result.error is not None
    assert result.error.kind == "Diverged"
    assert "in epoch 2" in result.error.message
    assert (told, desk.epochs) == ([True], [1])


def test_early_stopping_of_the_study_stops_a_function(tmp_path: Path) -> None:
    desk = Desk(tmp_path, report_all)
    assert desk.train(max_epochs=8, early_stopping=EarlyStopping(patience=2)) == Result(Outcome.COMPLETE)
    assert desk.epochs == [1, 2, 3, 4, 5]
    assert [done.is_last for done in desk.sent] == [False] * 4 + [True]


def test_early_stopping_needs_its_metric(tmp_path: Path) -> None:
    result = Desk(tmp_path, report_all).train(early_stopping=EarlyStopping(monitor="loss"))
    assert "received the metrics val_loss, expected loss among them" in error_of(result)


def test_a_function_that_does_not_ask_is_ended_at_its_next_report(tmp_path: Path) -> None:
    cleaned: list[str] = []

    def train(trial: Trial) -> None:
        try:
            for epoch in range(1, 100):
                try:
                    trial.report(epoch, {"val_loss": 1.0})
                except Exception:  # noqa: BLE001 - a careless function
                    cleaned.append("caught")
        finally:
            cleaned.append("left")

    desk = Desk(tmp_path, train)
    assert desk.train() == Result(Outcome.COMPLETE)
    assert (desk.epochs, cleaned) == ([1, 2, 3], ["left"])


def test_an_urgent_request_to_stop_is_heard_at_once(tmp_path: Path) -> None:
    def train(trial: Trial) -> None:
        trial.report(1, {"val_loss": 1.0})
        assert not trial.should_stop()
        desk.stop.wanted = "batch"
        assert trial.should_stop()

    desk = Desk(tmp_path, train)
    assert desk.train() == Result(None)


def test_a_request_for_the_end_of_the_epoch_lets_it_be_reported(tmp_path: Path) -> None:
    def train(trial: Trial) -> None:
        desk.stop.wanted = "epoch"
        assert not trial.should_stop()
        assert trial.should_checkpoint(1)
        trial.report(1, {"val_loss": 1.0})
        assert trial.should_stop()

    desk = Desk(tmp_path, train)
    assert desk.train(checkpoint_every_epochs=5) == Result(None)
    assert desk.epochs == [1]


def test_a_stop_in_the_last_epoch_is_a_completion(tmp_path: Path) -> None:
    desk = Desk(tmp_path, report_all)
    desk.on_epoch = lambda done: setattr(desk.stop, "wanted", "batch" if done.is_last else None)
    assert desk.train() == Result(Outcome.COMPLETE)


def test_a_stop_before_the_first_epoch_calls_nothing(tmp_path: Path) -> None:
    called: list[Trial] = []
    desk = Desk(tmp_path, called.append)
    desk.stop.wanted = "epoch"
    assert desk.train() == Result(None)
    assert called == []


def test_the_time_limit_ends_a_function(tmp_path: Path) -> None:
    def train(trial: Trial) -> None:
        while not trial.should_stop():
            continue

    assert Desk(tmp_path, train).train(max_epochs=10**6, max_trial_seconds=0.2) == Result(Outcome.COMPLETE)


def test_an_epoch_that_ends_after_the_limit_is_the_last(tmp_path: Path) -> None:
    def train(trial: Trial) -> None:
        trial.report(1, {"val_loss": 1.0})

    desk = Desk(tmp_path, train)
    assert desk.train(max_trial_seconds=3600.0) == Result(Outcome.COMPLETE)
    assert not desk.sent[0].is_last


def test_the_generators_are_seeded(tmp_path: Path) -> None:
    drawn: list[tuple[float, float]] = []

    def train(trial: Trial) -> None:
        drawn.append((random.random(), float(np.random.rand())))  # noqa: NPY002 - the global generator is meant
        report_all(trial)

    for seed in (1, 1, 2):
        Desk(tmp_path, train).train(seed=seed)
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(ValueError("no"), Outcome.FAILED), (MemoryError("big"), Outcome.OUT_OF_MEMORY),
     (Infeasible("never"), Outcome.INFEASIBLE), (SystemExit(1), Outcome.FAILED)],
)  # fmt: skip
def test_what_a_function_raises_is_the_outcome_of_its_trial(
    tmp_path: Path, error: BaseException, outcome: Outcome
) -> None:
    def train(trial: Trial) -> None:
        raise error

    result = Desk(tmp_path, train).train()
    assert result.outcome is outcome
    assert result.error is not None
    assert result.error.traceback.splitlines()[1].startswith(f'  File "{__file__}"')


def learn(trial: Trial) -> None:
    """Its state is one number, and early stopping's."""
    value = 0.0
    if trial.checkpoint:
        value = float((trial.checkpoint / "value.txt").read_text())
        assert trial.checkpoint.is_dir()
    for epoch in trial.epochs():
        value += CURVE[epoch - 1]
        if trial.should_checkpoint(epoch):
            with trial.save_checkpoint(epoch) as folder:
                assert list(folder.iterdir()) == []
                (folder / "value.txt").write_text(str(value))
        trial.report(epoch, {"val_loss": CURVE[epoch - 1], "value": value})
        if trial.should_stop():
            break


@pytest.mark.parametrize("pause", [1, 3, 4])
def test_a_resumed_curve_is_that_of_an_uninterrupted_one(tmp_path: Path, pause: int) -> None:
    stopping = EarlyStopping(patience=3)
    whole, first = Desk(tmp_path / "a", learn), Desk(tmp_path / "b", learn)
    whole.train(max_epochs=8, early_stopping=stopping)
    first.on_epoch = lambda done: setattr(first.stop, "wanted", "batch" if done.epoch == pause else None)
    assert first.train(max_epochs=8, early_stopping=stopping, checkpoint_epochs=[pause]) == Result(None)
    assert [done.checkpoint for done in first.sent] == [False] * (pause - 1) + [True]
    second = Desk(tmp_path / "b", learn)
    changes: dict[str, Any] = {"first_epoch": pause + 1, "checkpoint": Checkpoint(epoch=pause), "attempt": 2}
    assert second.train(max_epochs=8, early_stopping=stopping, **changes) == Result(Outcome.COMPLETE)
    parts = [*first.sent, *second.sent]
    assert [(done.epoch, done.metrics) for done in parts] == [(done.epoch, done.metrics) for done in whole.sent]


def test_a_checkpoint_is_complete_before_its_epoch_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path, learn)
    there: list[bool] = []
    desk.on_epoch = lambda done: there.append(desk.shelf.path(1, done.epoch).exists())
    desk.train(checkpoint_every_epochs=2, max_epochs=5)
    assert there == [False, True, False, True, False]
    assert [done.checkpoint for done in desk.sent] == there


def test_a_missing_checkpoint_is_told(tmp_path: Path) -> None:
    result = Desk(tmp_path, learn).train(first_epoch=2, checkpoint=Checkpoint(epoch=1))
    assert result.outcome is None
    assert result.missing_checkpoint is not None
    assert "CheckpointMissing" in result.missing_checkpoint


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(tmp_path: Path) -> None:
    def train(trial: Trial) -> None:
        for epoch in trial.epochs():
            with trial.save_checkpoint(epoch):
                raise OSError(errno.ENOSPC, "no space left on device")
            trial.report(epoch, {"val_loss": 1.0})

    desk = Desk(tmp_path, train)
    assert desk.train(max_epochs=2) == Result(Outcome.COMPLETE)
    assert [done.checkpoint for done in desk.sent] == [False, False]
    assert all("no space left" in (done.checkpoint_error or "") for done in desk.sent)


def test_a_shelf_that_cannot_be_written_costs_the_checkpoint_and_not_the_training(tmp_path: Path) -> None:
    (tmp_path / "shelf").write_text("in the way")
    desk = Desk(tmp_path, learn)
    assert desk.train(checkpoint_every_epochs=1) == Result(Outcome.COMPLETE)
    assert desk.sent[0].checkpoint_error is not None
    assert not desk.sent[0].checkpoint


def test_an_error_inside_the_block_is_the_error_of_the_trial(tmp_path: Path) -> None:
    def train(trial: Trial) -> None:
        with trial.save_checkpoint(1):
            raise RuntimeError("not to be saved")

    assert "not to be saved" in error_of(Desk(tmp_path, train).train())


def test_only_the_epoch_at_hand_can_be_saved(tmp_path: Path) -> None:
    def train(trial: Trial) -> None:
        with trial.save_checkpoint(2):
            pass

    assert "save_checkpoint received epoch 2, expected 1" in error_of(Desk(tmp_path, train).train())


def test_no_folder_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def train(trial: Trial) -> None:
        learn(trial)
        raise ValueError("after all")

    desk = Desk(tmp_path, train)
    desk.train(checkpoint_every_epochs=1, max_epochs=4)
    Desk(tmp_path, learn).train(first_epoch=3, max_epochs=4, checkpoint=Checkpoint(epoch=2))
    assert list((tmp_path / "temporary").iterdir()) == []
