"""A machine with GPUs that is not there: NVML as a library, so that the real `pynvml` runs on top of it.

Tests change the machine while the code under test looks at it. In this process: `install(monkeypatch, machine)`. In
others: start them with `environment(path)`, and `write(path, machine)` whenever something changes.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pynvml
import pytest

VARIABLE = "FAKE_NVML"
GIB = 1024**3
_ROOT = Path(__file__).resolve().parents[2]
_SLICES_PER_GPU = 7
_HANDLES_PER_GPU = 100


@dataclass
class Part:
    """A GPU, or a slice of one.

    Attributes:
        uuid: `GPU-…` or `MIG-…`.
        name: Model.
        total_bytes: Its memory.
        taken_bytes: Memory that nobody is named for, such as the driver's own.
        processes: Memory by process id.
        error: What it answers to every question, such as NVML_ERROR_GPU_IS_LOST; 0 if it works.
        unsupported: Names of functions that it does not support.
        shows: Which processes it names: `all`, `none`, or `host` for ids that mean nothing here.
        slices: Slices, if it is sliced; None for an empty place.
    """

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    total_bytes: int = 80 * GIB
    taken_bytes: int = 0
    processes: dict[int, int] = field(default_factory=dict)
    utilisation: int = 0
    temperature: int = 40
    milliwatts: int = 90_000
    error: int = 0
    unsupported: list[str] = field(default_factory=list)
    shows: str = "all"
    slices: list[Part | None] | None = None

    @property
    def used_bytes(self) -> int:
        return self.taken_bytes + sum(self.processes.values())


@dataclass
class Machine:
    """All GPUs, and what the driver answers to the first question (0 if it works)."""

    gpus: list[Part] = field(default_factory=list)
    init_error: int = 0


def machine(num_gpus: int = 4, **options: Any) -> Machine:
    """A machine with equal GPUs."""
    return Machine([Part(f"GPU-{index}{index}{index}{index}-fake", **options) for index in range(num_gpus)])


def install(monkeypatch: pytest.MonkeyPatch, state: Machine) -> None:
    """Let `pynvml` in this process see a machine, which the test may change."""
    monkeypatch.setattr(pynvml, "nvmlLib", Library(lambda: state))
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})


def environment(path: Path) -> dict[str, str]:
    """Variables by which another Python process sees the machine in a file."""
    inherited = [entry for entry in (os.environ.get("PYTHONPATH"),) if entry]
    search = [str(Path(__file__).parent / "site"), str(_ROOT), *inherited]
    return {VARIABLE: str(path), "PYTHONPATH": os.pathsep.join(search)}


def write(path: Path, state: Machine) -> None:
    """Change the machine that other processes see."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(state)), encoding="utf-8")
    fresh.replace(path)


def read(path: Path) -> Machine:
    """The machine in a file."""
    body = json.loads(path.read_text(encoding="utf-8"))
    return Machine([_part(one) for one in body["gpus"]], body["init_error"])


def install_from_environment(outer: Mapping[str, str]) -> None:
    """Let `pynvml` see the machine of the file that a variable names; called before anything else runs."""
    path = outer.get(VARIABLE)
    if path is not None:
        pynvml.nvmlLib = Library(lambda: read(Path(path)))


def _part(body: dict[str, Any]) -> Part:
    slices = body["slices"]
    processes = {int(number): size for number, size in body["processes"].items()}
    parts = None if slices is None else [None if one is None else _part(one) for one in slices]
    return Part(**(body | {"processes": processes, "slices": parts}))


