"""A crew without processes on GPUs that are not there: tests say what each training takes, and when it ends."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

from caviar.contract.messages import Assignment
from caviar.contract.study import Metric, ObjectiveRef, Requires
from tests.fakes.nvml import Machine, Part
from worker.devices.driver import Driver
from worker.placing import SlotView
from worker.placing.gpu import GpuPlacing
from worker.placing.needs import Needs

MIB = 1024**2
GIB = 1024**3


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


_numbers = itertools.count(1)


def assignment(
    objective: str = "mlp",
    *,
    is_alone: bool = False,
    config: Any = None,
    least_bytes: int | None = None,
    **params: Any,
) -> Assignment:
    """A trial to train; each call makes another one."""
    number = next(_numbers)
    return Assignment(
        trial_id=number,
        study="s",
        number=number,
        attempt=1,
        lease=f"lease-{number}",
        lease_ttl_s=60,
        params=params,
        seed=1,
        data_seed=1,
        objective=ObjectiveRef(name=objective, config=config or {}),
        metric=Metric(name="val_loss", direction="minimize"),
        first_epoch=1,
        is_alone=is_alone,
        requires=Requires(memory_bytes=least_bytes),
        max_epochs=3,
    )


class Box:
    """Slots on a machine's GPUs, some of them in training.

    Attributes:
        machine: The GPUs; tests change them.
        placing: What is tested.
        waiting: Trials that were offered and not placed.
    """

    def __init__(
        self,
        machine: Machine,
        folder: Path,
        *,
        num_slots: int = 8,
        slots_per_gpu: int | None = None,
        margin_bytes: int = GIB,
        has_own_process_ids: bool = False,
    ) -> None:
        self.machine = machine
        self.clock = Clock()
        self.waiting: list[Assignment] = []
        driver = Driver()
        gpus, _ = driver.gpus()
        self.placing = GpuPlacing(
            driver,
            gpus,
            slots_per_gpu=slots_per_gpu,
            margin_bytes=margin_bytes,
            needs=Needs(folder / "device-memory.json", backend="tensorflow"),
            has_own_process_ids=has_own_process_ids,
            clock=self.clock,
            max_age_s=0.0,
        )
        self._process_ids = itertools.count(5000)
        homes = [gpu.uuid for gpu in gpus for _ in range(num_slots)]
        self.slots = [SlotView(i, uuid, True, next(self._process_ids)) for i, uuid in enumerate(homes)]

    def offer(self, *assignments: Assignment) -> list[int | None]:
        """Take on trials and place what can be placed; the device number of each of these trials, None if it waits."""
        self.waiting += assignments
        self.dispatch()
        return [self.gpu_of(one) for one in assignments]

    def dispatch(self) -> None:
        """Ask for everything that waits, as the crew does."""
        for one in list(self.waiting):
            index = self.placing.choose(one, self.slots)
            if index is not None:
                assert self.slots[index].is_free
                self.slots[index] = replace(self.slots[index], is_free=False, assignment=one)
                self.waiting.remove(one)

    def slot_of(self, one: Assignment) -> SlotView | None:
        return next((slot for slot in self.slots if slot.assignment is one), None)

    def gpu_of(self, one: Assignment) -> int | None:
        slot = self.slot_of(one)
        return None if slot is None else [gpu.uuid for gpu in self._parts()].index(slot.device or "")

    def grow(self, one: Assignment, size: int, *, is_seen: bool = True) -> None:
        """A training takes device memory, unless its process holds so much already; the placing looks if told to."""
        slot = self._training(one)
        processes = self._part(slot).processes
        processes[slot.process_id] = max(size, processes.get(slot.process_id, 0))
        if is_seen:
            self.placing.devices()

    def end(self, one: Assignment, size: int | None = None) -> None:
        """A training ends, after it took so much; its process stays and keeps what it took."""
        if size is not None:
            self.grow(one, size)
        slot = self._training(one)
        self.placing.learn(one, self.placing.device_memory_bytes(slot.process_id), slot=slot)
        self.slots[slot.index] = replace(slot, is_free=True, assignment=None)

    def renew(self) -> list[int]:
        """Replace the processes that the placing wants replaced."""
        indices = self.placing.to_renew(self.slots)
        for index in indices:
            slot = self.slots[index]
            self._part(slot).processes.pop(slot.process_id, None)
            self.slots[index] = replace(slot, process_id=next(self._process_ids))
        return indices

    def num_claimable(self) -> int:
        return self.placing.num_claimable(self.slots, self.waiting)

    def _training(self, one: Assignment) -> SlotView:
        slot = self.slot_of(one)
        assert slot is not None, f"trial {one.trial_id} is not in training"
        return slot

    def _parts(self) -> list[Part]:
        return [part for gpu in self.machine.gpus for part in (gpu.slices or [gpu]) if part is not None]

    def _part(self, slot: SlotView) -> Part:
        return next(part for part in self._parts() if part.uuid == slot.device)


def taught(box: Box, *sizes: int) -> Box:
    """Equal trainings ended after they took so much, each in a process that is gone."""
    for size in sizes:
        one = assignment(units=64)
        assert box.offer(one) != [None]
        slot = box.slot_of(one)
        box.end(one, size)
        assert slot is not None
        next(gpu for gpu in box.machine.gpus if gpu.uuid == slot.device).processes.clear()
    return box
