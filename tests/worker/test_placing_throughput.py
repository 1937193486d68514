"""Many trainings on four GPUs, step by step, with other programs that come and go."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from caviar.contract.messages import Assignment
from tests.fakes import nvml
from tests.fakes.box import GIB, MIB, Box, assignment

_NUM_TRIALS = 150
_STRANGER = 77
_STEPS = 10


@dataclass
class Progress:
    """A training: what it will need, and the steps that it has done."""

    need_bytes: int
    step: int = 0


def drawn(rng: random.Random) -> Assignment:
    return assignment(
        learning_rate=10 ** rng.uniform(-4, 0),
        units=2 ** rng.randint(6, 12),
        num_layers=rng.randint(1, 6),
        optimizer=rng.choice(["sgd", "adam"]),
    )


def need_bytes(trial: Assignment, rng: random.Random) -> int:
    """A context, and weights with what the optimizer keeps of them; equal trainings differ by 3 %."""
    units, layers = int(trial.params["units"] or 0), int(trial.params["num_layers"] or 0)
    copies = 4 if trial.params["optimizer"] == "adam" else 2
    return int((600 * MIB + units**2 * layers * copies * 40) * rng.uniform(0.97, 1.03))


class Simulation:
    """Steps of all trainings; one that finds no memory is offered again, alone."""

    def __init__(self, box: Box, seed: int) -> None:
        self.box = box
        self.rng = random.Random(seed)
        self.queue = [drawn(self.rng) for _ in range(_NUM_TRIALS)]
        self.running: dict[str, tuple[Assignment, Progress]] = {}
        self.num_done = 0
        self.num_out_of_memory = 0
        self.num_running: list[int] = []

    def run(self) -> None:
        while self.queue or self.box.waiting or self.running:
            assert len(self.num_running) < 10_000, "it does not come to an end"
            self._step()

    def _step(self) -> None:
        self._stranger()
        room = self.box.num_claimable()
        claimed, self.queue = self.queue[:room], self.queue[room:]
        self.box.offer(*claimed)
        self.box.renew()
        for slot in self.box.slots:
            if slot.assignment is not None and slot.assignment.lease not in self.running:
                self.running[slot.assignment.lease] = (slot.assignment, Progress(need_bytes(slot.assignment, self.rng)))
        for trial, progress in list(self.running.values()):
            self._train(trial, progress)
        self.num_running.append(len(self.running))
        self.box.clock.now += 1

    def _train(self, trial: Assignment, progress: Progress) -> None:
        progress.step += 1
        self.box.grow(trial, min(progress.need_bytes, progress.need_bytes * progress.step // 2), is_seen=False)
        slot = self.box.slot_of(trial)
        assert slot is not None
        gpu = next(gpu for gpu in self.box.machine.gpus if gpu.uuid == slot.device)
        if gpu.used_bytes > gpu.total_bytes:
            self.num_out_of_memory += 1
            assert not trial.is_alone
            self.box.end(trial)
            gpu.processes.pop(slot.process_id)
            self.queue.insert(0, trial.model_copy(update={"is_alone": True, "lease": f"{trial.lease}-again"}))
        elif progress.step == _STEPS:
            self.num_done += 1
            self.box.end(trial)
        else:
            return
        del self.running[trial.lease]

    def _stranger(self) -> None:
        gpu = self.rng.choice(self.box.machine.gpus)
        if self.rng.random() < 0.05:
            free = gpu.total_bytes - gpu.used_bytes
            gpu.processes[_STRANGER] = free // 2
        elif self.rng.random() < 0.2:
            gpu.processes.pop(_STRANGER, None)


@pytest.mark.parametrize(("size_gib", "seed", "least_at_a_time"), [(80, 1, 15), (80, 2, 15), (24, 1, 9), (24, 2, 9)])
def test_many_share_the_gpus_and_hardly_any_runs_out_of_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size_gib: int, seed: int, least_at_a_time: float
) -> None:
    state = nvml.machine(4, total_bytes=size_gib * GIB)
    nvml.install(monkeypatch, state)
    simulation = Simulation(Box(state, tmp_path), seed)
    simulation.run()
    assert simulation.num_done == _NUM_TRIALS
    assert simulation.num_out_of_memory <= 0.03 * _NUM_TRIALS
    # One on each GPU would be 4.
    assert sum(simulation.num_running) / len(simulation.num_running) > least_at_a_time
