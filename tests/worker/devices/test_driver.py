from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pynvml
import pytest

from tests.fakes import nvml
from tests.fakes.nvml import GIB, Machine, Part
from worker.devices.driver import Driver, GpuLost, NoGpus, Reading, Unreadable, has_own_process_ids


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    state = nvml.machine(2)
    nvml.install(monkeypatch, state)
    return state


def test_every_gpu_is_found(machine: Machine) -> None:
    found, broken = Driver().gpus()
    assert broken == []
    assert [(gpu.kind, gpu.number, gpu.uuid, gpu.name) for gpu in found] == [
        ("gpu", "0", "GPU-0000-fake", "NVIDIA H100 80GB HBM3"),
        ("gpu", "1", "GPU-1111-fake", "NVIDIA H100 80GB HBM3"),
    ]


def test_a_reading_holds_what_the_gpu_tells(machine: Machine) -> None:
    machine.gpus[1] = Part("GPU-x", "L4", 24 * GIB, GIB, {10: 2 * GIB, 11: 3 * GIB}, 30, 61, 72_500)
    driver = Driver()
    gpu = driver.gpus()[0][1]
    assert driver.read(gpu) == Reading(24 * GIB, 6 * GIB, 0.3, 61, 72.5, {10: 2 * GIB, 11: 3 * GIB})
    assert driver.read(gpu).free_bytes == 18 * GIB


def test_what_a_gpu_does_not_tell_is_none(machine: Machine) -> None:
    asked = ["MemoryInfo", "UtilizationRates", "Temperature", "PowerUsage", "ComputeRunningProcesses_v3", "MigMode"]
    prefixes = ["nvmlDeviceGet" + name for name in asked]
    machine.gpus[0].unsupported = prefixes
    driver = Driver()
    gpu = driver.gpus()[0][0]
    assert driver.read(gpu) == Reading(None, None)
    assert driver.read(gpu).free_bytes is None


def test_memory_of_a_process_that_the_driver_hides_makes_all_unknown(machine: Machine) -> None:
    machine.gpus[0].processes = {10: pynvml.NVML_VALUE_NOT_AVAILABLE_ulonglong.value}
    driver = Driver()
    assert driver.read(driver.gpus()[0][0]).process_bytes is None


def test_a_sliced_gpu_is_offered_by_its_slices(machine: Machine) -> None:
    slices = [None, Part("MIG-a", "A100 MIG 3g.20gb", 20 * GIB, 0, {5: GIB}), Part("MIG-b", "A100", 5 * GIB)]
    machine.gpus[1] = Part("GPU-whole", "A100", 40 * GIB, temperature=55, slices=slices)
    driver = Driver()
    found, _ = driver.gpus()
    assert [(gpu.kind, gpu.number, gpu.uuid, gpu.name) for gpu in found[1:]] == [
        ("mig", "1:1", "MIG-a", "A100 MIG 3g.20gb"),
        ("mig", "1:2", "MIG-b", "A100 MIG"),
    ]
    # Load and power are not told of slices, heat is that of the whole.
    assert driver.read(found[1]) == Reading(20 * GIB, GIB, None, 55, None, {5: GIB})


@pytest.mark.parametrize(
    ("code", "is_normal", "words"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, True, "there is no NVIDIA driver on this machine"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, False, "modprobe nvidia"),
        (pynvml.NVML_ERROR_NO_PERMISSION, False, "may not talk to the NVIDIA driver"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, False, "restart the machine"),
        (pynvml.NVML_ERROR_UNKNOWN, False, "the NVIDIA driver says: Unknown Error"),
        (4242, False, "error 4242"),
    ],
)
def test_without_a_driver_it_is_said_why(machine: Machine, code: int, is_normal: bool, words: str) -> None:
    machine.init_error = code
    with pytest.raises(NoGpus, match=words) as caught:
        Driver()
    assert caught.value.is_normal is is_normal


def test_a_gpu_that_is_broken_from_the_start_is_named(machine: Machine) -> None:
    machine.gpus[0].error = pynvml.NVML_ERROR_GPU_IS_LOST
    found, broken = Driver().gpus()
    assert [gpu.index for gpu in found] == [1]
    assert broken == ["GPU 0 cannot be used: the NVIDIA driver says: GPU is lost"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (pynvml.NVML_ERROR_GPU_IS_LOST, GpuLost),
        (pynvml.NVML_ERROR_RESET_REQUIRED, GpuLost),
        (pynvml.NVML_ERROR_TIMEOUT, Unreadable),
        (pynvml.NVML_ERROR_UNKNOWN, Unreadable),
    ],
)
def test_errors_of_a_gpu_are_told_apart(machine: Machine, code: int, kind: type[Exception]) -> None:
    driver = Driver()
    gpu = driver.gpus()[0][0]
    machine.gpus[0].error = code
    with pytest.raises(kind):
        driver.read(gpu)


def test_a_slice_is_lost_with_its_gpu(machine: Machine) -> None:
    machine.gpus[0].slices = [Part("MIG-a")]
    driver = Driver()
    part = driver.gpus()[0][0]
    machine.gpus[0].error = pynvml.NVML_ERROR_GPU_IS_LOST
    with pytest.raises(GpuLost):
        driver.read(part)


@pytest.mark.parametrize(("target", "expected"), [("pid:[4026531836]", False), ("pid:[4026532221]", True)])
def test_the_namespace_of_process_ids_is_recognised(tmp_path: Path, target: str, expected: bool) -> None:
    link = tmp_path / "pid"
    link.symlink_to(target)
    assert has_own_process_ids(link) is expected


def test_a_system_without_namespaces_has_one_count_of_processes(tmp_path: Path) -> None:
    assert has_own_process_ids(tmp_path / "pid") is False


def test_another_process_sees_the_machine_of_a_file_and_loads_no_framework(tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    nvml.write(path, Machine([Part("GPU-a", processes={12: GIB}), Part("GPU-b", slices=[Part("MIG-a"), None])]))
    program = (
        "import sys; from worker.placing.planning import plan, Wishes; from pathlib import Path; "
        "plan = plan(Wishes(slots_per_gpu=1), state_dir=Path(sys.argv[1]), outer={}); "
        "print([slot.device for slot in plan.slots], plan.placing.devices()[0].memory_used_bytes, "
        "[name for name in ('keras', 'numpy', 'tensorflow', 'jax', 'torch') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    answer = subprocess.run(command, env=nvml.environment(path), capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == f"['GPU-a', 'MIG-a'] {GIB} []"
