"""A training process notices that the file of an objective has changed, and the next one loads it anew."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from caviar.contract.messages import Assignment
from caviar.contract.states import Outcome
from caviar.contract.study import ObjectiveRef
from tests.worker.wire import assignment
from worker.channel import Ended, EpochDone, Ready, Setup, Stale, Started
from worker.cores import thread_environment
from worker.events import SlotExited, SlotSaid
from worker.slot import Slot, training_environment

Kind = TypeVar("Kind")
TRAIN = """
def train(trial):
    for epoch in trial.epochs():
        trial.report(epoch, {"val_loss": 1.0})
"""


class Watch:
    """A slot and what comes out of it."""

    def __init__(self, folder: Path) -> None:
        self.heard: queue.Queue[SlotSaid | SlotExited] = queue.Queue()
        setup = Setup(
            objectives=(str(folder / "own.py"),), data_dir=folder, checkpoints_dir=None, resume_dir=folder / "resume"
        )
        environment = training_environment(os.environ, thread_environment(1))
        self.slot = Slot(0, setup, environment, folder / "slot.log", self.heard.put)

    def restart(self) -> None:
        self.slot.setup = self.slot.setup.model_copy(update={"is_first": False})
        self.slot.start()

    def expect(self, kind: type[Kind]) -> Kind:
        while True:
            event = self.heard.get(timeout=120)
            if isinstance(event, SlotSaid) and isinstance(event.message, kind):
                return event.message
            assert not isinstance(event, SlotExited) or event.process_id != self.slot.process_id, event


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    (tmp_path / "own.py").write_text(TRAIN)
    made = Watch(tmp_path)
    yield made
    made.slot.close()


def given(number: int, **changes: Any) -> Assignment:
    return assignment(number, objective=ObjectiveRef(name="train"), max_epochs=2, **changes)


@pytest.mark.slow
def test_a_changed_file_is_loaded_by_the_next_process(watch: Watch, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    watch.slot.start()
    assert [offer.name for offer in watch.expect(Ready).objectives] == ["mlp", "train"]
    watch.slot.train(given(1))
    version = watch.expect(Started).code_version
    assert version is not None
    assert watch.expect(Ended).outcome is Outcome.COMPLETE

    file.write_text(TRAIN.replace("1.0", "0.125"))
    watch.slot.train(given(2))
    assert watch.expect(Stale).lease == "lease-2-1"
    watch.restart()
    watch.slot.train(given(2))
    assert watch.expect(Started).code_version not in (None, version)
    assert watch.expect(EpochDone).metrics == {"val_loss": 0.125}
    assert watch.expect(Ended).outcome is Outcome.COMPLETE

    file.write_text("def train(trial:\n")
    watch.slot.train(given(3))
    watch.expect(Stale)
    watch.restart()
    watch.slot.train(given(3))
    ended = watch.expect(Ended)
    assert ended.outcome is Outcome.FAILED
    assert ended.error is not None
    assert ended.error.kind == "SyntaxError"
    assert "def train(trial:" in ended.error.traceback

    file.write_text(TRAIN)
    watch.slot.train(given(4))
    watch.expect(Stale)
    watch.restart()
    watch.slot.train(given(4))
    assert watch.expect(Started).code_version == version
    assert watch.expect(Ended).outcome is Outcome.COMPLETE
