"""What a training process finds out about its device, with GPUs that do as they are told."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version

import jax
import pytest

from worker.circumstances import Circumstances, DeviceMissing, JaxGpu, TensorFlowGpu, circumstances, versions


class Gpu:
    """Seen or not, used or not."""

    def __init__(self, *, is_there: bool = True, is_working: bool = True) -> None:
        self.is_there = is_there
        self.is_working = is_working
        self.num_checks = 0
        self.peaks: Iterator[int] = iter((500, 700))
        self.peak = 0

    def is_seen(self) -> bool:
        return self.is_there

    def is_used(self) -> bool:
        self.num_checks += 1
        return self.is_working

    def reset_peak(self) -> None:
        self.peak = next(self.peaks)

    def peak_bytes(self) -> int | None:
        return self.peak


def test_a_device_is_checked_once_and_its_peak_is_that_of_each_training() -> None:
    gpu = Gpu()
    here = Circumstances("tensorflow", "GPU-1", gpu)
    here.check_seen()
    assert gpu.num_checks == 0
    here.begin()
    assert here.peak_device_memory_bytes() == 500
    here.begin()
    assert (here.peak_device_memory_bytes(), gpu.num_checks) == (700, 1)
    assert (here.peak_memory_bytes() or 0) > 0


def test_a_device_that_is_not_seen_or_not_used_is_told_in_words() -> None:
    with pytest.raises(DeviceMissing, match="GPU-1 is not seen by jax"):
        Circumstances("jax", "GPU-1", Gpu(is_there=False)).check_seen()
    with pytest.raises(DeviceMissing, match="tensorflow computes on the CPU what is meant for the device GPU-1"):
        Circumstances("tensorflow", "GPU-1", Gpu(is_working=False)).begin()


def test_on_the_cpu_there_is_no_device_memory() -> None:
    here = circumstances(None)
    here.check_seen()
    here.begin()
    assert (here.gpu, here.peak_device_memory_bytes()) == (None, None)


def test_the_frameworks_say_whether_they_compute_on_a_gpu() -> None:
    tensorflow = TensorFlowGpu()
    # Soft placement: without a GPU, what is meant for it runs on the CPU.
    assert tensorflow.is_used() == tensorflow.is_seen()
    assert JaxGpu().is_used() == (jax.local_devices()[0].platform == "gpu")


def test_versions_are_those_of_the_installed_packages() -> None:
    found = versions("tensorflow")
    assert found.keys() == {"python", "keras", "numpy", "tensorflow"}
    assert (found["python"], found["keras"]) == (platform.python_version(), version("keras"))
    assert versions("a-backend-that-nobody-has")["a-backend-that-nobody-has"] == "unknown"
