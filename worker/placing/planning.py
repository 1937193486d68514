"""The slots of a worker: on which devices, with which variables and cores, and who decides what they train."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from worker import cores
from worker.devices.driver import Driver, has_own_process_ids
from worker.devices.environment import device_environment
from worker.devices.selection import Selection, select
from worker.memory import MachineMemory
from worker.placing.cpu import CpuPlacing
from worker.placing.gpu import GpuPlacing
from worker.placing.needs import Needs
from worker.placing.protocol import Placing

Number = int | Literal["auto"]

# A process with TensorFlow holds 620 MB after its first fit (TensorFlow 2.21, measured on Linux); the rest is for data
# and model.
CPU_PROCESS_BYTES = 1024**3
# Assumed, not measured: the libraries of CUDA come on top of those of the framework, and data are staged for the GPU.
GPU_PROCESS_BYTES = 2 * 1024**3
# A process that has touched a GPU holds a context there, some 0.5 GB: with more processes little is left for models.
LEAST_DEVICE_BYTES = 2 * 1024**3
MAX_SLOTS_PER_GPU = 8
_LEARNT = "device-memory.json"


@dataclass(frozen=True)
class Wishes:
    """What the operator says about devices and slots.

    Attributes:
        devices: `auto`, `cpu`, or a list of GPUs.
        slots_per_gpu: Trainings at the same time on each GPU; `auto` goes by measured memory.
        cpu_slots: Trainings at the same time on the CPU; `auto` is one per core, as memory allows.
        threads_per_slot: CPU threads of each training; None to divide the cores.
        pin_cores: Whether trainings on the CPU stay on cores of their own.
        gpu_margin_bytes: Memory that is to stay free on each GPU.
        backend: Backend of Keras.
    """

    devices: str = "auto"
    slots_per_gpu: Number = "auto"
    cpu_slots: Number = "auto"
    threads_per_slot: int | None = None
    pin_cores: bool = True
    gpu_margin_bytes: int = 1024**3
    backend: str = "tensorflow"


@dataclass(frozen=True)
class SlotPlan:
    """A slot before it has a process.

    Attributes:
        device: Uuid of its device; None for the CPU.
        device_name: Model of the device, for people.
        environment: Variables of its processes, which count more than the worker's own.
        cores: The cores that its processes are pinned to; None for any.
    """

    device: str | None
    device_name: str
    environment: Mapping[str, str]
    cores: frozenset[int] | None


@dataclass(frozen=True)
class Plan:
    """All slots, and who decides what they train.

    Attributes:
        slots: In the order of their indices.
        placing: Decides where and when trainings start.
        words: What the operator should know about the devices.
        is_normal: Whether these words tell of nothing out of order.
    """

    slots: tuple[SlotPlan, ...]
    placing: Placing
    words: tuple[str, ...] = ()
    is_normal: bool = True

    @property
    def word(self) -> str | None:
        """The words as one sentence; None if there are none."""
        return "; ".join(self.words) or None


def plan(
    wishes: Wishes,
    *,
    state_dir: Path,
    outer: Mapping[str, str] = os.environ,
    connect: Callable[[], Driver] = Driver,
    memory_bytes: Callable[[], int] | None = None,
) -> Plan:
    """Find the devices and divide them into slots.

    Args:
        wishes: What the operator says.
        state_dir: The worker's state folder; what trainings needed is kept there.
        outer: The worker's environment.
        connect: Opens the connection to the driver.
        memory_bytes: Says how much memory of the machine is available; None to ask the system.
    Raises:
        InvalidRequest: A GPU that the operator names is not there.
    """
    selection = select(wishes.devices, outer, connect=connect)
    if selection.driver is None:
        return _cpu_plan(wishes, selection, outer, (memory_bytes or available_bytes)())
    needs = Needs(state_dir / _LEARNT, backend=wishes.backend)
    placing = GpuPlacing(
        selection.driver,
        selection.gpus,
        slots_per_gpu=None if wishes.slots_per_gpu == "auto" else wishes.slots_per_gpu,
        margin_bytes=wishes.gpu_margin_bytes,
        needs=needs,
        has_own_process_ids=has_own_process_ids(),
    )
    return _gpu_plan(wishes, selection, placing, outer, (memory_bytes or available_bytes)())


def available_bytes(memory: MachineMemory | None = None) -> int:
    """Memory of the machine that could still be taken, less what the container's limit withholds.

    Args:
        memory: Where the kernel tells of it; systems that tell nothing there are asked otherwise.
    """
    told = (memory or MachineMemory()).available_bytes()
    return int(psutil.virtual_memory().available) if told is None else told


def num_cpu_slots(num_cores: int, memory_bytes: int) -> int:
    """Slots on the CPU: one per core, as memory allows, at least 1."""
    return max(1, min(num_cores, memory_bytes // CPU_PROCESS_BYTES))


def num_gpu_slots(num_gpus: int, num_cores: int, memory_bytes: int, least_device_bytes: int | None) -> int:
    """Slots on each GPU from which memory chooses: at most 8, one per core and 2 GB of either memory, at least 1.

    Args:
        num_gpus: GPUs of the worker.
        num_cores: Cores that it may use.
        memory_bytes: Memory of the machine that it may use.
        least_device_bytes: Memory of the smallest GPU; None if unknown.
    """
    bounds = [MAX_SLOTS_PER_GPU, num_cores // num_gpus, memory_bytes // (num_gpus * GPU_PROCESS_BYTES)]
    if least_device_bytes is not None:
        bounds.append(least_device_bytes // LEAST_DEVICE_BYTES)
    return max(1, min(bounds))


def _cpu_plan(wishes: Wishes, selection: Selection, outer: Mapping[str, str], memory_bytes: int) -> Plan:
    usable = cores.usable_cores()
    count = num_cpu_slots(usable, memory_bytes) if wishes.cpu_slots == "auto" else wishes.cpu_slots
    threads = wishes.threads_per_slot or max(1, usable // count)
    environment = {**cores.thread_environment(threads), **device_environment(None, wishes.backend, outer)}
    pinnable = cores.pinnable_cores() if wishes.pin_cores else None
    parts = [None] * count if pinnable is None else cores.divide(pinnable, count)
    placing = CpuPlacing(count)
    slots = tuple(SlotPlan(None, placing.name, environment, part) for part in parts)
    return Plan(slots, placing, selection.words, selection.is_normal)


def _gpu_plan(
    wishes: Wishes, selection: Selection, placing: GpuPlacing, outer: Mapping[str, str], memory_bytes: int
) -> Plan:
    usable, gpus, count = cores.usable_cores(), selection.gpus, wishes.slots_per_gpu
    if count == "auto":
        sizes = [device.memory_total_bytes for device in placing.devices() if device.memory_total_bytes is not None]
        count = num_gpu_slots(len(gpus), usable, memory_bytes, min(sizes, default=None))
    # What feeds a GPU works in bursts: two threads are better than a share of one.
    threads = wishes.threads_per_slot or max(min(2, usable), usable // (count * len(gpus)))
    shared = cores.thread_environment(threads)
    slots = tuple(
        SlotPlan(gpu.uuid, gpu.name, {**shared, **device_environment(gpu.uuid, wishes.backend, outer)}, None)
        for gpu in gpus
        for _ in range(count)
    )
    return Plan(slots, placing, selection.words, selection.is_normal)
