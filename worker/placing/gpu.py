"""Placing on GPUs: several trainings on one, as far as its memory allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from caviar.contract.fleet import Device
from caviar.contract.messages import Assignment
from worker.devices.driver import Driver, Gpu
from worker.placing import facts
from worker.placing.boards import LEAST_BYTES, Board, survey
from worker.placing.meters import Meters, Stay, processes_of
from worker.placing.needs import Needs
from worker.placing.protocol import SlotView
from worker.placing.queue import Queue

_log = structlog.get_logger(__name__)

# A framework takes nearly all that it needs in the first epoch; what has not grown for so long will hardly grow later.
_SETTLED_S = 120.0
# A training that was passed over for so long gets a device that is kept free for it.
_PATIENCE_S = 30.0
# Processes that hold memory of a free device are replaced before a training begins that must be alone.
_RENEWAL_S = 60.0
# So long a training that must be alone waits for memory that other programs hold; then it is tried with what there is.
_OTHERS_S = 600.0


class GpuPlacing:
    """Starts a training where the memory that is free, and will stay free, covers what it is predicted to need.

    As long as nothing was measured of an objective and its options, one training at a time runs on a GPU.
    """

    def __init__(
        self,
        driver: Driver,
        gpus: Sequence[Gpu],
        *,
        slots_per_gpu: int | None,
        margin_bytes: int,
        needs: Needs,
        has_own_process_ids: bool,
        clock: Callable[[], float] = time.monotonic,
        max_age_s: float = 0.2,
    ) -> None:
        """Look at the devices.

        Args:
            driver: Connection to the driver.
            gpus: What to train on, at least one.
            slots_per_gpu: Trainings on one GPU whatever they need; None to go by memory.
            margin_bytes: Memory that is to stay free on each device.
            needs: What trainings need.
            has_own_process_ids: Whether the driver may know processes by other ids than this worker.
            clock: Seconds of a monotonic clock.
            max_age_s: Seconds after which the devices are read again.
        """
        self._slots_per_gpu = slots_per_gpu
        self._margin_bytes = margin_bytes
        self._needs = needs
        self._clock = clock
        self._queue = Queue(clock)
        self._renewals: set[int] = set()
        # The crew decides, the heartbeat's and the watching threads ask for facts.
        self._lock = threading.Lock()
        self._meters = Meters(driver, gpus, has_own_process_ids=has_own_process_ids, clock=clock, max_age_s=max_age_s)

    def choose(self, assignment: Assignment, slots: Sequence[SlotView]) -> int | None:
        """See `Placing.choose`."""
        with self._lock:
            self._queue.ask(assignment.lease)
            boards = [board for board in self._boards(slots) if self._is_able(board, assignment)]
            if assignment.is_alone:
                slot = self._alone(assignment, boards)
            elif self._slots_per_gpu is not None:
                slot = self._by_count(assignment, boards)
            else:
                slot = self._by_memory(assignment, boards)
            if slot is None:
                return None
            self._queue.leave(assignment.lease)
            self._meters.begin(slot.process_id, slot.device or "", assignment)
            _log.debug("placed", trial_id=assignment.trial_id, slot=slot.index, device=slot.device)
            return slot.index

    def num_claimable(self, slots: Sequence[SlotView], waiting: Sequence[Assignment]) -> int:
        """See `Placing.num_claimable`."""
        with self._lock:
            self._queue.keep({assignment.lease for assignment in waiting})
            typical = self._needs.typical_bytes()
            open_boards = [board for board in self._boards(slots) if self._is_open(board, None)]
            room = sum(self._num_more(board, typical) for board in open_boards)
            return max(0, room - len(waiting))

    def learn(self, assignment: Assignment, peak_device_memory_bytes: int | None, *, slot: SlotView) -> None:
        """See `Placing.learn`."""
        with self._lock:
            stay = self._meters.end(slot.process_id)
            seen = None if stay is None else stay.peak_bytes
            peak = max((size for size in (peak_device_memory_bytes, seen) if size), default=None)
            if peak is not None:
                self._record(assignment, peak, 0 if stay is None else stay.held_before_bytes)

    def to_renew(self, slots: Sequence[SlotView]) -> list[int]:
        """See `Placing.to_renew`."""
        with self._lock:
            chosen = [slot for slot in slots if slot.is_free and slot.process_id in self._renewals]
            self._renewals.clear()
            return [slot.index for slot in chosen]

    def devices(self) -> list[Device]:
        """See `Placing.devices`."""
        with self._lock:
            self._meters.refresh()
            return [self._device(uuid, gpu) for uuid, gpu in self._meters.gpus.items()]

    def device_memory_bytes(self, process_id: int) -> int | None:
        """See `Placing.device_memory_bytes`."""
        with self._lock:
            self._meters.refresh()
            return self._meters.seen_bytes(process_id)

    def problem(self) -> str | None:
        """See `Placing.problem`."""
        with self._lock:
            lost, gpus = self._meters.lost, self._meters.gpus
            if len(lost) < len(gpus):
                return None
            told = "; ".join(f"GPU {gpus[uuid].number} ({uuid}): {reason}" for uuid, reason in lost.items())
            return (
                f"no GPU of this worker is left: {told}; look at the machine's kernel log, reset the GPU, start again"
            )

    def _boards(self, slots: Sequence[SlotView]) -> list[Board]:
        self._meters.watch(processes_of([(slot.process_id, slot.device) for slot in slots]))
        self._meters.refresh()
        for stay in list(self._meters.settled(_SETTLED_S)):
            self._settle(stay)
        for uuid in self._meters.lost:
            self._queue.forsake(uuid)
        return survey(self._meters, slots, margin_bytes=self._margin_bytes, predict=self._needs.predicted_bytes)

    def _is_able(self, board: Board, assignment: Assignment) -> bool:
        """Whether a device is large enough for the study; the service knows only the largest of this worker."""
        required = assignment.requires.memory_bytes
        return required is None or board.capacity_bytes is None or board.capacity_bytes + self._margin_bytes >= required

    def _is_open(self, board: Board, lease: str | None) -> bool:
        return not board.is_closed and not self._queue.is_held(board.uuid, against=lease) and board.is_bearable

    def _alone(self, assignment: Assignment, boards: Sequence[Board]) -> SlotView | None:
        # On the largest GPU it has the best chance.
        order = sorted(boards, key=lambda board: (-(board.capacity_bytes or 0), len(board.trainings), board.gpu.index))
        board = next((one for one in order if self._queue.hold(one.uuid, assignment.lease)), None)
        if board is None or board.trainings or not board.is_bearable or not board.free:
            return None
        turn_s = self._queue.turn_s(assignment.lease)
        if board.reclaimable_bytes and turn_s < _RENEWAL_S:
            self._renew(board)
            return None
        if turn_s < _OTHERS_S and self._is_crowded(assignment, board):
            return None
        return board.emptiest_slot()

    def _is_crowded(self, assignment: Assignment, board: Board) -> bool:
        """Whether other programs hold what the training is predicted to need."""
        if board.free_bytes is None or board.capacity_bytes is None:
            return False
        need = self._needs.predicted_bytes(assignment) or LEAST_BYTES
        return board.free_bytes + board.reclaimable_bytes < min(need, board.capacity_bytes * 0.9)

    def _by_count(self, assignment: Assignment, boards: Sequence[Board]) -> SlotView | None:
        open_boards = [board for board in boards if board.free and self._is_open(board, assignment.lease)]
        board = min(open_boards, key=lambda one: (len(one.trainings), one.gpu.index), default=None)
        return None if board is None else board.best_slot()

    def _by_memory(self, assignment: Assignment, boards: Sequence[Board]) -> SlotView | None:
        prediction = self._needs.predict(assignment)
        open_boards = [board for board in boards if board.free and self._is_open(board, assignment.lease)]
        largest = max((board.capacity_bytes or 0 for board in boards), default=0)
        if prediction is None or prediction.bytes_at_most > largest:
            # Nobody knows, or it fits nowhere by what is known: it is tried on a device of its own.
            empty = [board for board in open_boards if not board.trainings]
            board = min(empty, key=lambda one: (-(one.capacity_bytes or 0), one.gpu.index), default=None)
            if board is not None:
                return self._in_a_fresh_process(assignment, board)
            self._make_room(assignment, None, boards)
            return None
        need = prediction.bytes_at_most
        fitting = [board for board in open_boards if board.fits(need)]
        board = min(fitting, key=lambda one: (len(one.trainings), -(one.room_bytes or 0), one.gpu.index), default=None)
        if board is not None:
            return board.best_slot() if prediction.is_sure else board.telling_slot(need)
        self._make_room(assignment, need, boards)
        return None

    def _in_a_fresh_process(self, assignment: Assignment, board: Board) -> SlotView | None:
        """A slot whose process holds nothing yet: its memory will be the training's own, and all others' comes free."""
        self._renew(board)
        slot = board.emptiest_slot()
        is_fresh = slot is not None and board.held_bytes[slot.index] == 0
        return slot if is_fresh or self._queue.turn_s(assignment.lease) >= _RENEWAL_S else None

    def _make_room(self, assignment: Assignment, need: int | None, boards: Sequence[Board]) -> None:
        """Have processes replaced that hold what is needed; keep a device free for what has waited for long."""
        lease = assignment.lease
        if need is not None:
            board = next((one for one in boards if self._is_open(one, lease) and one.would_fit(need)), None)
            if board is not None:
                self._renew(board)
        if self._queue.waited_s(lease) >= _PATIENCE_S and self._queue.device_of(lease) is None:
            possible = [
                one for one in boards if one.is_bearable and (need is None or need <= (one.capacity_bytes or 0))
            ]
            possible.sort(key=lambda board: (len(board.trainings), -(board.free_bytes or 0)))
            any(self._queue.hold(one.uuid, lease) for one in possible)

    def _renew(self, board: Board) -> None:
        self._renewals |= {slot.process_id for slot in board.free if board.held_bytes[slot.index] > 0}

    def _num_more(self, board: Board, typical: int | None) -> int:
        if self._slots_per_gpu is not None:
            return len(board.free)
        if not board.free:
            return 0
        room = board.room_bytes
        one_if_empty = 0 if board.trainings else 1
        if typical is None or room is None:
            return one_if_empty
        count = 0
        for slot in sorted(board.free, key=lambda slot: -board.held_bytes[slot.index]):
            room -= max(0, typical - board.held_bytes[slot.index])
            if room < 0:
                break
            count += 1
        is_too_large = board.capacity_bytes is not None and typical > board.capacity_bytes
        return max(count, one_if_empty) if is_too_large else count

    def _settle(self, stay: Stay) -> None:
        stay.is_learnt = True
        if stay.peak_bytes is not None:
            self._record(stay.assignment, stay.peak_bytes, stay.held_before_bytes)

    def _record(self, assignment: Assignment, peak: int, held_before: int) -> None:
        # A process keeps what an earlier training took: then its memory says only that this one needs no more.
        self._needs.learn(assignment, peak, is_bound=peak <= held_before)

    def _device(self, uuid: str, gpu: Gpu) -> Device:
        problem = self._meters.lost.get(uuid) or self._meters.silent.get(uuid)
        return facts.device(gpu, self._meters.reading(uuid), num_slots=self._meters.num_slots(uuid), problem=problem)
