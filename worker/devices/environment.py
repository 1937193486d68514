"""What the process of a slot is told of its device, before it imports a framework."""

from __future__ import annotations

from collections.abc import Mapping

_HIDDEN = "-1"
_ALLOCATORS = {
    # Trainings share a GPU: none of them takes all of its memory at once.
    "tensorflow": {"TF_FORCE_GPU_ALLOW_GROWTH": "true"},
    # JAX by itself takes 75 % of a GPU at once, and also without that never more than 75 %.
    "jax": {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.95"},
    # Blocks that grow in place leave fewer holes, so that what a training holds is near to what it needs.
    "torch": {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"},
}


def device_environment(uuid: str | None, backend: str, outer: Mapping[str, str]) -> dict[str, str]:
    """Variables by which a process sees one device only, and takes its memory as it needs it.

    Args:
        uuid: The GPU or slice; None for the CPU.
        backend: Backend of Keras. What a user's own code may import beside it is told the same.
        outer: The worker's environment; what it says about allocators counts more.
    Source: JAX documentation, "GPU memory allocation"; TensorFlow guide, "Use a GPU", limiting memory growth; PyTorch
        notes, "CUDA semantics", PYTORCH_CUDA_ALLOC_CONF.
    """
    if uuid is None:
        # Without the second, a JAX that was built for GPUs does not start where it sees none.
        platform = {"JAX_PLATFORMS": "cpu"} if backend == "jax" and "JAX_PLATFORMS" not in outer else {}
        return {"CUDA_VISIBLE_DEVICES": _HIDDEN, **platform}
    allocators = {**_ALLOCATORS["tensorflow"], **_ALLOCATORS["jax"]}
    if backend == "torch":
        allocators |= _ALLOCATORS["torch"]
    chosen = {name: value for name, value in allocators.items() if name not in outer}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": uuid, **chosen}
