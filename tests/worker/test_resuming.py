"""A training that goes on from a checkpoint has the curve of one that was never interrupted."""

from __future__ import annotations

import os
import queue
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from caviar.contract.messages import Assignment, Checkpoint
from caviar.contract.states import Outcome
from caviar.contract.study import EarlyStopping, Metric, ObjectiveRef
from tests.worker import curves
from tests.worker.wire import DEADLINE_S, TOKEN, Service, assignment
from worker.api import WorkerApi
from worker.backoff import Backoff
from worker.callbacks import StopRequest
from worker.channel import Ended, EpochDone, Message, Setup
from worker.checkpoints.fetching import Fetcher
from worker.checkpoints.shelf import Shelf, digest
from worker.cores import thread_environment
from worker.events import Fetched, SlotExited, SlotSaid
from worker.fitting import Trainer
from worker.forms.result import Result
from worker.outbox import Outbox
from worker.slot import Slot, training_environment

CURVES: dict[str, Any] = {
    name: kind for name, kind in vars(curves).items() if isinstance(kind, type) and issubclass(kind, curves.Wave)
}
RESUMABLE = ["Wave", "Noisy", "Plateau", "Late", "Drifting", "Weighted", "Frames", "Named", "Streamed"]
MAX_EPOCHS = 7

Curve = dict[int, dict[str, float]]


def order(objective: str = "Wave", *, resume: int | None = None, **changes: Any) -> Assignment:
    """An assignment of one of the curves, from the start or from a checkpoint."""
    values: dict[str, Any] = {"max_epochs": MAX_EPOCHS, "objective": ObjectiveRef(name=objective)} | changes
    if resume is not None:
        values |= {"checkpoint": Checkpoint(epoch=resume), "first_epoch": resume + 1, "attempt": 2}
    return assignment(**values)


def curve(sent: list[EpochDone], after: int = 0) -> Curve:
    """The metrics of all epochs after one."""
    return {done.epoch: done.metrics for done in sent if done.epoch > after}


class Bench:
    """A trainer with a shelf of its own, and what it has sent."""

    def __init__(self, folder: Path, *, best: Path | None = None) -> None:
        self.shelf = Shelf(folder)
        self.sent: list[EpochDone] = []
        self.trainer = Trainer(CURVES, folder, best, self.shelf, self.sent.append)

    def train(self, objective: str = "Wave", **changes: Any) -> Result:
        self.sent.clear()
        return self.trainer.train(order(objective, **changes), StopRequest())

    def kept(self) -> list[int]:
        return [done.epoch for done in self.sent if done.checkpoint]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "resume")


@pytest.mark.parametrize("objective", RESUMABLE)
def test_a_resumed_curve_is_the_uninterrupted_one(bench: Bench, objective: str) -> None:
    assert bench.train(objective, checkpoint_epochs=[3]) == Result(Outcome.COMPLETE)
    assert bench.kept() == [3]
    whole = curve(bench.sent)
    assert sorted(whole) == list(range(1, MAX_EPOCHS + 1))
    assert bench.train(objective, resume=3) == Result(Outcome.COMPLETE)
    assert curve(bench.sent) == {epoch: metrics for epoch, metrics in whole.items() if epoch > 3}


def test_a_checkpoint_changes_nothing_and_a_resumed_trial_keeps_further_ones(bench: Bench) -> None:
    bench.train()
    plain = curve(bench.sent)
    bench.train(checkpoint_epochs=[1])
    assert curve(bench.sent) == plain
    bench.train(resume=1, checkpoint_epochs=[1, 5])
    assert bench.kept() == [5]
    bench.train(resume=5)
    assert curve(bench.sent) == {epoch: plain[epoch] for epoch in (6, 7)}


