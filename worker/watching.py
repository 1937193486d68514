"""Watch trainings: their time, their epochs, their memory, and the memory of the machine."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from caviar.contract.messages import TrainingError
from caviar.contract.states import Outcome
from worker.logs import naming
from worker.memory import MachineMemory
from worker.runs import Place, Run, Verdict

_log = structlog.get_logger(__name__)

LOOK_S = 1.0
_TRACE_S = 1.0
# A process that the kernel has killed may be seen to be gone a moment after the kernel has counted it.
_NUM_COUNTS = 5
_MIB = 1024**2
# The service knows that the trial has used up its seconds: what was reported until then counts.
_OUT_OF_TIME = Verdict(Outcome.COMPLETE, None)


@dataclass(frozen=True)
class Limits:
    """What a training may take.

    Attributes:
        stop_grace_s: Seconds to stop when asked to, or at the trial's time limit.
        max_epoch_s: Seconds without a finished epoch.
        max_growth_bytes: Growth of a process's memory after which it is replaced between two trials.
        max_memory_bytes: Resident memory of a process; None for no limit of its own.
        memory_floor_bytes: Memory of the machine that is to stay available.
    """

    stop_grace_s: float
    max_epoch_s: float
    max_growth_bytes: int
    max_memory_bytes: int | None = None
    memory_floor_bytes: int = 0


class Watch:
    """Measures the processes of slots about once per second, and kills those beyond their limits."""

    def __init__(
        self,
        limits: Limits,
        memory: MachineMemory,
        device_memory_bytes: Callable[[int], int | None],
        clock: Callable[[], float],
    ) -> None:
        """Begin to watch.

        Args:
            limits: What a training may take.
            memory: Tells the memory of processes and of the machine.
            device_memory_bytes: Tells what a process holds on its device; None if that is not known.
            clock: Seconds of a monotonic clock.
        """
        self._limits = limits
        self._memory = memory
        self._device_memory_bytes = device_memory_bytes
        self._clock = clock
        self._look_at = clock()
        self._num_oom_kills = deque([memory.num_oom_kills()], maxlen=_NUM_COUNTS)

    def begin(self, run: Run) -> None:
        """Set the deadlines of a training that begins now."""
        limit_s = run.assignment.max_trial_seconds
        if limit_s is not None:
            run.deadline = run.began + limit_s + self._limits.stop_grace_s
        self.epoch_ended(run)

    def epoch_ended(self, run: Run) -> None:
        """The next epoch has its full time again."""
        run.epoch_deadline = self._clock() + self._limits.max_epoch_s

    def lose(self, run: Run) -> None:
        """A training that was asked to end has its grace from now on."""
        run.deadline = min(run.deadline, self._clock() + self._limits.stop_grace_s)

    def next_deadline(self, places: Sequence[Place]) -> float:
        """Reading of the clock at which there is something to do."""
        runs = [place.run for place in places if place.run is not None]
        return min([self._look_at, *(min(run.deadline, run.epoch_deadline) for run in runs)])

    def is_time_to_look(self) -> bool:
        """Whether the last look was a second ago; if so, the next one is due in a second."""
        now = self._clock()
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_S
        return True

    def kill_overdue(self, places: Sequence[Place]) -> None:
        """Kill the processes of trainings that did not end when they should have, or whose epochs do not end."""
        now = self._clock()
        for place in places:
            run = place.run
            if run is None or place.is_killed:
                continue
            if run.deadline <= now:
                _kill(place, run.verdict or _OUT_OF_TIME, "it did not end when asked to, or at its time limit")
            elif run.epoch_deadline <= now:
                self._stall(place, run, now)

    def _stall(self, place: Place, run: Run, now: float) -> None:
        limit_s = self._limits.max_epoch_s
        message = f"no epoch ended within {limit_s:g} s (CAVIAR_MAX_EPOCH_S); the end of the log shows where it was"
        run.verdict = Verdict(Outcome.STALLED, TrainingError(kind="stalled", message=message))
        # It is killed once it has written where each of its threads is.
        run.deadline, run.epoch_deadline = min(run.deadline, now + _TRACE_S), math.inf
        place.slot.trace()

    def measure(self, places: Sequence[Place]) -> None:
        """Look at the memory of all processes, and kill what takes too much of it."""
        self._num_oom_kills.append(self._memory.num_oom_kills())
        for place in places:
            self.measure_one(place)
            if place.memory_bytes is not None and not place.is_killed:
                self._hold_to_limit(place, place.memory_bytes)
        self._guard_machine(places)

    def measure_one(self, place: Place) -> None:
        """Look at the memory of one process, and keep the peaks of its training."""
        if place.is_resting:
            place.memory_bytes = place.device_memory_bytes = None
            return
        used = self._memory.of_process(place.slot.process_id)
        place.memory_bytes = None if used is None else used.resident_bytes
        if place.device is not None:
            place.device_memory_bytes = self._device_memory_bytes(place.slot.process_id)
        if place.run is not None:
            place.run.note_peaks(place.memory_bytes, place.device_memory_bytes)

    def was_killed_by_kernel(self) -> bool:
        """Whether the kernel has killed a process for want of memory in the last seconds."""
        return self._memory.num_oom_kills() > self._num_oom_kills[0]

    def _hold_to_limit(self, place: Place, used: int) -> None:
        limit = self._limits.max_memory_bytes
        if limit is not None and used > limit:
            message = (
                f"the training process used {_in_mib(used)} of memory, its limit is {_in_mib(limit)} "
                "(CAVIAR_MAX_SLOT_MEMORY_BYTES)"
            )
            _kill(place, _out_of_memory(message), message)

    def _guard_machine(self, places: Sequence[Place]) -> None:
        floor = self._limits.memory_floor_bytes
        if not floor or any(place.is_killed for place in places):
            # The memory of a process that was killed a moment ago is on its way back.
            return
        available = self._memory.available_bytes()
        if available is None or available >= floor:
            return
        used, largest = max(((place.memory_bytes or 0, place) for place in places), key=lambda pair: pair[0])
        if used:
            message = (
                f"the training process used {_in_mib(used)}, more than any other, when only {_in_mib(available)} of "
                f"the machine's memory were available; the limit is {_in_mib(floor)} (CAVIAR_MEMORY_FLOOR_BYTES)"
            )
            # A new process would be in need of the same memory at once.
            _kill(largest, _out_of_memory(message), message, should_rest=True)


def _kill(place: Place, verdict: Verdict, reason: str, *, should_rest: bool = False) -> None:
    with naming(None if place.run is None else place.run.assignment):
        _log.error("training_killed", slot=place.index, reason=reason)
    place.kill(reason, verdict, should_rest=should_rest)


def _out_of_memory(message: str) -> Verdict:
    return Verdict(Outcome.OUT_OF_MEMORY, TrainingError(kind="killed", message=message))


def _in_mib(num_bytes: int) -> str:
    return f"{num_bytes / _MIB:,.0f} MiB"
