"""NVIDIA's driver, asked through its library NVML: no framework is imported, and no memory of a GPU taken.

Source: NVIDIA, "NVML API Reference Guide", chapters Device Queries and Multi Instance GPU Management.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pynvml

T = TypeVar("T")

# The number that Linux gives to its first namespace of processes, see include/linux/proc_ns.h.
_FIRST_NAMESPACE = "pid:[4026531836]"

_GONE = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED, pynvml.NVML_ERROR_GPU_NOT_FOUND)
_SAID = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "there is no NVIDIA driver on this machine (libnvidia-ml.so.1 was not found); "
    "in a container, start it with the NVIDIA runtime if it should have GPUs",
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is installed but not loaded; load its kernel module "
    "(`modprobe nvidia`) or restart the machine",
    pynvml.NVML_ERROR_NO_PERMISSION: "this user may not talk to the NVIDIA driver; allow it to read and write "
    "/dev/nvidia* (often by the group `video`)",
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the NVIDIA driver was updated while the old one is still "
    "loaded; restart the machine",
}


class NoGpus(Exception):
    """There is no GPU to train on; the message says why.

    Attributes:
        is_normal: Whether that is to be expected: a machine without GPUs, rather than one whose driver is broken.
    """

    def __init__(self, message: str, *, is_normal: bool) -> None:
        """Keep the reason."""
        super().__init__(message)
        self.is_normal = is_normal


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a slice of one, that trainings can be placed on.

    Attributes:
        kind: `gpu`, or `mig` for a slice.
        index: Number of the GPU on the machine, as `nvidia-smi` counts.
        slice: Number of the slice within the GPU; None for a whole one.
        uuid: `GPU-…` or `MIG-…`.
        name: Model, for people.
        handle: The driver's own handle.
        parent: Handle of the GPU that a slice belongs to; else the same handle.
    """

    kind: Literal["gpu", "mig"]
    index: int
    slice: int | None
    uuid: str
    name: str
    handle: Any = field(repr=False, compare=False, hash=False)
    parent: Any = field(repr=False, compare=False, hash=False)

    @property
    def number(self) -> str:
        """`2`, or `2:0` for the first slice of GPU 2."""
        return str(self.index) if self.slice is None else f"{self.index}:{self.slice}"


@dataclass(frozen=True)
class Reading:
    """A GPU at one moment; what it does not tell is None.

    Attributes:
        total_bytes: Its memory.
        used_bytes: Memory in use, by whomever.
        utilisation: Share of the last moments in which it was computing, 0-1; slices do not tell.
        temperature_c: Degrees Celsius; of a slice, those of its GPU.
        power_w: Watts; slices do not tell.
        process_bytes: Memory by process id; None if the driver does not tell.
    """

    total_bytes: int | None
    used_bytes: int | None
    utilisation: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    process_bytes: dict[int, int] | None = None

    @property
    def free_bytes(self) -> int | None:
        """Memory that nobody uses."""
        if self.total_bytes is None or self.used_bytes is None:
            return None
        return max(0, self.total_bytes - self.used_bytes)


class GpuLost(Exception):
    """A GPU has fallen off the bus, or must be reset: nothing can run on it until the worker is started again."""


class Unreadable(Exception):
    """A GPU does not answer now; it may later."""


