"""What the page of workers shows, and in which words a worker, its devices and what a study requires are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from caviar.contract.fleet import Device, RunFacts, SlotFacts
from caviar.contract.states import SlotState, WorkerMode
from caviar.contract.study import Requires
from caviar.contract.views import WorkerView
from service.use_cases.neighbours import Training
from service.web import formats

# A worker that has been silent for this share of the lease time is worth a word before it counts as gone.
_LATE = 0.5


@dataclass(frozen=True, slots=True)
class SlotRow:
    """A slot.

    Attributes:
        slot: As the worker told it.
        device: Its device, short.
        trial: What it trains.
        share: Epochs of that trial, in percent of those it may have.
    """

    slot: SlotFacts
    device: str
    trial: Training | None
    share: float


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device.

    Attributes:
        device: As the worker told it.
        name: Its kind and number, short.
        work: What it does now, in words.
    """

    device: Device
    name: str
    work: str


@dataclass(frozen=True, slots=True)
class WorkerEntry:
    """A worker.

    Attributes:
        worker: As it is stored.
        state: Its mode, or `gone`.
        devices: Its devices.
        slots: Its slots.
        others: What it holds that no slot speaks of, such as trials that have just been handed out.
        troubles: What is wrong with it, in words.
    """

    worker: WorkerView
    state: str
    devices: list[DeviceRow]
    slots: list[SlotRow]
    others: list[Training]
    troubles: list[str]


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A machine.

    Attributes:
        name: As its workers call it.
        workers: Its connected workers.
        num_slots: Of all of them.
        num_training: Trials that they hold.
    """

    name: str
    workers: list[WorkerEntry]
    num_slots: int
    num_training: int

    @property
    def num_working(self) -> int:
        """Workers that take new trials."""
        return sum(entry.worker.mode is WorkerMode.WORKING for entry in self.workers)


def entry(worker: WorkerView, trials: Mapping[int, Training], *, now: datetime, lease_ttl_s: float) -> WorkerEntry:
    """A worker as the page shows it.

    Args:
        worker: The worker.
        trials: What is known of trials in training, by id.
        now: The time.
        lease_ttl_s: Seconds of silence after which a worker counts as gone.
    """
    known = {device.uuid: _short(device) for device in worker.devices}
    told = {slot.trial_id for slot in worker.slot_facts}
    return WorkerEntry(
        worker=worker,
        state=str(worker.mode) if worker.is_alive else "gone",
        devices=[DeviceRow(device, _short(device), _work(device)) for device in worker.devices],
        slots=[_slot(slot, known, trials) for slot in worker.slot_facts],
        others=[trials[held] for held in worker.running if held not in told and held in trials],
        troubles=list(_troubles(worker, now, lease_ttl_s)),
    )


def hosts(entries: Iterable[WorkerEntry]) -> list[HostEntry]:
    """Connected workers by machine, both in the order of their names."""
    by_name: dict[str, list[WorkerEntry]] = {}
    for one in sorted(entries, key=lambda one: (one.worker.host, one.worker.name, one.worker.registered_at)):
        by_name.setdefault(one.worker.host, []).append(one)
    return [
        HostEntry(
            name=name,
            workers=found,
            num_slots=sum(one.worker.slots for one in found),
            num_training=sum(len(one.worker.running) for one in found),
        )
        for name, found in by_name.items()
    ]


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


def _slot(slot: SlotFacts, devices: Mapping[str | None, str], trials: Mapping[int, Training]) -> SlotRow:
    trial = None if slot.trial_id is None else trials.get(slot.trial_id)
    share = 0.0 if trial is None else round(min(100.0, 100 * trial.num_epochs / max(1, trial.max_epochs)), 1)
    return SlotRow(slot, devices.get(slot.device) or slot.device or "CPU", trial, share)


def _troubles(worker: WorkerView, now: datetime, lease_ttl_s: float) -> Iterable[str]:
    silent_s = (now - worker.seen_at).total_seconds()
    if worker.is_alive and silent_s > _LATE * lease_ttl_s:
        left = formats.seconds(max(0.0, lease_ttl_s - silent_s))
        yield f"Silent for {formats.seconds(silent_s)}; in {left} it counts as gone and its trials are lost."
    for slot in worker.slot_facts:
        if slot.state is SlotState.PAUSED:
            yield f"Slot {slot.index} is paused: {slot.detail or 'the worker does not say why'}"
        elif slot.detail:
            yield f"Slot {slot.index}: {slot.detail}"
    for device in worker.devices:
        if device.num_slots == 0 and worker.mode is WorkerMode.WORKING:
            yield f"There is no room for a training on {device.name} now."


def _size(num_bytes: int | None) -> str | None:
    return None if num_bytes is None else formats.size(num_bytes)


def _short(device: Device) -> str:
    kind = {"gpu": "GPU", "mig": "MIG", "cpu": "CPU"}[device.kind]
    return kind if device.index is None else f"{kind} {device.index}"


def _work(device: Device) -> str:
    told = [
        None if device.num_slots is None else f"{device.num_slots} {'slot' if device.num_slots == 1 else 'slots'}",
        None if device.num_cores is None else f"{device.num_cores} {'core' if device.num_cores == 1 else 'cores'}",
        None if device.temperature_c is None else f"{device.temperature_c:.0f} °C",
        None if device.power_w is None else f"{device.power_w:.0f} W",
    ]
    return ", ".join(part for part in told if part is not None)
