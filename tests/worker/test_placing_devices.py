from __future__ import annotations

from pathlib import Path

import pynvml
import pytest
from structlog.testing import capture_logs

from tests.fakes import nvml
from tests.fakes.box import GIB, Box, assignment, taught
from tests.fakes.nvml import Machine, Part


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Four GPUs of 80 GiB."""
    state = nvml.machine(4)
    nvml.install(monkeypatch, state)
    return state


@pytest.fixture
def box(machine: Machine, tmp_path: Path) -> Box:
    """Eight slots on each GPU, of which nothing is known yet."""
    return Box(machine, tmp_path)


def test_a_lost_gpu_is_used_no_more_and_says_so(box: Box) -> None:
    taught(box, 10 * GIB)
    trials = [assignment(units=64) for _ in range(4)]
    box.offer(*trials)
    box.machine.gpus[1].error = pynvml.NVML_ERROR_GPU_IS_LOST
    with capture_logs() as logs:
        assert 1 not in box.offer(*(assignment(units=64) for _ in range(12)))
        box.dispatch()
    assert [(line["event"], line["gpu"]) for line in logs if line["log_level"] == "error"] == [("gpu_lost", "1")]
    lost = box.placing.devices()[1]
    assert lost.num_slots == 0
    assert lost.facts == {"problem": "the NVIDIA driver says: GPU is lost"}
    # Even if it answers again: what runs there would run on memory that was wiped.
    box.machine.gpus[1].error = 0
    assert 1 not in box.offer(assignment(units=64))
    assert box.placing.problem() is None


def test_a_training_alone_finds_another_gpu_when_its_own_is_lost(box: Box) -> None:
    box.offer(*(assignment(units=64) for _ in range(4)))
    alone = assignment(units=64, is_alone=True)
    box.offer(alone)
    first = box.slots[8].assignment
    assert first is not None
    box.machine.gpus[0].error = pynvml.NVML_ERROR_GPU_IS_LOST
    box.dispatch()
    box.end(first)
    box.dispatch()
    assert box.gpu_of(alone) == 1


def test_without_any_gpu_left_the_worker_is_told_so(box: Box) -> None:
    for gpu in box.machine.gpus:
        gpu.error = pynvml.NVML_ERROR_GPU_IS_LOST
    assert box.offer(assignment(units=64)) == [None]
    assert box.num_claimable() == 0
    problem = box.placing.problem()
    assert problem is not None
    assert "no GPU of this worker is left" in problem
    assert "GPU 3 (GPU-3333-fake): the NVIDIA driver says: GPU is lost" in problem


def test_a_gpu_that_does_not_answer_for_a_while_is_used_again_later(box: Box) -> None:
    box.machine.gpus[0].error = pynvml.NVML_ERROR_TIMEOUT
    with capture_logs() as logs:
        assert box.num_claimable() == 3
        assert box.placing.devices()[0].facts == {"problem": "the NVIDIA driver says: Timeout"}
        box.machine.gpus[0].error = 0
        assert box.num_claimable() == 4
    assert [line["event"] for line in logs] == ["gpu_silent", "gpu_answers_again"]


def test_a_gpu_that_tells_nothing_of_its_memory_runs_one_training_at_a_time(machine: Machine, tmp_path: Path) -> None:
    machine.gpus = [Part("GPU-a", unsupported=["nvmlDeviceGetMemoryInfo"])]
    box = Box(machine, tmp_path)
    taught_by = assignment(units=64)
    assert box.offer(taught_by, assignment(units=64)) == [0, None]
    assert box.num_claimable() == 0
    device = box.placing.devices()[0]
    assert (device.memory_total_bytes, device.memory_used_bytes) == (None, None)


def test_slices_are_packed_each_by_its_own_memory(machine: Machine, tmp_path: Path) -> None:
    slices = [Part("MIG-a", "A100 MIG 3g.20gb", 20 * GIB), None, Part("MIG-b", "A100 MIG 1g.5gb", 5 * GIB)]
    machine.gpus = [Part("GPU-a", "A100", 40 * GIB, slices=slices)]
    box = Box(machine, tmp_path, num_slots=3)
    one = assignment(units=64)
    assert box.offer(one) == [0]
    box.end(one, 6 * GIB)
    slices[0] = Part("MIG-a", "A100 MIG 3g.20gb", 20 * GIB)
    trials = [assignment(units=64) for _ in range(4)]
    # 6.3 GiB do not fit on the small slice.
    assert box.offer(*trials) == [0, 0, 0, None]
    devices = box.placing.devices()
    assert [(device.kind, device.uuid, device.num_slots) for device in devices] == [
        ("mig", "MIG-a", 3),
        ("mig", "MIG-b", 3),
    ]


def test_facts_of_the_devices(machine: Machine, tmp_path: Path) -> None:
    machine.gpus[3] = Part(
        "GPU-x", "L4", 24 * GIB, 2 * GIB, {77: GIB}, utilisation=55, temperature=61, milliwatts=72_500
    )
    device = Box(machine, tmp_path).placing.devices()[3]
    assert device.kind == "gpu"
    assert (device.index, device.uuid, device.name) == (3, "GPU-x", "L4")
    assert (device.memory_total_bytes, device.memory_used_bytes) == (24 * GIB, 3 * GIB)
    assert (device.utilisation, device.temperature_c, device.power_w) == (0.55, 61, 72.5)
