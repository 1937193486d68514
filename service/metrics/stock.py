"""What the database holds; every service process on it tells the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import Metric

from caviar.contract.fleet import Device
from service.metrics.families import gauge
from service.use_cases.inventory import Fleet, Inventory

_DEVICE_LABELS = ("worker", "host", "device", "kind")
_DEVICE_FACTS: tuple[tuple[str, str, Callable[[Device], float | None]], ...] = (
    ("memory_used_bytes", "Memory in use, by whomever.", lambda one: one.memory_used_bytes),
    ("memory_total_bytes", "Memory of the device.", lambda one: one.memory_total_bytes),
    ("utilisation_ratio", "Share of the time in which it was computing, 0-1.", lambda one: one.utilisation),
    ("temperature_celsius", "Temperature.", lambda one: one.temperature_c),
    ("power_watts", "Power that it draws.", lambda one: one.power_w),
    ("slots", "Trainings that may run on it at the same time.", lambda one: one.num_slots),
)


def families(found: Inventory | None) -> Iterator[Metric]:
    """Everything that was counted in the database; one family alone if it did not answer."""
    yield gauge("caviar_database_up", "Whether the database answered this scrape.", float(found is not None))
    if found is None:
        return
    yield gauge("caviar_database_size_bytes", "Size of the database.", found.database_bytes)
    yield gauge("caviar_trials", "Trials by state.", found.trials, ("state",))
    yield gauge("caviar_studies", "Studies by state.", found.studies, ("state",))
    yield gauge("caviar_leases_held", "Trials that a worker holds.", found.num_leases)
    yield from _running(found)
    yield from _artifacts(found)
    yield from _fleet(found.fleet)


def _running(found: Inventory) -> Iterator[Metric]:
    epochs = {one.name: float(one.num_epochs) for one in found.running}
    yield gauge("caviar_study_epochs", "Epochs of each of the studies that run.", epochs, ("study",))
    best = {one.name: one.best_value for one in found.running if one.best_value is not None}
    yield gauge("caviar_study_best_value", "Best value of each of the studies that run.", best, ("study",))
    trials = {(one.name, state): float(num) for one in found.running for state, num in one.trials.items()}
    yield gauge("caviar_study_trials", "Trials of each of the studies that run.", trials, ("study", "state"))


def _artifacts(found: Inventory) -> Iterator[Metric]:
    labels = ("kind", "is_doomed")
    sizes = {(one.kind, str(one.is_doomed).lower()): float(one.size_bytes) for one in found.artifacts}
    yield gauge("caviar_artifact_bytes", "Size of the files of trials; doomed ones go soon.", sizes, labels)
    nums = {(one.kind, str(one.is_doomed).lower()): float(one.num) for one in found.artifacts}
    yield gauge("caviar_artifacts", "Files of trials; doomed ones go soon.", nums, labels)


def _fleet(fleet: Fleet) -> Iterator[Metric]:
    yield gauge("caviar_workers", "Workers that are alive, by what is wanted of them.", fleet.modes, ("mode",))
    yield gauge("caviar_worker_slots", "Trainings that they can run at the same time.", fleet.num_slots)
    yield gauge("caviar_worker_slots_busy", "Trials that they hold.", fleet.num_busy)
    for name, meaning, fact in _DEVICE_FACTS:
        told = {
            (*key, device.kind): float(value)
            for key, device in fleet.devices.items()
            if (value := fact(device)) is not None
        }
        yield gauge(f"caviar_device_{name}", meaning, told, _DEVICE_LABELS)
