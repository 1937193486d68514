"""What workers tell of themselves: devices, slots, and the circumstances of a training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from caviar.contract.model import STORABLE, JsonObject, Label, Model
from caviar.contract.states import SlotState
from caviar.contract.wording import patterned

Bytes = Annotated[int, Field(ge=0, lt=2**53)]
Labels = Annotated[dict[Label, Label], Field(max_length=100)]
"""What an operator says of a worker, such as `{"site": "basement"}`; studies may require it."""

CodeVersion = Annotated[
    str, patterned(r"^[0-9a-f]{8,64}$", "a digest of the objective's source: 8–64 hexadecimal digits")
]


class Device(Model):
    """Something that trainings run on.

    Attributes:
        kind: `gpu`, `mig` for a slice of one, or `cpu`.
        name: Model of the device, for people.
        index: Its number on the machine; None where it has none.
        uuid: What it is known by for good, such as `GPU-…` or `MIG-…`; None for a CPU.
        memory_total_bytes: Memory of the device.
        memory_used_bytes: Memory that is in use now, by whomever.
        utilisation: Share of the last moments in which it was computing, 0-1.
        temperature_c: Degrees Celsius.
        power_w: Watts that it draws now.
        num_slots: Trainings that this worker may run on it at the same time now.
        num_cores: CPU cores, for a CPU.
        facts: Anything else.
    """

    kind: Literal["gpu", "mig", "cpu"]
    name: Label
    index: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    uuid: Label | None = None
    memory_total_bytes: Bytes | None = None
    memory_used_bytes: Bytes | None = None
    utilisation: Annotated[float, Field(ge=0, le=1)] | None = None
    temperature_c: float | None = None
    power_w: Annotated[float, Field(ge=0)] | None = None
    num_slots: Annotated[int, Field(ge=0, le=10_000)] | None = None
    num_cores: Annotated[int, Field(ge=1, le=100_000)] | None = None
    facts: JsonObject = Field(default_factory=dict)


class SlotFacts(Model):
    """A slot as it is now.

    Attributes:
        index: Its number within the worker, from 0.
        state: What it does.
        device: Uuid of its device; None for the CPU.
        trial_id: The trial in training.
        memory_bytes: Resident memory of its process.
        device_memory_bytes: Memory that its process holds on the device.
        detail: Why it is paused or broken, for people.
    """

    index: Annotated[int, Field(ge=0, le=10_000)]
    state: Annotated[SlotState, Field(strict=False)]
    device: Label | None = None
    trial_id: Annotated[int, Field(ge=1, lt=2**53)] | None = None
    memory_bytes: Bytes | None = None
    device_memory_bytes: Bytes | None = None
    detail: Annotated[str, StringConstraints(max_length=2000), STORABLE] | None = None


class RunFacts(Model):
    """Circumstances of one attempt of a trial; what is not known is left out.

    Attributes:
        slot: Number of the slot within the worker.
        device: Uuid of the device, or `cpu`.
        device_name: Model of the device, for people.
        backend: Backend of Keras: `tensorflow`, `jax` or `torch`.
        versions: Versions of the packages that it was trained with, by name.
        code_version: Digest of the source of the objective; None for a built-in one.
        is_alone: Whether no other training of the worker was on its device at any time.
        peak_memory_bytes: Most resident memory of the process.
        peak_device_memory_bytes: Most memory of the device that it held.
    """

    slot: Annotated[int, Field(ge=0, le=10_000)] | None = None
    device: Label | None = None
    device_name: Label | None = None
    backend: Label | None = None
    versions: Annotated[dict[Label, Label], Field(max_length=50)] = Field(default_factory=dict)
    code_version: CodeVersion | None = None
    is_alone: bool | None = None
    peak_memory_bytes: Bytes | None = None
    peak_device_memory_bytes: Bytes | None = None
