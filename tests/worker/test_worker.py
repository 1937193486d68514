"""Whole workers, as processes of their own, with real training, over real HTTP."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from caviar.contract.messages import Checkpoint
from caviar.contract.states import Decision, Outcome, TrialState, WorkerMode
from caviar.contract.study import ObjectiveRef
from tests.worker.wire import DEADLINE_S, TOKEN, Service, Trial
from worker.checkpoints.shelf import shelf_of

LINES = Path(__file__).parent / "lines.py"
CURVES = LINES.with_name("curves.py")
MAIN = "import worker.main, worker.settings; raise SystemExit(worker.main.run(worker.settings.WorkerSettings()))"
COMMAND = [sys.executable, "-c", MAIN]
LONG = 10**6

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(service: Service, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker; whatever still runs at the end of the test is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def launch(**settings: object) -> subprocess.Popen[bytes]:
        chosen = {"url": service.url, "token": TOKEN, "name": "rig", "state_dir": tmp_path / "rig",
                  "resume_dir": tmp_path / "resume", "cpu_slots": 1, "threads_per_slot": 1, "claim_wait_s": 0.2,
                  **settings}  # fmt: skip
        chosen.setdefault("objectives", f'["{LINES}"]')
        variables = {f"CAVIAR_{name.upper()}": str(value) for name, value in chosen.items()}
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(COMMAND, env={**os.environ, **variables}, stderr=log)
        started.append(process)
        return process

    yield launch
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def add(service: Service, objective: str = "Line", **changes: object) -> Trial:
    return service.add(objective=ObjectiveRef(name=objective), **changes)


def has_epochs(*trials: Trial) -> Callable[[], bool]:
    return lambda: all(trial.epochs for trial in trials)


def test_a_worker_trains_all_there_is_and_ends_when_idle(service: Service, start: Start) -> None:
    trials = [add(service, "Raising" if number == 2 else "Dying" if number == 3 else "Line") for number in range(6)]
    worker = start(cpu_slots=2, exit_when_idle=True)
    assert worker.wait(DEADLINE_S) == 0
    outcomes = [trial.finish.outcome if trial.finish else None for trial in trials]
    done = Outcome.COMPLETE
    assert outcomes == [done, done, Outcome.FAILED, Outcome.FAILED, done, done]
    assert [sorted(trial.epochs) for trial in trials] == [[1, 2, 3], [1, 2, 3], [], [1], [1, 2, 3], [1, 2, 3]]
    killed = trials[3].finish
    assert killed is not None
    assert killed.error is not None
    assert (killed.error.kind, "these are the last words" in killed.error.traceback) == ("killed", True)
    [registration] = service.workers.values()
    assert (registration.name, registration.slots) == ("rig", 2)
    assert {"mlp", "Line"} <= {offer.name for offer in registration.objectives}
    assert [(device.kind, device.facts["backend"]) for device in registration.devices] == [("cpu", "tensorflow")]
    # All free slots ask together, and a report carries everything of its moment.
    claims = [body for path, body in service.log if path.endswith(":claim")]
    assert max(claim["max_trials"] for claim in claims) <= 2
    assert len({claim["request_id"] for claim in claims}) == len(claims)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_epoch_with_nothing_lost(
    service: Service, start: Start, number: signal.Signals
) -> None:
    trials = [add(service, max_epochs=LONG), add(service, max_epochs=LONG)]
    worker = start(cpu_slots=2)
    service.wait_for(has_epochs(*trials), "both to train")
    worker.send_signal(number)
    assert worker.wait(DEADLINE_S) == 0
    for trial in trials:
        assert (trial.num_releases, trial.finish) == (1, None)
        assert sorted(trial.epochs) == list(range(1, len(trial.epochs) + 1))


def test_a_second_signal_ends_it_at_once(service: Service, start: Start) -> None:
    trial = add(service, "Stuck", max_epochs=LONG)
    worker = start()
    service.wait_for(has_epochs(trial), "the training to be stuck")
    training = psutil.Process(worker.pid).children()
    worker.send_signal(signal.SIGTERM)
    # The epoch never ends; signals that come before the first one is handled count as one.
    while worker.poll() is None:
        worker.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(0.05)
    assert worker.returncode == 128 + signal.SIGTERM
    _gone, alive = psutil.wait_procs(training, timeout=DEADLINE_S)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


def test_after_a_kill_its_successor_delivers_and_releases_what_was_left(
    service: Service, start: Start, tmp_path: Path
) -> None:
    trial = add(service, max_epochs=LONG)
    worker = start()
    service.wait_for(has_epochs(trial), "the training")
    service.is_away = True
    known = len(trial.epochs)
    log = tmp_path / "worker.log"
    wait_until_written(worker, log, b"deliver_again")
    worker.kill()
    worker.wait()
    service.is_away = False
    kept = dict(trial.epochs)
    start()
    service.wait_for(lambda: trial.num_releases == 1, "the release")
    service.wait_for(lambda: trial.assignment.attempt == 2 and trial.epochs, "the second attempt")
    epochs = [
        item["epoch"]
        for path, body in service.log
        if path.endswith("/measurements")
        for item in body["items"]
        if item["lease"] != trial.lease
    ]
    assert len(kept) == known
    assert max(epochs) > known
    assert sorted(set(epochs)) == list(range(1, max(epochs) + 1))


def wait_until_written(worker: subprocess.Popen[bytes], log: Path, words: bytes) -> None:
    """Wait until a worker has logged something; its end would be a failure."""
    while words not in log.read_bytes():
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(0.05)
        assert worker.poll() is None, log.read_text()


def test_it_trains_on_while_the_service_is_away(service: Service, start: Start, tmp_path: Path) -> None:
    trial = add(service, max_epochs=60)
    worker = start(exit_when_idle=True)
    service.wait_for(has_epochs(trial), "the training")
    service.is_away = True
    wait_until_written(worker, tmp_path / "worker.log", b"deliver_again")
    service.is_away = False
    assert worker.wait(DEADLINE_S) == 0
    assert sorted(trial.epochs) == list(range(1, 61))
    assert trial.state is TrialState.COMPLETE


def test_a_decision_and_a_lost_lease_free_the_slot(service: Service, start: Start) -> None:
    service.lease_ttl_s = 0.5
    service.decide = lambda trial_id, epoch: Decision.STOP if (trial_id, epoch) == (1, 2) else Decision.CONTINUE
    pruned, lost = add(service, max_epochs=LONG), add(service, max_epochs=LONG)
    worker = start(cpu_slots=2, exit_when_idle=True)
    service.wait_for(lambda: pruned.state is TrialState.PRUNED and lost.epochs, "the pruning")
    with service.changed:
        lost.lease, lost.state = None, TrialState.CANCELLED
    assert worker.wait(DEADLINE_S) == 0
    assert sorted(pruned.epochs) == [1, 2]
    assert (pruned.finish, lost.finish) == (None, None)


def test_a_training_that_does_not_hear_is_killed_and_the_slot_goes_on(service: Service, start: Start) -> None:
    service.lease_ttl_s = 0.5
    stuck = add(service, "Stuck")
    worker = start(stop_grace_s=0.2, exit_when_idle=True)
    service.wait_for(has_epochs(stuck), "the training to be stuck")
    with service.changed:
        stuck.lease, stuck.state = None, TrialState.CANCELLED
    after = add(service)
    assert worker.wait(DEADLINE_S) == 0
    assert (stuck.finish, after.state) == (None, TrialState.COMPLETE)


def test_a_service_that_has_forgotten_it_meets_it_again(service: Service, start: Start) -> None:
    worker = start(exit_when_idle=False)
    service.wait_for(lambda: len(service.workers) == 1, "the registration")
    with service.changed:
        service.workers["worker-0"] = service.workers.pop("worker-1")
    service.wait_for(lambda: len(service.workers) == 2, "the second registration")
    trial = add(service)
    service.wait_for(lambda: trial.state is TrialState.COMPLETE, "the training")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_S) == 0


def test_a_wrong_token_or_a_broken_file_ends_it_with_a_reason(service: Service, start: Start, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def build(:\n")
    assert start(token="wrong").wait(DEADLINE_S) == 1
    assert start(objectives=f'["{broken}"]').wait(DEADLINE_S) == 1
    log = (tmp_path / "worker.log").read_text()
    assert "unauthorized" in log
    assert "broken.py" in log
    assert "SyntaxError" in log
    assert service.workers == {}


def ready_for_curves(service: Service, **changes: object) -> Trial:
    return add(service, "Wave", max_epochs=8, checkpoint_epochs=[2, 5], **changes)


def test_a_paused_trial_goes_on_in_another_worker_with_the_same_curve(
    service: Service, start: Start, tmp_path: Path
) -> None:
    home = {"objectives": f'["{CURVES}"]'}
    service.decide = lambda trial_id, epoch: Decision.PAUSE if (trial_id, epoch) == (1, 2) else Decision.CONTINUE
    paused = ready_for_curves(service)
    first = start(**home)
    service.wait_for(lambda: paused.state is TrialState.PAUSED, "the pause")
    whole = ready_for_curves(service)
    service.wait_for(lambda: whole.state is TrialState.COMPLETE, "the slot to be free for another trial")
    first.send_signal(signal.SIGTERM)
    assert first.wait(DEADLINE_S) == 0
    assert sorted(paused.epochs) == [1, 2]
    service.promote(paused)
    # Trials of one seed and configuration have one curve, so the second tells what the first one's should be.
    second = start(**home, name="another", state_dir=tmp_path / "another", exit_when_idle=True)
    assert second.wait(DEADLINE_S) == 0
    assert paused.epochs == whole.epochs
    assert [body for path, body in service.log if path.endswith(":release")] == []
    assert list((tmp_path / "resume").glob("*/*")) == []


def test_a_trial_whose_checkpoint_is_on_another_machine_begins_anew(
    service: Service, start: Start, tmp_path: Path
) -> None:
    service.lease_ttl_s = 0.5
    lost = ready_for_curves(service, first_epoch=3, checkpoint=Checkpoint(epoch=2))
    left = tmp_path / "resume"
    # What a trial that nobody knows has left here goes at a heartbeat.
    stale = shelf_of(left, service.url).path(99, 4)
    stale.parent.mkdir(parents=True)
    stale.touch()
    worker = start(objectives=f'["{CURVES}"]')
    service.wait_for(lambda: lost.state is TrialState.COMPLETE, "the training")
    service.wait_for(lambda: not stale.exists(), "the stale checkpoint to go")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_S) == 0
    assert (lost.num_releases, sorted(lost.epochs)) == (1, list(range(1, 9)))
    assert b"checkpoint_missing" in (tmp_path / "worker.log").read_bytes()


def test_whatever_a_training_does_its_end_is_told_and_the_others_go_on(service: Service, start: Start) -> None:
    names = ["Stuck", "Swelling", "Talking", "Line", "Line"]
    stuck, swelling, talking, *lines = (add(service, name) for name in names)
    # A process without data takes some 0.8 GB.
    worker = start(cpu_slots=2, max_epoch_s=8, max_slot_memory_bytes=1_500_000_000, exit_when_idle=True)
    assert worker.wait(DEADLINE_S) == 0
    ends = {trial.assignment.trial_id: trial.finish for trial in service.trials.values()}
    told = {number: end for number, end in ends.items() if end is not None}
    outcomes = [told[trial.assignment.trial_id].outcome for trial in (stuck, swelling, talking, *lines)]
    done = Outcome.COMPLETE
    assert outcomes == [Outcome.STALLED, Outcome.OUT_OF_MEMORY, done, done, done]
    assert "in happen" in (told[1].log_tail or "")
    error, facts = told[2].error, told[2].facts
    assert error is not None
    assert facts is not None
    assert "its limit is 1,431 MiB" in error.message
    assert (facts.peak_memory_bytes or 0) > 1_500_000_000
    assert "hear me out" in (told[3].log_tail or "")
    assert (facts.device, facts.backend) == ("cpu", "tensorflow")


def test_a_pause_and_a_drain_by_the_operator_let_trainings_end(service: Service, start: Start) -> None:
    service.lease_ttl_s = 0.5
    running = add(service, max_epochs=LONG)
    worker = start(cpu_slots=2)
    service.wait_for(has_epochs(running), "the training")
    with service.changed:
        service.mode = WorkerMode.PAUSED
    asked = len(service.log)
    service.wait_for(lambda: any(beat(body) for _, body in service.log[asked:]), "the slots to be told")
    num_claims = sum(path.endswith(":claim") for path, _ in service.log)
    known = len(running.epochs)
    service.wait_for(lambda: len(running.epochs) > known + 5, "it to train on")
    service.wait_for(lambda: sum(path.endswith(":heartbeat") for path, _ in service.log[asked:]) > 3, "heartbeats")
    assert sum(path.endswith(":claim") for path, _ in service.log) <= num_claims + 1
    with service.changed:
        service.mode = WorkerMode.DRAINING
    known = len(running.epochs)
    service.wait_for(lambda: len(running.epochs) > known + 5, "it to train on although the worker drains")
    with service.changed:
        running.lease, running.state = None, TrialState.CANCELLED
    assert worker.wait(DEADLINE_S) == 0


def beat(body: dict[str, object]) -> bool:
    """Whether a request tells that one slot trains and the other does not."""
    slots = body.get("slots")
    return isinstance(slots, list) and sorted(slot["state"] for slot in slots) == ["idle", "training"]
