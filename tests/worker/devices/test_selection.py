from __future__ import annotations

import pynvml
import pytest

from caviar.contract.errors import InvalidRequest
from tests.fakes import nvml
from tests.fakes.nvml import Machine, Part
from worker.devices.selection import select


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Three GPUs; the last is sliced."""
    state = Machine([Part("GPU-aa11"), Part("GPU-aa22"), Part("GPU-bb33", slices=[Part("MIG-cc44"), Part("MIG-cc55")])])
    nvml.install(monkeypatch, state)
    return state


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ("auto", ["0", "1", "2:0", "2:1"]),
        ("cpu", []),
        (" cpu ", []),
        ("1", ["1"]),
        ("1,0", ["1", "0"]),
        ("0, GPU-aa2", ["0", "1"]),
        ("GPU-aa11", ["0"]),
        ("2", ["2:0", "2:1"]),
        ("2:1", ["2:1"]),
        ("MIG-cc5,0", ["2:1", "0"]),
    ],
)
def test_what_is_named_is_chosen(machine: Machine, wanted: str, numbers: list[str]) -> None:
    assert [gpu.number for gpu in select(wanted, {}).gpus] == numbers


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [
        ("1", ["1"]),
        ("GPU-aa22,0", ["1", "0"]),
        ("MIG-cc44", ["2:0"]),
        ("", []),
        ("-1", []),
        ("none", []),
    ],
)
def test_auto_keeps_to_the_gpus_that_the_worker_was_given(machine: Machine, visible: str, numbers: list[str]) -> None:
    selection = select("auto", {"CUDA_VISIBLE_DEVICES": visible})
    assert [gpu.number for gpu in selection.gpus] == numbers
    assert selection.is_normal
    assert bool(selection.words) is not bool(numbers)


@pytest.mark.parametrize(
    ("outer", "is_doubted"),
    [
        ({"CUDA_VISIBLE_DEVICES": "1"}, True),
        ({"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, False),
        ({"CUDA_VISIBLE_DEVICES": "GPU-aa22"}, False),
        ({}, False),
    ],
)
def test_numbers_that_cuda_may_count_otherwise_are_doubted(
    machine: Machine, outer: dict[str, str], is_doubted: bool
) -> None:
    machine.gpus[0].name = "L4"
    selection = select("auto", outer)
    assert selection.is_normal is not is_doubted
    assert ["set CUDA_DEVICE_ORDER=PCI_BUS_ID" in word for word in selection.words] == [True] * is_doubted


def test_what_the_operator_names_counts_more_than_the_environment(machine: Machine) -> None:
    assert [gpu.number for gpu in select("0", {"CUDA_VISIBLE_DEVICES": "1"}).gpus] == ["0"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("3", "--devices holds '3', which is no GPU here; there are: 0 = GPU-aa11"),
        ("0,,1", "--devices holds ''"),
        ("gpu0", "--devices holds 'gpu0', which is no GPU here"),
        ("GPU-zz", "there are: 0 = GPU-aa11 (NVIDIA H100 80GB HBM3), 1 = GPU-aa22"),
        ("GPU-aa", "'GPU-aa', which fits several GPUs; there are: 0 = GPU-aa11"),
        ("GPU-bb33", "2:0 = MIG-cc44"),
        ("0,0", "names GPU 0 .GPU-aa11. twice"),
        ("2,MIG-cc44", "names GPU 2:0 .MIG-cc44. twice"),
        ("0,cpu", "'cpu', which is no GPU here"),
        ("2:7", "'2:7', which is no GPU here"),
    ],
)
def test_what_is_not_there_is_refused(machine: Machine, wanted: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words.replace("(", "[(]").replace(")", "[)]")):
        select(wanted, {})


def test_a_mistake_in_the_environment_is_told_as_such(machine: Machine) -> None:
    with pytest.raises(InvalidRequest, match="CUDA_VISIBLE_DEVICES holds '9'"):
        select("auto", {"CUDA_VISIBLE_DEVICES": "9"})


def test_without_a_driver_auto_means_the_cpu(machine: Machine) -> None:
    machine.init_error = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    selection = select("auto", {})
    assert (selection.driver, selection.gpus, selection.is_normal) == (None, (), True)
    assert "there is no NVIDIA driver" in selection.words[0]


def test_a_broken_driver_is_no_normal_lack_of_gpus(machine: Machine) -> None:
    machine.init_error = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    assert not select("auto", {}).is_normal


def test_without_a_driver_named_gpus_are_refused(machine: Machine) -> None:
    machine.init_error = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
    with pytest.raises(InvalidRequest, match="--devices is '0', but there is no NVIDIA driver on this machine"):
        select("0", {})


def test_the_cpu_needs_no_driver(machine: Machine) -> None:
    machine.init_error = pynvml.NVML_ERROR_UNKNOWN
    assert select("cpu", {}).words == ()


def test_a_driver_without_gpus_means_the_cpu(machine: Machine) -> None:
    machine.gpus.clear()
    selection = select("auto", {})
    assert selection.driver is None
    assert selection.is_normal
    assert selection.words == ("the NVIDIA driver shows no GPU",)


def test_a_broken_gpu_beside_others_is_told(machine: Machine) -> None:
    machine.gpus[0].error = pynvml.NVML_ERROR_GPU_IS_LOST
    selection = select("auto", {})
    assert [gpu.number for gpu in selection.gpus] == ["1", "2:0", "2:1"]
    assert selection.words == ("GPU 0 cannot be used: the NVIDIA driver says: GPU is lost",)
    assert not selection.is_normal
