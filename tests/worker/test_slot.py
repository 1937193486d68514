"""Slots with real training processes: what they report, how they die, how they stop."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from structlog.testing import capture_logs

from caviar.contract.states import Outcome
from caviar.contract.study import ObjectiveRef
from tests.worker.wire import DEADLINE_S, assignment
from worker.channel import Broken, Ended, EpochDone, Message, Ready, Setup, Started
from worker.cores import thread_environment
from worker.events import SlotExited, SlotSaid
from worker.slot import Slot, crash, training_environment

LINES = Path(__file__).parent / "lines.py"
Kind = TypeVar("Kind")


class Watch:
    """A slot, and what comes out of it."""

    def __init__(self, folder: Path, objectives: tuple[str, ...] = (str(LINES),)) -> None:
        self.events: queue.SimpleQueue[SlotSaid | SlotExited] = queue.SimpleQueue()
        self.seen: list[Message | SlotExited] = []
        setup = Setup(objectives=objectives, data_dir=folder, checkpoints_dir=None, resume_dir=folder)
        environment = training_environment({**os.environ, "CAVIAR_TOKEN": "secret"}, thread_environment(1))
        self.slot = Slot(0, setup, environment, folder / "slot.log", self.events.put)

    def expect(self, kind: type[Kind], where: Callable[[Kind], bool] = lambda _event: True) -> Kind:
        """The next event of a kind, with what came before it in `seen`."""
        while True:
            event = self.events.get(timeout=DEADLINE_S)
            told = event.message if isinstance(event, SlotSaid) else event
            self.seen.append(told)
            if isinstance(told, kind) and where(told):
                return told

    def train(self, objective: str = "Line", **changes: Any) -> None:
        self.slot.train(assignment(objective=ObjectiveRef(name=objective), **changes))

    def epochs(self) -> list[int]:
        return [told.epoch for told in self.seen if isinstance(told, EpochDone)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    watch = Watch(tmp_path_factory.mktemp("slot"))
    watch.slot.start()
    yield watch
    watch.slot.close()


@pytest.fixture
def watch(shared: Watch) -> Watch:
    """A slot whose process may have trained for other tests before, as in life."""
    shared.seen.clear()
    return shared


def test_one_process_trains_many_trials_whatever_they_raise(watch: Watch) -> None:
    ready = watch.expect(Ready)
    assert {"mlp", "Line", "Dying"} <= {offer.name for offer in ready.objectives}
    assert ready.backend == os.environ.get("KERAS_BACKEND", "tensorflow")
    assert {"python", "keras", "numpy", ready.backend} == ready.versions.keys()
    assert ready.memory_bytes > 0
    for objective, outcome in [("Line", Outcome.COMPLETE), ("Raising", Outcome.FAILED),
                               ("Hungry", Outcome.OUT_OF_MEMORY), ("Line", Outcome.COMPLETE)]:  # fmt: skip
        watch.train(objective, lease=f"lease-{objective}")
        assert watch.expect(Started).lease == f"lease-{objective}"
        assert watch.expect(Ended).outcome is outcome
    assert psutil.pid_exists(watch.slot.process_id)
    assert watch.epochs() == [1, 2, 3, 1, 1, 2, 3]


@pytest.mark.parametrize(("objective", "status", "kind", "words"), [
    ("Dying", -signal.SIGKILL, "killed", "SIGKILL"),
    ("Exiting", 3, "exited", "status 3"),
])  # fmt: skip
def test_a_dead_process_leaves_its_last_words_and_can_be_replaced(
    watch: Watch, objective: str, status: int, kind: str, words: str
) -> None:
    watch.train(objective)
    exited = watch.expect(SlotExited)
    assert exited.status == status
    assert exited.process_id == watch.slot.process_id
    error = crash(exited.status, exited.last_words)
    assert error.kind == kind
    assert words in error.message
    assert ("these are the last words" in error.traceback) == (objective == "Dying")
    watch.slot.start()
    watch.train()
    assert watch.expect(Ended).outcome is Outcome.COMPLETE


def test_what_a_training_takes_and_writes_is_its_own(watch: Watch) -> None:
    start = watch.slot.mark_log()
    watch.train("Talking")
    ended = watch.expect(Ended)
    first, former = watch.slot.log_tail(start), ended.peak_memory_bytes
    assert "hear me out" in first
    assert former is not None
    assert former > 10 * 1024**2
    assert ended.peak_device_memory_bytes is None
    start = watch.slot.mark_log()
    watch.train()
    watch.expect(Ended)
    assert watch.slot.log_tail(start) == ""


def test_of_a_long_log_the_last_whole_lines_are_kept(tmp_path: Path) -> None:
    slot = Watch(tmp_path).slot
    assert slot.log_tail(slot.mark_log()) == ""
    lines = [f"line {number}: {'x' * 90}\n" for number in range(1000)]
    slot.log_path.write_text("of a former trial\n" + "".join(lines), encoding="utf-8")
    tail = slot.log_tail(0).splitlines(keepends=True)
    assert tail == lines[-len(tail) :]
    assert 16_000 < sum(map(len, tail)) <= 16 * 1024
    assert slot.log_tail(slot.log_path.stat().st_size - len(lines[-1])) == lines[-1]


def test_a_process_without_a_log_trains_all_the_same(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    (tmp_path / "no-folder").write_text("a file")
    watch.slot.log_path = tmp_path / "no-folder" / "slot.log"
    with capture_logs() as logged:
        watch.slot.start()
    watch.expect(Ready)
    watch.slot.close()
    assert {"log_not_rotated", "log_not_written"} == {entry["event"] for entry in logged}
    assert watch.slot.log_tail(0) == ""


def test_a_stuck_training_shows_where_it_is(watch: Watch) -> None:
    start = watch.slot.mark_log()
    watch.train("Stuck")
    watch.expect(EpochDone)
    deadline = time.monotonic() + DEADLINE_S
    # The first epochs may be under way still; asking again does no harm.
    while "in happen" not in watch.slot.log_tail(start) and time.monotonic() < deadline:
        watch.slot.trace()
        with contextlib.suppress(queue.Empty):
            watch.events.get(timeout=0.1)
    shown = watch.slot.log_tail(start)
    watch.slot.kill()
    watch.expect(SlotExited)
    watch.slot.start()
    watch.expect(Ready)
    assert "in happen" in shown


def test_a_process_keeps_to_its_cores_and_says_when_its_device_is_missing(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    core = min(os.sched_getaffinity(0))
    watch.slot.setup = watch.slot.setup.model_copy(update={"cores": (core,)})
    watch.slot.start()
    watch.expect(Ready)
    assert psutil.Process(watch.slot.process_id).cpu_affinity() == [core]
    watch.slot.setup = watch.slot.setup.model_copy(update={"device": "GPU-0000"})
    watch.slot.start()
    broken = watch.expect(Broken)
    assert broken.is_slots_own
    assert "GPU-0000 is not seen by tensorflow" in broken.message
    watch.slot.close()


def test_a_training_stops_at_once_or_at_the_end_of_its_epoch(watch: Watch) -> None:
    for is_urgent in (True, False):
        watch.seen.clear()
        watch.train(max_epochs=10**6, lease=f"lease-{is_urgent}")
        watch.expect(EpochDone)
        watch.slot.stop(f"lease-{is_urgent}", is_urgent=is_urgent)
        assert watch.expect(Ended).outcome is None
        assert watch.epochs() == list(range(1, len(watch.epochs()) + 1))


def test_a_stop_for_another_training_is_not_heard(watch: Watch) -> None:
    watch.slot.stop("another", is_urgent=True)
    watch.train()
    assert watch.expect(Ended).outcome is Outcome.COMPLETE


def test_signals_to_the_whole_group_leave_the_training_to_its_supervisor(watch: Watch) -> None:
    watch.train(max_epochs=40)
    watch.expect(EpochDone)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(watch.slot.process_id, number)
    assert watch.expect(Ended).outcome is Outcome.COMPLETE
    assert watch.epochs() == list(range(1, 41))


@pytest.mark.parametrize(("content", "words"), [
    ("def broken(:\n", "SyntaxError"),
    ("import a_package_that_nobody_has\n", "a_package_that_nobody_has"),
    ("x = 1\n", "no objective"),
])  # fmt: skip
def test_a_broken_file_is_told_in_words(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(content)
    watch = Watch(tmp_path, (str(file),))
    watch.slot.start()
    assert words in watch.expect(Broken).message
    assert watch.expect(SlotExited).status == 1
    watch.slot.close()


PARENT = """
import os, queue, signal, sys
from pathlib import Path
from worker.channel import Ready, Setup
from worker.cores import thread_environment
from worker.slot import Slot, training_environment

