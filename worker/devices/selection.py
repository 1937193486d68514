"""Which GPUs a worker uses: what its operator says, and what is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from caviar.contract.errors import InvalidRequest
from worker.devices.driver import Driver, Gpu, NoGpus

_ALLOWED = "pass `auto`, `cpu`, or a list such as `0,1`, `GPU-4f…`, `MIG-7a…` or `0:1` (slice 1 of GPU 0)"


@dataclass(frozen=True)
class Selection:
    """What a worker trains on.

    Attributes:
        driver: Connection to the driver; None for the CPU.
        gpus: The GPUs and slices; none for the CPU.
        words: What the operator should know: why there is no GPU, or which cannot be used.
        is_normal: Whether these words tell of nothing out of order.
    """

    driver: Driver | None = None
    gpus: tuple[Gpu, ...] = ()
    words: tuple[str, ...] = ()
    is_normal: bool = True


def select(wanted: str, outer: Mapping[str, str], *, connect: Callable[[], Driver] = Driver) -> Selection:
    """Find the devices of a worker.

    Args:
        wanted: `auto`, `cpu`, or a list of GPUs by number or uuid, also by its first characters.
        outer: The worker's environment. With `auto`, CUDA_VISIBLE_DEVICES says which GPUs are the worker's; NVML itself
            knows nothing of it. A list is taken as it is.
        connect: Opens the connection to the driver.
    Raises:
        InvalidRequest: A GPU is not there or is named twice, or there is no driver for the GPUs of a list.
    """
    wanted = wanted.strip()
    if wanted == "cpu":
        return Selection()
    is_auto = wanted == "auto"
    visible = outer.get("CUDA_VISIBLE_DEVICES") if is_auto else None
    if visible is not None and visible.strip() in {"", "-1", "NoDevFiles", "none"}:
        return Selection(words=(f"CUDA_VISIBLE_DEVICES is {visible!r}: the GPUs are not for this worker",))
    try:
        driver = connect()
        there, broken = driver.gpus()
    except NoGpus as error:
        if not is_auto:
            raise InvalidRequest(f"--devices is {wanted!r}, but {error}; {_ALLOWED}") from error
        return Selection(words=(str(error),), is_normal=error.is_normal)
    if is_auto and visible is None:
        chosen = there
    else:
        chosen = named(visible or wanted, there, source="CUDA_VISIBLE_DEVICES" if is_auto else "--devices")
    if not chosen:
        driver.close()
        return Selection(words=(*broken, "the NVIDIA driver shows no GPU"), is_normal=not broken)
    words = [*broken, *_doubts(visible, there, outer)]
    return Selection(driver, tuple(chosen), tuple(words), is_normal=not words)


def named(text: str, there: Sequence[Gpu], *, source: str) -> list[Gpu]:
    """The GPUs of a list.

    Args:
        text: Numbers as `nvidia-smi` counts, `number:slice`, or uuids, separated by commas. The first characters of a
            uuid suffice, as for CUDA. The number of a GPU that is sliced means all its slices.
        there: What the machine has.
        source: Where the list comes from, for people.
    Raises:
        InvalidRequest: An entry fits nothing or several, or a GPU is named twice.
    """
    chosen: list[Gpu] = []
    for entry in text.split(","):
        for gpu in _matching(entry.strip(), there, source):
            if gpu in chosen:
                raise InvalidRequest(f"{source} names GPU {gpu.number} ({gpu.uuid}) twice in {text!r}; name it once")
            chosen.append(gpu)
    return chosen


def listed(there: Sequence[Gpu]) -> str:
    """GPUs in a sentence."""
    return ", ".join(f"{gpu.number} = {gpu.uuid} ({gpu.name})" for gpu in there) or "none"


def _doubts(visible: str | None, there: Sequence[Gpu], outer: Mapping[str, str]) -> list[str]:
    """CUDA by itself gives the fastest GPU the number 0, where `nvidia-smi` goes by the place on the bus."""
    has_numbers = visible is not None and any(entry.strip().isdecimal() for entry in visible.split(","))
    is_mixed = len({gpu.name for gpu in there if gpu.kind == "gpu"}) > 1
    if not has_numbers or not is_mixed or outer.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID":
        return []
    words = (
        f"CUDA_VISIBLE_DEVICES is {visible!r} on a machine of different GPUs; its numbers are taken as `nvidia-smi` "
        "counts, which is not CUDA's own order: name GPUs by uuid, or set CUDA_DEVICE_ORDER=PCI_BUS_ID"
    )
    return [words]


def _matching(entry: str, there: Sequence[Gpu], source: str) -> list[Gpu]:
    if entry.replace(":", "", 1).isdecimal():
        found = [gpu for gpu in there if entry in {gpu.number, str(gpu.index)}]
    else:
        found = [gpu for gpu in there if entry.startswith(("GPU-", "MIG-")) and gpu.uuid.startswith(entry)]
        if len(found) > 1:
            raise InvalidRequest(
                f"{source} holds {entry!r}, which fits several GPUs; there are: {listed(found)}; give more characters"
            )
    if not found:
        raise InvalidRequest(f"{source} holds {entry!r}, which is no GPU here; there are: {listed(there)}; {_ALLOWED}")
    return found
