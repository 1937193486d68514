"""What a training process trains with, where it really trains, and how much memory that takes."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from dataclasses import dataclass
from typing import Any, Protocol

from worker.memory import MachineMemory


class Accelerator(Protocol):
    """The GPU of this process, as the backend of Keras sees it: only one is visible."""

    def is_seen(self) -> bool:
        """Whether there is one, without a claim on its memory where the backend can tell so."""

    def is_used(self) -> bool:
        """Whether a computation really runs there."""

    def reset_peak(self) -> None:
        """Count the peak anew from now."""

    def peak_bytes(self) -> int | None:
        """Most memory that tensors took since; None if the backend does not tell."""


class TensorFlowGpu:
    """Of the backend TensorFlow, which silently computes on the CPU what was meant for a GPU that is not there."""

    def __init__(self) -> None:
        """Load TensorFlow."""
        import tensorflow as tf

        self._tensorflow: Any = tf

    def is_seen(self) -> bool:
        """Whether there is one."""
        return bool(self._tensorflow.config.list_physical_devices("GPU"))

    def is_used(self) -> bool:
        """Whether a computation really runs there."""
        with self._tensorflow.device("/GPU:0"):
            result = self._tensorflow.identity(self._tensorflow.constant(1.0))
        return str(result.device).endswith("GPU:0")

    def reset_peak(self) -> None:
        """Count the peak anew from now."""
        self._tensorflow.config.experimental.reset_memory_stats("GPU:0")

    def peak_bytes(self) -> int | None:
        """Most memory that tensors took since."""
        return int(self._tensorflow.config.experimental.get_memory_info("GPU:0")["peak"])


class JaxGpu:
    """Of the backend JAX."""

    def __init__(self) -> None:
        """Load JAX."""
        import jax

        self._jax: Any = jax

    def is_seen(self) -> bool:
        """Whether there is one: JAX cannot tell without taking its memory, so it is asked when a training begins."""
        return True

    def is_used(self) -> bool:
        """Whether a computation really runs there."""
        return str(self._jax.default_backend()) == "gpu"

    def reset_peak(self) -> None:
        """JAX counts from the start of the process."""

    def peak_bytes(self) -> int | None:
        """Most memory that arrays took since the process began."""
        stats = self._jax.local_devices()[0].memory_stats() or {}
        return int(stats["peak_bytes_in_use"]) if "peak_bytes_in_use" in stats else None


class TorchGpu:
    """Of the backend torch."""

    def __init__(self) -> None:
        """Load torch."""
        self._torch: Any = importlib.import_module("torch")

    def is_seen(self) -> bool:
        """Whether there is one."""
        return bool(self._torch.cuda.is_available())

    def is_used(self) -> bool:
        """Whether a computation really runs there."""
        return bool((self._torch.ones(1, device="cuda") + 1).is_cuda)

    def reset_peak(self) -> None:
        """Count the peak anew from now."""
        self._torch.cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> int | None:
        """Most memory that torch held since."""
        return int(self._torch.cuda.max_memory_reserved())


_GPUS: dict[str, type[Accelerator]] = {"tensorflow": TensorFlowGpu, "jax": JaxGpu, "torch": TorchGpu}


class DeviceMissing(Exception):
    """The device of this slot cannot be used; the message says what to look at."""


@dataclass
class Circumstances:
    """Of one training process.

    Attributes:
        backend: Backend of Keras.
        device: Uuid of the GPU that it is to train on; None for the CPU.
        gpu: The GPU; None on the CPU.
    """

    backend: str
    device: str | None
    gpu: Accelerator | None
    _is_checked: bool = False
    _is_counted: bool = False

    def check_seen(self) -> None:
        """See that the backend knows of the device.

        Raises:
            DeviceMissing: It does not.
        """
        if self.gpu is not None and not self.gpu.is_seen():
            raise DeviceMissing(
                f"the device {self.device} is not seen by {self.backend} in this process; install {self.backend} with "
                "support for it, look at its driver, or start the worker with --devices cpu"
            )

    def begin(self) -> None:
        """Before a training: see once that computations really run on the device, and count peaks anew.

        Raises:
            DeviceMissing: They run on the CPU, or nowhere.
        """
        if self.gpu is not None and not self._is_checked:
            if not self.gpu.is_used():
                raise DeviceMissing(f"{self.backend} computes on the CPU what is meant for the device {self.device}")
            self._is_checked = True
        if self.gpu is not None:
            self.gpu.reset_peak()
        self._is_counted = MachineMemory().reset_peak(os.getpid())

    def peak_memory_bytes(self) -> int | None:
        """Most resident memory since `begin`; None if the system does not tell."""
        used = MachineMemory().of_process(os.getpid()) if self._is_counted else None
        return None if used is None else used.peak_bytes

    def peak_device_memory_bytes(self) -> int | None:
        """Most memory of the device since `begin`; None on a CPU."""
        return None if self.gpu is None else self.gpu.peak_bytes()


def circumstances(device: str | None) -> Circumstances:
    """Those of this process, whose Keras is loaded with its backend.

    Args:
        device: Uuid of the GPU that this process is to train on; None for the CPU.
    """
    import keras

    backend = str(keras.backend.backend())
    return Circumstances(backend, device, None if device is None else _GPUS[backend]())


def versions(backend: str) -> dict[str, str]:
    """Versions of Python and of the packages that every training depends on, by name."""
    names = ("keras", "numpy", backend)
    return {"python": platform.python_version()} | {name: _version(name) for name in names}


def _version(package: str) -> str:
    # The smaller build of TensorFlow is the same package under another name.
    for name in (package, f"{package}-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"