def test_early_stopping_goes_on_counting_and_restores_the_best_weights_of_all_attempts(bench: Bench) -> None:
    curves.Open.models.clear()
    stopping = EarlyStopping(patience=5, min_delta=0.2, restore_best_weights=True)
    changes: dict[str, Any] = {"max_epochs": 50, "early_stopping": stopping, "checkpoint_epochs": [4]}
    assert bench.train("Open", **changes) == Result(Outcome.COMPLETE)
    whole = curve(bench.sent)
    # There is no such gain after the first epoch, which is older than the checkpoint.
    assert sorted(whole) == [1, 2, 3, 4, 5, 6]
    assert bench.train("Open", resume=4, **changes) == Result(Outcome.COMPLETE)
    assert curve(bench.sent) == {epoch: metrics for epoch, metrics in whole.items() if epoch > 4}
    first, second = (model.get_weights() for model in curves.Open.models)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(first, second, strict=True))


def test_the_file_of_the_best_weights_holds_those_of_earlier_attempts(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "resume", best=tmp_path / "best")
    greatest = Metric(name="val_loss", direction="maximize")
    bench.train(metric=greatest, checkpoint_epochs=[3], max_epochs=4)
    values = [done.metrics["val_loss"] for done in bench.sent]
    assert max(values) in values[:3]
    bench.train(metric=greatest, resume=3, max_epochs=4)
    wave = curves.Wave(data_seed=3)
    model = wave.build({})
    model.load_weights(tmp_path / "best" / "tests" / "trial-00000-attempt-2.weights.h5")
    _train, validation = wave.data({})
    assert model.evaluate(*validation, verbose=0, return_dict=True)["loss"] == pytest.approx(max(values), rel=1e-5)


def test_every_kept_checkpoint_leads_to_the_same_curve(bench: Bench) -> None:
    bench.train(checkpoint_every_epochs=2)
    whole = curve(bench.sent)
    # The training ends by itself with epoch 7, so that nobody would go on from there.
    assert bench.kept() == [2, 4, 6]
    for epoch in (2, 4, 6):
        bench.train(resume=epoch, checkpoint_every_epochs=100)
        assert curve(bench.sent) == {later: metrics for later, metrics in whole.items() if later > epoch}


def test_a_training_that_is_asked_to_stop_leaves_its_last_epoch_to_go_on_from(bench: Bench) -> None:
    bench.train()
    whole = curve(bench.sent)
    bench.sent.clear()
    stop = StopRequest()

    def ask(done: EpochDone) -> None:
        bench.sent.append(done)
        # What is asked for now is heard in the next epoch, which still counts.
        stop.wanted = "epoch" if done.epoch == 2 else stop.wanted

    trainer = Trainer(CURVES, bench.shelf.folder, None, bench.shelf, ask)
    assert trainer.train(order(checkpoint_every_s=3600.0), stop) == Result(None)
    assert (bench.sent[-1].epoch, bench.kept()) == (3, [3])
    bench.train(resume=3)
    assert curve(bench.sent) == {epoch: metrics for epoch, metrics in whole.items() if epoch > 3}


