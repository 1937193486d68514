"""What devices and trainings hold of memory, as it is watched while they run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import structlog

from caviar.contract.messages import Assignment
from worker.devices.driver import Driver, Gpu, GpuLost, Reading, Unreadable

_log = structlog.get_logger(__name__)


@dataclass
class Stay:
    """A training on a device.

    Attributes:
        assignment: What is trained.
        device: Uuid of the device.
        held_before_bytes: What its process held when it began.
        used_before_bytes: What was in use on the device then; None if unknown.
        peak_bytes: Most that its process held since; None if unknown.
        grown_at: Reading of the clock when that grew last.
        is_undisturbed: Whether nothing else of this worker changed on the device since: then what is in use more counts
            as its own.
        is_learnt: Whether its need was recorded although it goes on.
    """

    assignment: Assignment
    device: str
    held_before_bytes: int
    used_before_bytes: int | None
    peak_bytes: int | None
    grown_at: float
    is_undisturbed: bool = True
    is_learnt: bool = False


class Meters:
    """Reads the devices, at most so often, and remembers what processes held; for one thread at a time."""

    def __init__(
        self,
        driver: Driver,
        gpus: Sequence[Gpu],
        *,
        has_own_process_ids: bool,
        clock: Callable[[], float],
        max_age_s: float,
    ) -> None:
        """Read all devices for the first time.

        Args:
            driver: Connection to the driver.
            gpus: What the worker trains on.
            has_own_process_ids: Whether the driver may know processes by other ids than this worker. What a training
                holds is then told by how the device's memory changes, as long as it is the only change.
            clock: Seconds of a monotonic clock.
            max_age_s: Seconds after which a reading is repeated.
        """
        self.gpus = {gpu.uuid: gpu for gpu in gpus}
        self.lost: dict[str, str] = {}
        self.silent: dict[str, str] = {}
        self._driver = driver
        self._is_foreign = has_own_process_ids
        self._clock = clock
        self._max_age_s = max_age_s
        self._readings: dict[str, Reading] = {}
        self._least_used: dict[str, int] = {}
        self._stays: dict[int, Stay] = {}
        self._remembered: dict[int, int] = {}
        self._homes: dict[int, str] = {}
        self._read_at = -float("inf")
        self.refresh()

    def refresh(self) -> None:
        """Read the devices again, unless that was done just now."""
        if self._clock() - self._read_at < self._max_age_s:
            return
        for uuid, gpu in self.gpus.items():
            if uuid not in self.lost:
                self._read(uuid, gpu)
        self._read_at = self._clock()
        for process_id, stay in self._stays.items():
            self._follow(process_id, stay)

    def reading(self, uuid: str) -> Reading | None:
        """The last reading of a device; None if it does not answer or is lost."""
        return self._readings.get(uuid)

    def watch(self, homes: dict[int, str]) -> None:
        """These processes are all that the worker has, with the devices that they see."""
        for process_id, device in self._homes.items():
            if process_id not in homes:
                self._stays.pop(process_id, None)
                if self._remembered.pop(process_id, 0):
                    self._disturb(device)
        self._homes = dict(homes)

    def num_slots(self, device: str) -> int | None:
        """Processes that see a device; None before the worker has any."""
        return sum(home == device for home in self._homes.values()) if self._homes else None

    def begin(self, process_id: int, device: str, assignment: Assignment) -> None:
        """A training begins in a process."""
        self.end(process_id)
        others = [stay for stay in self._stays.values() if stay.device == device]
        self._disturb(device)
        reading = self._readings.get(device)
        self._stays[process_id] = Stay(
            assignment=assignment,
            device=device,
            held_before_bytes=self.held_bytes(process_id, device),
            used_before_bytes=None if reading is None else reading.used_bytes,
            peak_bytes=None,
            grown_at=self._clock(),
            is_undisturbed=not others,
        )

    def end(self, process_id: int) -> Stay | None:
        """A training is over; what it was seen to hold."""
        stay = self._stays.pop(process_id, None)
        if stay is not None and stay.peak_bytes is not None:
            self._remembered[process_id] = max(stay.peak_bytes, self._remembered.get(process_id, 0))
        return stay

    def settled(self, after_s: float) -> Iterator[Stay]:
        """Trainings that have not grown for so many seconds and are not learnt yet."""
        for stay in self._stays.values():
            if not stay.is_learnt and stay.peak_bytes and self._clock() - stay.grown_at >= after_s:
                yield stay

    def told_bytes(self, process_id: int, device: str) -> int | None:
        """What a process holds of a device, as the driver tells; None if it does not."""
        reading = self._readings.get(device)
        if reading is None or reading.process_bytes is None:
            return None
        held = reading.process_bytes.get(process_id)
        if held is not None:
            # A driver that knows one process by our number knows all of them.
            self._is_foreign = False
        return 0 if held is None and not self._is_foreign else held

    def held_bytes(self, process_id: int, device: str) -> int:
        """What a process holds of a device, as far as is known."""
        told = self.told_bytes(process_id, device)
        return self._remembered.get(process_id, 0) if told is None else told

    def seen_bytes(self, process_id: int) -> int | None:
        """What a process holds of its device, told by the driver or by what changed; None if unknown."""
        device = self._homes.get(process_id)
        if device is None:
            return None
        told = self.told_bytes(process_id, device)
        stay = self._stays.get(process_id)
        return self._difference(stay) if told is None and stay is not None else told

    def own_bytes(self, device: str) -> int | None:
        """What all processes of this worker hold, where the driver does not tell: at most what came since the start."""
        reading = self._readings.get(device)
        if reading is None or reading.used_bytes is None:
            return None
        return reading.used_bytes - self._least_used[device]

    def _read(self, uuid: str, gpu: Gpu) -> None:
        try:
            reading = self._driver.read(gpu)
        except GpuLost as error:
            self._readings.pop(uuid, None)
            self.lost[uuid] = str(error)
            _log.error("gpu_lost", gpu=gpu.number, uuid=uuid, reason=str(error), meaning="its slots are used no more")
        except Unreadable as error:
            self._readings.pop(uuid, None)
            if uuid not in self.silent:
                _log.warning("gpu_silent", gpu=gpu.number, uuid=uuid, reason=str(error), meaning="nothing starts there")
            self.silent[uuid] = str(error)
        else:
            if self.silent.pop(uuid, None):
                _log.info("gpu_answers_again", gpu=gpu.number, uuid=uuid)
            self._readings[uuid] = reading
            if reading.used_bytes is not None:
                self._least_used[uuid] = min(reading.used_bytes, self._least_used.get(uuid, reading.used_bytes))

    def _follow(self, process_id: int, stay: Stay) -> None:
        told = self.told_bytes(process_id, stay.device)
        held = self._difference(stay) if told is None else told
        if held is not None and held > (stay.peak_bytes or 0):
            stay.peak_bytes, stay.grown_at = held, self._clock()

    def _difference(self, stay: Stay) -> int | None:
        reading = self._readings.get(stay.device)
        if not stay.is_undisturbed or stay.used_before_bytes is None or reading is None or reading.used_bytes is None:
            return None
        return max(0, reading.used_bytes - stay.used_before_bytes) + stay.held_before_bytes

    def _disturb(self, device: str) -> None:
        for stay in self._stays.values():
            if stay.device == device:
                stay.is_undisturbed = False


def processes_of(homes: Collection[tuple[int, str | None]]) -> dict[int, str]:
    """Devices by process id; a slot without a process or device is left out."""
    return {process_id: device for process_id, device in homes if process_id and device is not None}
