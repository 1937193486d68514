"""What the page of workers shows, and in which words a worker, its devices and what a study requires are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from caviar.contract.fleet import Device, RunFacts, SlotFacts
from caviar.contract.study import Requires
from caviar.contract.views import WorkerView
from service.web import formats

TrialNames = Mapping[int, tuple[str, int]]
"""Study and number of trials by id."""


@dataclass(frozen=True, slots=True)
class TrialLink:
    """A trial in training.

    Attributes:
        trial_id: For its address.
        words: Its study and number.
    """

    trial_id: int
    words: str


@dataclass(frozen=True, slots=True)
class SlotRow:
    """A slot.

    Attributes:
        slot: As the worker told it.
        device: Its device, short.
        trial: What it trains.
    """

    slot: SlotFacts
    device: str
    trial: TrialLink | None


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """A worker.

    Attributes:
        worker: As it is stored.
        state: Its mode, or `gone`.
        devices: Its devices with what they do now, in words.
        slots: Its slots.
        others: What it holds that no slot speaks of, such as trials that have just been handed out.
    """

    worker: WorkerView
    state: str
    devices: list[tuple[Device, str]]
    slots: list[SlotRow]
    others: list[TrialLink]


def entry(worker: WorkerView, names: TrialNames) -> WorkerEntry:
    """A worker as the page shows it."""
    known = {device.uuid: _short(device) for device in worker.devices}
    slots = [
        SlotRow(slot, known.get(slot.device) or slot.device or "CPU", _link(slot.trial_id, names))
        for slot in worker.slot_facts
    ]
    told = {slot.trial_id for slot in worker.slot_facts}
    others = [_link(trial_id, names) for trial_id in worker.running if trial_id not in told]
    return WorkerEntry(
        worker=worker,
        state=str(worker.mode) if worker.is_alive else "gone",
        devices=[(device, _work(device)) for device in worker.devices],
        slots=slots,
        others=[link for link in others if link is not None],
    )


def requirements(requires: Requires) -> str:
    """What a study requires of a worker, as a list in words; empty if it requires nothing."""
    parts = [] if requires.device is None else [f"a {requires.device.upper()}"]
    if requires.memory_bytes is not None:
        parts.append(f"a device with {formats.size(requires.memory_bytes)} of memory")
    if requires.device is not None and requires.memory_bytes is not None:
        parts = [f"a {requires.device.upper()} with {formats.size(requires.memory_bytes)} of memory"]
    parts += [f"the label {name}={value}" for name, value in requires.labels.items()]
    return ", ".join(parts)


def circumstances(facts: RunFacts) -> dict[str, str]:
    """What is known of an attempt, by name."""
    told: dict[str, str | None] = {
        "device": facts.device_name or facts.device,
        "slot": None if facts.slot is None else str(facts.slot),
        "alone on it": None if facts.is_alone is None else "yes" if facts.is_alone else "no",
        "peak device memory": _size(facts.peak_device_memory_bytes),
        "peak memory": _size(facts.peak_memory_bytes),
        "code version": None if facts.code_version is None else facts.code_version[:12],
        "backend": facts.backend,
        **facts.versions,
    }
    return {name: value for name, value in told.items() if value is not None}


def _size(num_bytes: int | None) -> str | None:
    return None if num_bytes is None else formats.size(num_bytes)


def _link(trial_id: int | None, names: TrialNames) -> TrialLink | None:
    if trial_id is None or trial_id not in names:
        return None
    study, number = names[trial_id]
    return TrialLink(trial_id, f"{study} #{number}")


def _short(device: Device) -> str:
    kind = {"gpu": "GPU", "mig": "MIG", "cpu": "CPU"}[device.kind]
    return kind if device.index is None else f"{kind} {device.index}"


def _work(device: Device) -> str:
    told = [
        None if device.utilisation is None else f"{device.utilisation:.0%} busy",
        None if device.num_slots is None else f"{device.num_slots} {'slot' if device.num_slots == 1 else 'slots'}",
        None if device.num_cores is None else f"{device.num_cores} {'core' if device.num_cores == 1 else 'cores'}",
        None if device.temperature_c is None else f"{device.temperature_c:.0f} °C",
        None if device.power_w is None else f"{device.power_w:.0f} W",
    ]
    return ", ".join(part for part in told if part is not None)
