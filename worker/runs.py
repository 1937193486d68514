"""The trainings that a worker has taken on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from caviar.contract.fleet import SlotFacts
from caviar.contract.messages import Assignment, TrainingError
from caviar.contract.states import Outcome, SlotState
from worker.channel import Ready
from worker.flapping import Guard
from worker.placing import SlotView
from worker.slot import Slot

_MAX_DETAIL = 2000


@dataclass(frozen=True)
class Verdict:
    """Why the worker ends a training by killing its process.

    Attributes:
        outcome: What is reported of its trial.
        error: For people; None if the outcome is `complete`.
    """

    outcome: Outcome
    error: TrainingError | None


@dataclass
class Run:
    """A trial in training. All times are readings of a monotonic clock.

    Attributes:
        assignment: What is trained.
        began: When it was handed to its process.
        log_start: Bytes of the slot's log that were written before it.
        deadline: When its process is killed for not ending; infinity for never.
        epoch_deadline: When its process is killed unless an epoch ends before.
        is_alone: Whether no other training of this worker has been on its device since it began.
        is_started: Whether the training process has begun with it.
        is_gone: Whether the service has taken it away: nothing of it is reported any more.
        is_warned: Whether it was logged that its checkpoints cannot be kept.
        num_epochs: Epochs of this attempt so far.
        code_version: Digest of the source of its objective, once it has started.
        peak_memory_bytes: Most resident memory of its process that was seen.
        peak_device_memory_bytes: Most memory of the device that its process was seen to hold.
        verdict: Why its process was killed, if this worker did it.
    """

    assignment: Assignment
    began: float
    log_start: int = 0
    deadline: float = math.inf
    epoch_deadline: float = math.inf
    is_alone: bool = True
    is_started: bool = False
    is_gone: bool = False
    is_warned: bool = False
    num_epochs: int = 0
    code_version: str | None = None
    peak_memory_bytes: int | None = None
    peak_device_memory_bytes: int | None = None
    verdict: Verdict | None = None

    @property
    def lease(self) -> str:
        """Its token."""
        return self.assignment.lease

    def note_peaks(self, memory_bytes: int | None, device_memory_bytes: int | None) -> None:
        """Remember the most memory that was seen; None is nothing new."""
        self.peak_memory_bytes = _larger(self.peak_memory_bytes, memory_bytes)
        self.peak_device_memory_bytes = _larger(self.peak_device_memory_bytes, device_memory_bytes)


@dataclass
class Place:
    """What the supervisor knows of a slot and its process.

    Attributes:
        slot: The slot itself.
        guard: Counts its failures in a row.
        ready: What the process said when it had imported everything; None until then.
        killed_for: Why this worker has killed the process, which is not gone yet; None if it has not.
        is_resting: Whether there is no process, until the pause of the slot is over.
        broken: Why no process can work here now, as it says itself, or because the machine has no memory left.
        memory_bytes: Its memory when it was last looked at.
        device_memory_bytes: What it held on the device when that was last looked at.
        num_failed_starts: Processes in a row that died before they were ready.
        run: What it trains; None if it is free.
    """

    slot: Slot
    guard: Guard = field(default_factory=Guard)
    ready: Ready | None = None
    killed_for: str | None = None
    is_resting: bool = False
    broken: str | None = None
    memory_bytes: int | None = None
    device_memory_bytes: int | None = None
    num_failed_starts: int = 0
    run: Run | None = None

    @property
    def index(self) -> int:
        """Number of the slot."""
        return self.slot.index

    @property
    def device(self) -> str | None:
        """Uuid of its device; None for the CPU."""
        return self.slot.setup.device

    def facts(self, now: float) -> SlotFacts:
        """What it does now, for the service; may be called from any thread."""
        run, state = self.run, SlotState.IDLE
        if run is not None:
            state = SlotState.TRAINING
        elif self.guard.is_paused(now):
            state = SlotState.PAUSED
        elif self.ready is None:
            state = SlotState.STARTING
        return SlotFacts(
            index=self.index,
            state=state,
            device=self.device,
            trial_id=None if run is None else run.assignment.trial_id,
            memory_bytes=self.memory_bytes,
            device_memory_bytes=self.device_memory_bytes,
            detail=(self.guard.detail or "")[:_MAX_DETAIL] if state is SlotState.PAUSED else None,
        )

    def is_present(self, process_id: int) -> bool:
        """Whether this is its process now, and not a former one."""
        return not self.is_resting and process_id == self.slot.process_id

    def is_free(self, now: float) -> bool:
        """Whether it can take a training now."""
        return self.ready is not None and not self.is_killed and self.run is None and not self.guard.is_paused(now)

    def view(self, now: float) -> SlotView:
        """What the placing is to know of it."""
        return SlotView(
            index=self.index,
            device=self.device,
            is_free=self.is_free(now),
            process_id=self.slot.process_id,
            assignment=None if self.run is None else self.run.assignment,
        )

    @property
    def is_killed(self) -> bool:
        """Whether this worker has killed the process, which is not gone yet."""
        return self.killed_for is not None

    def kill(self, reason: str, verdict: Verdict, *, should_rest: bool = False) -> None:
        """End its process at once.

        Args:
            reason: Why, for people.
            verdict: What that means for the trial in training.
            should_rest: Whether a new process would meet the same trouble now.
        """
        if self.run is not None:
            self.run.verdict = verdict
        if should_rest:
            self.broken = reason
        self.killed_for = reason
        self.slot.kill()


def _larger(one: int | None, other: int | None) -> int | None:
    known = [number for number in (one, other) if number is not None]
    return max(known, default=None)
