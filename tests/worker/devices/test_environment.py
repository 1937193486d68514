from __future__ import annotations

import pytest

from worker.devices.environment import device_environment


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_slot_sees_its_gpu_alone_and_takes_memory_as_it_needs_it(backend: str) -> None:
    told = device_environment("GPU-a", backend, {"CUDA_VISIBLE_DEVICES": "0,1"})
    assert told["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    assert told["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert told["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert float(told["XLA_PYTHON_CLIENT_MEM_FRACTION"]) > 0.9
    assert ("PYTORCH_CUDA_ALLOC_CONF" in told) is (backend == "torch")


def test_what_the_operator_says_about_allocators_counts_more() -> None:
    told = device_environment("GPU-a", "jax", {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.5"})
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in told


@pytest.mark.parametrize(
    ("backend", "outer", "expected"),
    [
        ("tensorflow", {}, {"CUDA_VISIBLE_DEVICES": "-1"}),
        ("jax", {}, {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}),
        ("jax", {"JAX_PLATFORMS": "tpu"}, {"CUDA_VISIBLE_DEVICES": "-1"}),
    ],
)
def test_a_slot_on_the_cpu_sees_no_gpu(backend: str, outer: dict[str, str], expected: dict[str, str]) -> None:
    assert device_environment(None, backend, outer) == expected