def test_another_machine_downloads_a_checkpoint_and_goes_on_with_the_same_curve(
    bench: Bench, service: Service, tmp_path: Path
) -> None:
    bench.train(checkpoint_every_epochs=3)
    whole = curve(bench.sent)
    trial, other = service.add(), Bench(tmp_path / "other")
    trial.lease = "lease-1-1"
    outbox, events = Outbox(tmp_path / "outbox.db"), queue.SimpleQueue[Fetched]()
    with httpx2.Client(base_url=service.url, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        api = WorkerApi(client)
        with bench.shelf.path(1, 3).open("rb") as file:
            sha256 = digest(file)
            api.upload_checkpoint(1, 3, "lease-1-1", file, sha256)
        given = order(resume=3).model_copy(update={"checkpoint": Checkpoint(epoch=3, sha256=sha256)})
        outbox.hold(1, given.lease)
        fetcher = Fetcher(api, other.shelf, outbox, emit=events.put, make_backoff=lambda: Backoff(random.Random(1)))
        fetcher.fetch(given)
        assert events.get(timeout=DEADLINE_S) == Fetched(given)
    outbox.close()
    assert other.trainer.train(given, StopRequest()) == Result(Outcome.COMPLETE)
    assert curve(other.sent) == {epoch: metrics for epoch, metrics in whole.items() if epoch > 3}


def test_the_best_weights_are_written_at_the_end_whatever_it_is(bench: Bench) -> None:
    stop = StopRequest()

    def ask(done: EpochDone) -> None:
        bench.sent.append(done)
        stop.wanted = "batch" if done.epoch == 3 else None

    trainer = Trainer(CURVES, bench.shelf.folder, None, bench.shelf, ask)
    assert trainer.train(order(keep_weights=True), stop) == Result(None)
    values = [done.metrics["val_loss"] for done in bench.sent]
    found = bench.shelf.weights("lease-1-1")
    assert found is not None
    path, epoch = found
    assert epoch == values.index(min(values)) + 1
    wave = curves.Wave(data_seed=3)
    model = wave.build({})
    model.load_weights(path)
    _train, validation = wave.data({})
    assert model.evaluate(*validation, verbose=0, return_dict=True)["loss"] == pytest.approx(min(values), rel=1e-5)


def test_whether_weights_are_kept_does_not_decide_where_a_trial_may_go_on(bench: Bench, tmp_path: Path) -> None:
    bench.train(checkpoint_epochs=[2])
    whole = curve(bench.sent)
    keeper = Bench(bench.shelf.folder, best=tmp_path / "best")
    assert keeper.train(resume=2, keep_weights=True) == Result(Outcome.COMPLETE)
    assert curve(keeper.sent) == {epoch: metrics for epoch, metrics in whole.items() if epoch > 2}


WITH_JAX = """
import sys
import pytest
raise SystemExit(pytest.main(["-q", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning", *sys.argv[1:]]))
"""


def test_with_jax_a_resumed_curve_is_the_uninterrupted_one_too() -> None:
    names = [f"test_a_resumed_curve_is_the_uninterrupted_one[{name}]" for name in ("Wave", "Plateau")]
    chosen = [f"{__file__}::{name}" for name in (*names, "test_the_best_weights_are_written_at_the_end_whatever_it_is")]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", WITH_JAX, *chosen], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "3 passed" in done.stdout


def test_no_checkpoint_is_kept_of_the_end(bench: Bench) -> None:
    bench.train(checkpoint_epochs=[2], max_epochs=2)
    assert (bench.kept(), bench.shelf.trials()) == ([], [])
    stopping = EarlyStopping(patience=1, min_delta=1e9)
    bench.train(checkpoint_epochs=[1, 2], early_stopping=stopping)
    assert (len(bench.sent), bench.kept()) == (2, [1])


@pytest.mark.parametrize(("objective", "words"), [("Opaque", "has a object"), ("Twofold", "second_optimizer")])
def test_what_no_checkpoint_can_hold_is_told_and_the_training_goes_on(bench: Bench, objective: str, words: str) -> None:
    assert bench.train(objective, checkpoint_epochs=[1], max_epochs=2) == Result(Outcome.COMPLETE)
    assert bench.kept() == []
    assert words in str(bench.sent[0].checkpoint_error)
    assert bench.sent[1].checkpoint_error is None


def test_a_folder_that_cannot_be_written_costs_the_checkpoint_alone(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    bench = Bench(blocked)
    assert bench.train(checkpoint_epochs=[1, 2], max_epochs=3) == Result(Outcome.COMPLETE)
    assert bench.kept() == []
    assert ["NotADirectoryError" in str(done.checkpoint_error) for done in bench.sent] == [True, True, False]


def test_a_missing_broken_or_foreign_checkpoint_is_told_and_nothing_is_trained(bench: Bench) -> None:
    missing = bench.train(resume=2)
    assert (missing.outcome, missing.error) == (None, None)
    assert "CheckpointMissing" in str(missing.missing_checkpoint)
    bench.train(checkpoint_epochs=[1], max_epochs=2)
    path = bench.shelf.path(1, 1)
    for change in ({"params": {"units": 3}}, {"seed": 8}, {"study": "another"}):
        assert "CheckpointForeign" in str(bench.train(resume=1, **change).missing_checkpoint)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "CheckpointBroken" in str(bench.train(resume=1).missing_checkpoint)
    assert bench.sent == []


def test_a_checkpoint_of_another_network_is_not_forced_into_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.train(checkpoint_epochs=[1], max_epochs=2)
    former = curves.Wave.optimizer
    monkeypatch.setattr(curves.Wave, "optimizer", curves.Noisy.optimizer)
    assert "variables" in str(bench.train(resume=1).missing_checkpoint)
    monkeypatch.setattr(curves.Wave, "optimizer", former)
    monkeypatch.setattr(curves.Wave, "fit_options", curves.Plateau.fit_options)
    assert "callbacks" in str(bench.train(resume=1).missing_checkpoint)
    assert bench.sent == []


class Line:
    """A slot with a real training process, and what comes out of it."""

    def __init__(self, folder: Path, index: int) -> None:
        self.events: queue.SimpleQueue[SlotSaid | SlotExited] = queue.SimpleQueue()
        setup = Setup(
            objectives=(str(Path(curves.__file__)),),
            data_dir=folder,
            checkpoints_dir=None,
            resume_dir=folder / "resume",
        )
        environment = training_environment(os.environ, thread_environment(1))
        self.slot = Slot(index, setup, environment, folder / f"slot-{index}.log", self.events.put)
        self.slot.start()

    def train(self, assignment: Assignment) -> tuple[list[EpochDone], Message | SlotExited]:
        """Train to the end, whatever it is."""
        self.slot.train(assignment)
        sent: list[EpochDone] = []
        while True:
            event = self.events.get(timeout=DEADLINE_S)
            told = event.message if isinstance(event, SlotSaid) else event
            if isinstance(told, EpochDone):
                sent.append(told)
            elif isinstance(told, (Ended, SlotExited)):
                return sent, told


def test_after_a_kill_another_process_goes_on_with_the_same_curve(tmp_path: Path) -> None:
    traces: dict[str, Any] = {"traces": str(tmp_path / "traces")}

    def shot(**changes: Any) -> Assignment:
        return order("Shot", **changes).model_copy(update={"objective": ObjectiveRef(name="Shot", config=traces)})

    victim, heir = Line(tmp_path, 1), Line(tmp_path, 2)
    try:
        sent, end = victim.train(shot(checkpoint_epochs=[3]))
        assert isinstance(end, SlotExited)
        assert [done.epoch for done in sent if done.checkpoint] == [3]
        resumed, end = heir.train(shot(resume=3))
        assert isinstance(end, Ended)
        assert end.outcome is Outcome.COMPLETE
        # The file is there already, so this one is not shot.
        whole, _end = heir.train(shot())
    finally:
        victim.slot.close()
        heir.slot.close()
    assert curve(whole)[4] == curve(sent)[4] == curve(resumed)[4]
    assert curve(whole, after=3) == curve(resumed)


FULL = """
import json, resource, sys
from pathlib import Path
from tests.worker.test_resuming import Bench
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
bench = Bench(Path(sys.argv[1]))
result = bench.train(checkpoint_epochs=[1], max_epochs=2)
print(json.dumps([result.outcome, bench.sent[0].checkpoint, bench.sent[0].checkpoint_error]))
"""


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    # A limit of the system on the size of files, which even root cannot pass, stands for the end of the disk.
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "resume")], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith('["complete", false, "OSError')
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
