"""A device with the slots on it at one moment, and the room that is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from caviar.contract.messages import Assignment
from worker.devices.driver import Gpu
from worker.placing.meters import Meters
from worker.placing.protocol import SlotView

# A context with its libraries and a small model; with less free memory nothing is tried.
LEAST_BYTES = 1024**3


@dataclass(frozen=True)
class Board:
    """A device and its slots.

    Attributes:
        gpu: The device.
        capacity_bytes: Its memory less the margin; None if it does not tell.
        free_bytes: Memory that nobody uses, less the margin; may be negative. None if it does not tell.
        growth_bytes: What the trainings there are still expected to take; None if one of them is unknown.
        trainings: Slots in training.
        free: Slots that can take a training.
        held_bytes: What the processes of the free slots hold, by index.
    """

    gpu: Gpu
    capacity_bytes: int | None
    free_bytes: int | None
    growth_bytes: int | None
    trainings: tuple[SlotView, ...]
    free: tuple[SlotView, ...]
    held_bytes: dict[int, int]

    @property
    def uuid(self) -> str:
        """The device's."""
        return self.gpu.uuid

    @property
    def is_closed(self) -> bool:
        """Whether a training there must be alone."""
        return any(slot.assignment is not None and slot.assignment.is_alone for slot in self.trainings)

    @property
    def room_bytes(self) -> int | None:
        """Memory that is free and stays free; None if nobody knows."""
        if self.free_bytes is None or self.growth_bytes is None:
            return None
        return self.free_bytes - self.growth_bytes

    @property
    def reclaimable_bytes(self) -> int:
        """What comes free when the free slots get new processes."""
        return sum(self.held_bytes.values())

    @property
    def is_bearable(self) -> bool:
        """Whether anything at all may be tried there now."""
        return self.free_bytes is None or self.free_bytes + self.reclaimable_bytes >= LEAST_BYTES

    def best_slot(self) -> SlotView | None:
        """The free slot whose process holds most: a framework uses again what it holds, and never gives it back."""
        return max(self.free, key=lambda slot: (self.held_bytes[slot.index], -slot.index), default=None)

    def telling_slot(self, need_bytes: int) -> SlotView | None:
        """The free slot where it fits whose process holds least: what is taken there tells most about the need."""
        room = self.room_bytes or 0
        fitting = [slot for slot in self.free if need_bytes - self.held_bytes[slot.index] <= room]
        return min(fitting, key=lambda slot: (self.held_bytes[slot.index], slot.index), default=None)

    def emptiest_slot(self) -> SlotView | None:
        """The free slot whose process holds least."""
        return min(self.free, key=lambda slot: (self.held_bytes[slot.index], slot.index), default=None)

    def fits(self, need_bytes: int) -> bool:
        """Whether a training that needs so much can begin now beside those that are there."""
        slot, room = self.best_slot(), self.room_bytes
        if slot is None or room is None:
            return False
        return need_bytes - self.held_bytes[slot.index] <= room

    def would_fit(self, need_bytes: int) -> bool:
        """Whether it could begin if the free slots had new processes."""
        room = self.room_bytes
        return bool(self.free) and room is not None and need_bytes <= room + self.reclaimable_bytes


def survey(
    meters: Meters,
    slots: Sequence[SlotView],
    *,
    margin_bytes: int,
    predict: Callable[[Assignment], int | None],
) -> list[Board]:
    """All devices that answer, with their slots.

    Args:
        meters: Just refreshed.
        slots: All slots of the worker.
        margin_bytes: Memory that is to stay free on each device.
        predict: Memory that a training needs; None if unknown.
    """
    boards = []
    for uuid, gpu in meters.gpus.items():
        reading = meters.reading(uuid)
        if reading is None:
            continue
        here = [slot for slot in slots if slot.device == uuid]
        trainings = tuple(slot for slot in here if slot.assignment is not None)
        free = tuple(slot for slot in here if slot.is_free)
        boards.append(
            Board(
                gpu=gpu,
                capacity_bytes=None if reading.total_bytes is None else reading.total_bytes - margin_bytes,
                free_bytes=None if reading.free_bytes is None else reading.free_bytes - margin_bytes,
                growth_bytes=_growth_bytes(meters, uuid, here, predict),
                trainings=trainings,
                free=free,
                held_bytes={slot.index: meters.held_bytes(slot.process_id, uuid) for slot in free},
            )
        )
    return boards


def _growth_bytes(
    meters: Meters, uuid: str, slots: Sequence[SlotView], predict: Callable[[Assignment], int | None]
) -> int | None:
    growth = 0
    untold = 0
    is_told = True
    for slot in slots:
        need = None if slot.assignment is None else predict(slot.assignment)
        if slot.assignment is not None and need is None:
            return None
        told = meters.told_bytes(slot.process_id, uuid)
        is_told = is_told and (told is not None or slot.assignment is None)
        growth += max(0, (need or 0) - (told or 0))
        untold += max(need or 0, meters.held_bytes(slot.process_id, uuid))
    own = meters.own_bytes(uuid)
    # Where the driver does not tell who holds what, all that came since the start counts as this worker's.
    return growth if is_told or own is None else max(0, untold - own)
