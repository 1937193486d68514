"""A GPU as the service is told of it."""

from __future__ import annotations

from caviar.contract.fleet import Device
from caviar.contract.model import JsonObject
from worker.devices.driver import Gpu, Reading


def device(gpu: Gpu, reading: Reading | None, *, num_slots: int | None, problem: str | None) -> Device:
    """The facts of a GPU or slice; what it does not tell is left out.

    Args:
        gpu: The device.
        reading: What it told last; None if it does not answer.
        num_slots: Trainings that may run on it at the same time.
        problem: Why it cannot be used now.
    """
    told: JsonObject = {}
    if gpu.slice is not None:
        told["gpu"], told["slice"] = gpu.index, gpu.slice
    if problem is not None:
        told["problem"] = problem
    return Device(
        kind=gpu.kind,
        name=gpu.name,
        index=gpu.index,
        uuid=gpu.uuid,
        memory_total_bytes=None if reading is None else reading.total_bytes,
        memory_used_bytes=None if reading is None else reading.used_bytes,
        utilisation=None if reading is None else reading.utilisation,
        temperature_c=None if reading is None else reading.temperature_c,
        power_w=None if reading is None else reading.power_w,
        num_slots=0 if problem is not None else num_slots,
        facts=told,
    )