class Driver:
    """A connection to the driver; usable from several threads."""

    def __init__(self) -> None:
        """Connect.

        Raises:
            NoGpus: There is no driver, it is not loaded, or this user may not use it.
        """
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            is_normal = error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
            raise NoGpus(_said(error), is_normal=is_normal) from error

    def close(self) -> None:
        """Let the driver go."""
        pynvml.nvmlShutdown()

    def gpus(self) -> tuple[list[Gpu], list[str]]:
        """What trainings can be placed on: whole GPUs, and the slices of those that are sliced.

        Returns:
            The GPUs, and a sentence for each that cannot be used.
        Raises:
            NoGpus: The driver cannot say how many there are.
        """
        try:
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            raise NoGpus(_said(error), is_normal=False) from error
        found: list[Gpu] = []
        broken = []
        for index in range(count):
            try:
                found += _gpus_at(index)
            except pynvml.NVMLError as error:
                broken.append(f"GPU {index} cannot be used: {_said(error)}")
        return found, broken

    def read(self, gpu: Gpu) -> Reading:
        """Memory, load and heat of a GPU now.

        Raises:
            GpuLost: It is gone for good.
            Unreadable: It does not answer now.
        """
        try:
            memory = _told(pynvml.nvmlDeviceGetMemoryInfo, gpu.handle)
            return Reading(
                total_bytes=None if memory is None else int(memory.total),
                used_bytes=None if memory is None else int(memory.used),
                utilisation=_utilisation(gpu),
                temperature_c=_told(pynvml.nvmlDeviceGetTemperature, gpu.parent, pynvml.NVML_TEMPERATURE_GPU),
                power_w=_power_w(gpu),
                process_bytes=_process_bytes(gpu),
            )
        except pynvml.NVMLError as error:
            raise (GpuLost if error.value in _GONE else Unreadable)(_said(error)) from error


def has_own_process_ids(namespace: Path = Path("/proc/self/ns/pid")) -> bool:
    """Whether this process counts processes otherwise than its machine does, as in most containers.

    The driver may then name processes by ids that mean nothing here, or leave them out.

    Args:
        namespace: Link that names the namespace of process ids.
    """
    try:
        return str(namespace.readlink()) != _FIRST_NAMESPACE
    except OSError:
        return False


def _gpus_at(index: int) -> list[Gpu]:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    name = str(pynvml.nvmlDeviceGetName(handle))
    mode = _told(pynvml.nvmlDeviceGetMigMode, handle)
    if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return [Gpu("gpu", index, None, str(pynvml.nvmlDeviceGetUUID(handle)), name, handle, handle)]
    return [
        Gpu("mig", index, number, str(pynvml.nvmlDeviceGetUUID(part)), _slice_name(part, name), part, handle)
        for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle))
        if (part := _slice_at(handle, number)) is not None
    ]


def _slice_at(handle: Any, number: int) -> Any:
    # Places of slices that were not made are empty.
    try:
        return pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
    except (pynvml.NVMLError_NotFound, pynvml.NVMLError_InvalidArgument):
        return None


def _slice_name(part: Any, whole: str) -> str:
    # Older drivers give a slice the name of its GPU, or none.
    name = _told(pynvml.nvmlDeviceGetName, part)
    return f"{whole} MIG" if name is None or name == whole else str(name)


def _utilisation(gpu: Gpu) -> float | None:
    rates = _told(pynvml.nvmlDeviceGetUtilizationRates, gpu.handle)
    return None if rates is None else min(1.0, int(rates.gpu) / 100)


def _power_w(gpu: Gpu) -> float | None:
    milliwatts = _told(pynvml.nvmlDeviceGetPowerUsage, gpu.handle)
    return None if milliwatts is None else int(milliwatts) / 1000


def _process_bytes(gpu: Gpu) -> dict[int, int] | None:
    try:
        processes = _told(pynvml.nvmlDeviceGetComputeRunningProcesses, gpu.handle)
    except pynvml.NVMLLibraryMismatchError:
        # Drivers before 510 have only the older form of this question.
        processes = _told(pynvml.nvmlDeviceGetComputeRunningProcesses_v2, gpu.handle)
    if processes is None or any(process.usedGpuMemory is None for process in processes):
        return None
    return {int(process.pid): int(process.usedGpuMemory) for process in processes}


def _told(ask: Callable[..., T], *arguments: Any) -> T | None:
    """What a GPU answers; None if it does not know such things, or tells them to others only."""
    try:
        return ask(*arguments)
    except pynvml.NVMLError as error:
        silent = (
            pynvml.NVML_ERROR_NOT_SUPPORTED,
            pynvml.NVML_ERROR_NO_PERMISSION,
            pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            pynvml.NVML_ERROR_INVALID_ARGUMENT,
        )
        if error.value in silent:
            return None
        raise


def _said(error: pynvml.NVMLError) -> str:
    return _SAID.get(error.value, f"the NVIDIA driver says: {error}")