events = queue.SimpleQueue()
folder = Path(sys.argv[1])
setup = Setup(objectives=(), data_dir=folder, checkpoints_dir=None, resume_dir=folder)
slot = Slot(0, setup, training_environment(os.environ, thread_environment(1)), folder / "log", events.put)
slot.start()
while not isinstance(events.get(timeout=100).message, Ready):
    pass
print(slot.process_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_whose_supervisor_was_killed_ends_itself(tmp_path: Path) -> None:
    parent = subprocess.run([sys.executable, "-c", PARENT, str(tmp_path)], check=False, capture_output=True, text=True)
    assert parent.returncode == -signal.SIGKILL
    try:
        orphan = psutil.Process(int(parent.stdout))
    except psutil.NoSuchProcess:
        return
    gone, _alive = psutil.wait_procs([orphan], timeout=DEADLINE_S / 10)
    # Whoever adopted it may leave it a zombie; then it is dead all the same.
    assert gone or orphan.status() == psutil.STATUS_ZOMBIE


def test_user_code_never_sees_the_token(watch: Watch) -> None:
    environment = psutil.Process(watch.slot.process_id).environ()
    assert "CAVIAR_TOKEN" not in environment
    assert environment["TF_NUM_INTRAOP_THREADS"] == "1"
    assert environment["KERAS_BACKEND"] == os.environ.get("KERAS_BACKEND", "tensorflow")


def test_a_long_log_begins_anew(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.slot.log_path.write_bytes(b"x" * (11 * 1024**2))
    watch.slot.start()
    watch.expect(Ready)
    watch.slot.close()
    assert watch.slot.log_path.stat().st_size < 1024**2
    assert (tmp_path / "slot.old.log").stat().st_size == 11 * 1024**2