class _Stop(Exception):
    """A function ends with this number."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Function:
    """A function of the library; `pynvml` sets attributes on some."""

    def __init__(self, body: Callable[..., Any]) -> None:
        self._body = body

    def __call__(self, *arguments: Any) -> Any:
        try:
            answer = self._body(*arguments)
        except _Stop as stop:
            return stop.code
        return pynvml.NVML_SUCCESS if answer is None else answer


class Library:
    """What `ctypes.CDLL` would have loaded. Names of functions are the C library's own."""

    def __init__(self, state: Callable[[], Machine]) -> None:
        self._state = state
        self._functions = {
            "nvmlInitWithFlags": lambda _flags: self._state().init_error,
            "nvmlShutdown": lambda: None,
            "nvmlErrorString": lambda code: f"error {code.value if hasattr(code, 'value') else code}".encode(),
            "nvmlDeviceGetCount_v2": lambda count: _put(count, len(self._state().gpus)),
            "nvmlDeviceGetHandleByIndex_v2": self._handle,
            "nvmlDeviceGetMigDeviceHandleByIndex": self._slice_handle,
            "nvmlDeviceGetMigMode": self._mig_mode,
            "nvmlDeviceGetMaxMigDeviceCount": self._answer(_max_slices),
            "nvmlDeviceGetName": self._answer(lambda part, buffer, size: _put_text(buffer, size, part.name)),
            "nvmlDeviceGetUUID": self._answer(lambda part, buffer, size: _put_text(buffer, size, part.uuid)),
            "nvmlDeviceGetMemoryInfo": self._answer(_memory),
            "nvmlDeviceGetUtilizationRates": self._whole(_rates),
            "nvmlDeviceGetTemperature": self._whole(lambda part, _sensor, degrees: _put(degrees, part.temperature)),
            "nvmlDeviceGetPowerUsage": self._whole(lambda part, watts: _put(watts, part.milliwatts)),
            "nvmlDeviceGetComputeRunningProcesses_v3": self._answer(_processes),
        }

    def __getattr__(self, name: str) -> _Function:
        body = self.__dict__["_functions"].get(name)
        if body is None:
            raise AttributeError(name)
        return _Function(lambda *arguments: self._call(name, body, arguments))

    def _call(self, name: str, body: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        handle = next((one for one in arguments[:1] if isinstance(one, pynvml.c_nvmlDevice_t)), None)
        if handle is not None:
            part = self._part(handle)
            if part.error:
                return part.error
            if name in part.unsupported:
                return pynvml.NVML_ERROR_NOT_SUPPORTED
        return body(*arguments)

    def _part(self, handle: Any) -> Part:
        gpu, place = divmod(int(ctypes.cast(handle, ctypes.c_void_p).value or 0), _HANDLES_PER_GPU)
        whole = self._state().gpus[gpu - 1]
        if place == 0:
            return whole
        part = (whole.slices or [])[place - 1]
        if part is None:
            raise _Stop(pynvml.NVML_ERROR_NOT_FOUND)
        if whole.error:
            raise _Stop(whole.error)
        return part

    def _answer(self, body: Callable[..., Any]) -> Callable[..., Any]:
        return lambda handle, *arguments: body(self._part(handle), *arguments)

    def _whole(self, body: Callable[..., Any]) -> Callable[..., Any]:
        def answer(handle: Any, *arguments: Any) -> Any:
            part = self._part(handle)
            return pynvml.NVML_ERROR_NOT_SUPPORTED if part.uuid.startswith("MIG-") else body(part, *arguments)

        return answer

    def _handle(self, index: Any, handle: Any) -> Any:
        gpus = self._state().gpus
        if index.value >= len(gpus):
            return pynvml.NVML_ERROR_INVALID_ARGUMENT
        if gpus[index.value].error:
            return gpus[index.value].error
        _point(handle, (index.value + 1) * _HANDLES_PER_GPU)
        return None

    def _slice_handle(self, whole: Any, place: Any, handle: Any) -> Any:
        slices = self._part(whole).slices or []
        if place.value >= len(slices) or slices[place.value] is None:
            return pynvml.NVML_ERROR_NOT_FOUND
        gpu = int(ctypes.cast(whole, ctypes.c_void_p).value or 0)
        _point(handle, gpu + place.value + 1)
        return None

    def _mig_mode(self, handle: Any, current: Any, pending: Any) -> None:
        is_sliced = int(self._part(handle).slices is not None)
        _put(current, is_sliced)
        _put(pending, is_sliced)


def _put(reference: Any, value: int) -> None:
    reference._obj.value = value


def _put_text(buffer: Any, _size: Any, text: str) -> None:
    buffer.value = text.encode()


def _point(reference: Any, address: int) -> None:
    ctypes.cast(reference, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.c_void_p(address)


def _max_slices(_part: Part, count: Any) -> None:
    _put(count, _SLICES_PER_GPU)


def _memory(part: Part, reference: Any) -> None:
    memory = reference._obj
    memory.total, memory.used = part.total_bytes, part.used_bytes
    memory.free = part.total_bytes - part.used_bytes


def _rates(part: Part, reference: Any) -> None:
    reference._obj.gpu = part.utilisation


def _processes(part: Part, count: Any, array: Any) -> Any:
    shift = 1_000_000 if part.shows == "host" else 0
    named = [] if part.shows == "none" else [(number + shift, size) for number, size in part.processes.items()]
    room = count._obj.value
    count._obj.value = len(named)
    if not named:
        return None
    if array is None or room < len(named):
        return pynvml.NVML_ERROR_INSUFFICIENT_SIZE
    for entry, (number, size) in zip(array, named, strict=False):
        entry.pid, entry.usedGpuMemory = number, size
    return None
