"""The slots of a worker, and what runs in them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from caviar.contract.messages import Assignment, Finish, Measurement, Release, TrainingError
from caviar.contract.states import Outcome
from worker.channel import Ended, EpochDone, Ready, Started
from worker.events import SlotExited, SlotSaid
from worker.outbox import Outbox
from worker.runs import Place, Run
from worker.slot import Slot, crash

_log = structlog.get_logger(__name__)

_MAX_FAILED_STARTS = 3


class SlotBroken(Exception):
    """Training processes cannot be started; the message says why."""


class Crew:
    """Hands trainings to slots and their results to the outbox; used by one thread only.

    Attributes:
        ready: What the first process said when it was ready; None until then.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        outbox: Outbox,
        *,
        stop_grace_s: float,
        max_growth_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over slots that are not started yet.

        Args:
            slots: One per training at the same time.
            outbox: Where leases, measurements and endings go.
            stop_grace_s: Seconds that a training has to stop, then its process is killed.
            max_growth_bytes: Growth of a process's memory after which it is replaced.
            clock: Seconds of a monotonic clock.
        """
        self.ready: Ready | None = None
        self._slots = list(slots)
        self._places = [Place() for _ in self._slots]
        self._outbox = outbox
        self._stop_grace_s = stop_grace_s
        self._max_growth_bytes = max_growth_bytes
        self._clock = clock
        self._queue: deque[Assignment] = deque()
        self._is_stopping = False

    def start(self) -> None:
        """Start all processes."""
        for slot in self._slots:
            slot.start()

    def close(self) -> None:
        """End all processes."""
        for slot in self._slots:
            slot.close()

    def kill(self) -> None:
        """End all processes at once."""
        for slot in self._slots:
            slot.kill()

    @property
    def num_free(self) -> int:
        """Slots for which there is no training yet."""
        return max(0, sum(place.is_free for place in self._places) - len(self._queue))

    @property
    def is_idle(self) -> bool:
        """Whether nothing is running or about to run."""
        return not self._queue and all(place.run is None for place in self._places)

    def accept(self, assignment: Assignment) -> None:
        """Take on a trial; one that is in training already is left alone."""
        known = {run.lease for run in self._runs()} | {waiting.lease for waiting in self._queue}
        if assignment.lease not in known:
            self._outbox.hold(assignment.trial_id, assignment.lease)
            self._enqueue(assignment)

    def dispatch(self) -> None:
        """Start waiting trainings on free slots."""
        for slot, place in zip(self._slots, self._places, strict=True):
            if self._queue and place.is_free:
                self._begin(slot, place, self._queue.popleft())

    def stop_all(self) -> None:
        """Let every training end after its current epoch; give back those that have not begun, and all that come."""
        self._is_stopping = True
        while self._queue:
            self._enqueue(self._queue.popleft())
        for slot, place in zip(self._slots, self._places, strict=True):
            if place.run is not None:
                slot.stop(place.run.lease, is_urgent=False)

    def lose(self, lease: str) -> None:
        """End a training that the service has taken away; nothing of it is reported."""
        self._queue = deque(waiting for waiting in self._queue if waiting.lease != lease)
        for slot, place in zip(self._slots, self._places, strict=True):
            if place.run is not None and place.run.lease == lease and not place.run.is_gone:
                place.run.is_gone = True
                place.run.deadline = min(place.run.deadline, self._clock() + self._stop_grace_s)
                slot.stop(lease, is_urgent=True)

    def next_deadline(self) -> float:
        """Reading of the clock at which `kill_overdue` has something to do; infinity for never."""
        return min((run.deadline for run in self._runs()), default=math.inf)

    def kill_overdue(self) -> None:
        """Kill the processes of trainings that did not end when they should have."""
        now = self._clock()
        for slot, place in zip(self._slots, self._places, strict=True):
            if place.run is not None and place.run.deadline <= now:
                _log.error(
                    "training_killed",
                    trial_id=place.run.assignment.trial_id,
                    slot=slot.index,
                    reason="it did not end when asked to, or at its time limit",
                )
                place.run.deadline = math.inf
                slot.kill()

    def hear(self, event: SlotSaid) -> None:
        """React to a message of a training process."""
        slot, place = self._slots[event.slot], self._places[event.slot]
        if event.process_id != slot.process_id:
            return
        message, run = event.message, place.run
        if isinstance(message, Ready):
            self.ready = self.ready or message
            place.is_ready, place.num_failed_starts = True, 0
            place.first_memory_bytes = message.memory_bytes
            _log.info("slot_ready", slot=slot.index, pid=slot.process_id)
        elif not isinstance(message, (Started, EpochDone, Ended)) or run is None or message.lease != run.lease:
            return
        elif isinstance(message, Started):
            run.is_started = True
        elif isinstance(message, EpochDone):
            self._measure(run, message)
        else:
            self._ended(slot, place, run, message)

    def bury(self, event: SlotExited) -> None:
        """React to the death of a training process: its trial has failed, and the slot gets a new process.

        Raises:
            SlotBroken: Three processes in a row died before they were ready.
        """
        slot, place = self._slots[event.slot], self._places[event.slot]
        if event.process_id != slot.process_id:
            return
        error = crash(event.status, event.last_words)
        _log.error("training_process_died", slot=slot.index, reason=error.message)
        if not place.is_ready:
            place.num_failed_starts += 1
            if place.num_failed_starts >= _MAX_FAILED_STARTS:
                raise SlotBroken(
                    f"{error.message}, before it was ready, {place.num_failed_starts} times in a row; the "
                    f"end of {slot.log_path}:\n{event.last_words}"
                )
        if place.run is not None:
            self._crashed(place.run, error)
        self._renew(slot, place)

    def _crashed(self, run: Run, error: TrainingError) -> None:
        if run.is_started:
            self._finish(run, Outcome.FAILED, error)
        elif not run.is_gone:
            # It died between two trainings: the next one is not to blame.
            self._enqueue(run.assignment)

    def _enqueue(self, assignment: Assignment) -> None:
        if self._is_stopping:
            self._outbox.end(Release(lease=assignment.lease))
        else:
            self._queue.append(assignment)

    def _begin(self, slot: Slot, place: Place, assignment: Assignment) -> None:
        limit_s = assignment.max_trial_seconds
        deadline = math.inf if limit_s is None else self._clock() + limit_s + self._stop_grace_s
        place.run = Run(assignment, deadline)
        _log.info(
            "training",
            study=assignment.study,
            trial_id=assignment.trial_id,
            number=assignment.number,
            attempt=assignment.attempt,
            slot=slot.index,
            params=assignment.params,
        )
        slot.train(assignment)

    def _measure(self, run: Run, done: EpochDone) -> None:
        trial_id = run.assignment.trial_id
        if done.checkpoint_error is not None and not run.is_warned:
            run.is_warned = True
            _log.warning("checkpoint_not_kept", trial_id=trial_id, epoch=done.epoch, detail=done.checkpoint_error)
        if not run.is_gone:
            self._outbox.put(
                Measurement(
                    trial_id=trial_id,
                    lease=run.lease,
                    epoch=done.epoch,
                    metrics=done.metrics,
                    elapsed_s=done.elapsed_s,
                    checkpoint=done.checkpoint,
                    is_last=done.is_last,
                )
            )

    def _ended(self, slot: Slot, place: Place, run: Run, ended: Ended) -> None:
        if ended.outcome is None:
            self._release(run, ended.missing_checkpoint)
        else:
            self._finish(run, ended.outcome, ended.error)
        place.run = None
        growth = ended.memory_bytes - place.first_memory_bytes
        if ended.outcome is Outcome.OUT_OF_MEMORY or growth > self._max_growth_bytes:
            _log.info("slot_renewed", slot=slot.index, grown_by_bytes=growth)
            self._renew(slot, place)

    def _release(self, run: Run, missing_checkpoint: str | None) -> None:
        if missing_checkpoint is not None:
            trial_id, epoch = run.assignment.trial_id, run.assignment.first_epoch - 1
            _log.warning("checkpoint_missing", trial_id=trial_id, epoch=epoch, detail=missing_checkpoint)
        self._outbox.end(Release(lease=run.lease, is_checkpoint_missing=missing_checkpoint is not None))

    def _finish(self, run: Run, outcome: Outcome, error: TrainingError | None) -> None:
        if run.is_gone:
            return
        if error is not None:
            _log.warning(
                "training_failed",
                trial_id=run.assignment.trial_id,
                outcome=outcome,
                kind=error.kind,
                detail=error.message,
            )
        self._outbox.end(Finish(lease=run.lease, outcome=outcome, error=error))

    def _renew(self, slot: Slot, place: Place) -> None:
        place.run, place.is_ready = None, False
        if not self._is_stopping:
            slot.start()

    def _runs(self) -> list[Run]:
        return [place.run for place in self._places if place.run is not None]
