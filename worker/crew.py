"""The slots of a worker, and what runs in them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence

import structlog

from caviar.contract.fleet import SlotFacts
from caviar.contract.messages import Assignment, TrainingError
from caviar.contract.states import Outcome
from worker.channel import Broken, Ended, EpochDone, Ready, Stale, Started
from worker.desk import Desk
from worker.dispatching import Dispatch
from worker.events import Fetched, SlotExited, SlotSaid
from worker.flapping import QUICK_S
from worker.logs import naming
from worker.memory import MachineMemory
from worker.outbox import Outbox
from worker.placing import Placing
from worker.runs import Place, Run
from worker.slot import Slot, crash
from worker.watching import Limits, Watch

_log = structlog.get_logger(__name__)

_MAX_FAILED_STARTS = 3
_QUICK_FAILURES = frozenset({Outcome.FAILED, Outcome.STALLED})
_WORKING = frozenset({Outcome.COMPLETE, Outcome.DIVERGED})


class SlotBroken(Exception):
    """Training processes cannot be started, or can never train again; the message says why."""


class Crew:
    """Hands trainings to slots and their results to the outbox; used by one thread only, but for `slot_facts`.

    Attributes:
        ready: What the first process said when it was ready; None until then.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        placing: Placing,
        outbox: Outbox,
        limits: Limits,
        *,
        fetch: Callable[[Assignment], None] | None = None,
        memory: MachineMemory | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over slots that are not started yet.

        Args:
            slots: One per training at the same time; their numbers are their positions.
            placing: Knows the devices of the slots.
            outbox: Where leases, measurements and endings go.
            limits: What a training may take.
            fetch: Has the checkpoint that a trial goes on from brought here, which `fetched` then tells; None if all
                are here.
            memory: Tells the memory of processes; None for this machine's.
            clock: Seconds of a monotonic clock.
        """
        self.ready: Ready | None = None
        self._places = [Place(slot) for slot in slots]
        self._placing = placing
        self._desk = Desk(outbox)
        self._clock = clock
        self._max_growth_bytes = limits.max_growth_bytes
        self._watch = Watch(limits, memory or MachineMemory(), placing.device_memory_bytes, clock)
        self._queue = Dispatch(self._places, placing, self._desk, self._watch, clock, fetch=fetch)
        self._is_stopping = False

    def start(self) -> None:
        """Start all processes."""
        for place in self._places:
            place.slot.start()

    def close(self) -> None:
        """End all processes."""
        for place in self._places:
            place.slot.close()

    def kill(self) -> None:
        """End all processes at once."""
        for place in self._places:
            place.slot.kill()

    @property
    def has_free(self) -> bool:
        """Whether any slot could take a training now."""
        now = self._clock()
        return any(place.is_free(now) for place in self._places)

    @property
    def num_claimable(self) -> int:
        """For how many more trials there is probably room."""
        return self._queue.num_claimable if self.has_free else 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is running or about to run."""
        return self._queue.is_empty and all(place.run is None for place in self._places)

    @property
    def is_written(self) -> bool:
        """Whether everything that trainings said is in the outbox: a full disk may have kept it out."""
        return self._desk.tray.is_empty

    def write(self) -> None:
        """Try again to write what a full disk has kept out of the outbox."""
        self._desk.tray.retry()

    def slot_facts(self) -> list[SlotFacts]:
        """What each slot does now; may be called from any thread."""
        now = self._clock()
        return [place.facts(now) for place in self._places]

    def accept(self, assignment: Assignment) -> None:
        """Take on a trial; one that is in training already is left alone."""
        self._queue.accept(assignment)

    def fetched(self, event: Fetched) -> None:
        """React to the checkpoint of a trial that is here, or cannot be had."""
        self._queue.fetched(event)

    @property
    def in_training(self) -> list[str]:
        """The leases whose trainings have not ended yet, those that are lost already among them."""
        return [place.run.lease for place in self._places if place.run is not None]

    def dispatch(self) -> None:
        """Start waiting trainings in slots that have room for them."""
        for index in self._queue.run():
            _log.info("slot_renewed", slot=index, reason="a waiting training needs the device memory that it holds")
            self._renew(self._places[index])

    def refuse(self) -> None:
        """Give back what has not begun, and all that still comes; what runs goes on."""
        self._queue.refuse()

    def welcome(self) -> None:
        """Take on trials again, unless all is to end."""
        if not self._is_stopping:
            self._queue.welcome()

    def stop_all(self) -> None:
        """Let every training end after its current epoch; give back those that have not begun, and all that come."""
        self._is_stopping = True
        self.refuse()
        for place in self._places:
            if place.run is not None:
                place.slot.stop(place.run.lease, is_urgent=False)

    def lose(self, lease: str) -> None:
        """End a training that the service has taken away; nothing of it is reported."""
        self._desk.tray.forget(lease)
        self._queue.drop(lease)
        for place in self._places:
            run = place.run
            if run is not None and run.lease == lease and not run.is_gone:
                run.is_gone = True
                self._watch.lose(run)
                place.slot.stop(lease, is_urgent=True)

    def next_deadline(self) -> float:
        """Reading of the clock at which `tick` has something to do."""
        return self._watch.next_deadline(self._places)

    def tick(self) -> bool:
        """Do what time asks for: kill what is overdue or takes too much, write what waits, end pauses.

        Returns:
            Whether it was time to look after everything, which it is once per second.
        Raises:
            SlotBroken: No training can ever start again.
        """
        self._watch.kill_overdue(self._places)
        if not self._watch.is_time_to_look():
            return False
        self._watch.measure(self._places)
        self.write()
        for place in self._places:
            if place.is_resting and not place.guard.is_paused(self._clock()):
                self._renew(place)
        if (problem := self._placing.problem()) is not None and not self._is_stopping:
            raise SlotBroken(problem)
        return True

    def hear(self, event: SlotSaid) -> None:
        """React to a message of a training process.

        Raises:
            SlotBroken: The first process of this worker says that it cannot work.
        """
        place, message = self._places[event.slot], event.message
        if not place.is_present(event.process_id):
            return
        if isinstance(message, Ready):
            self._is_ready(place, message)
        elif isinstance(message, Broken):
            if self.ready is None and not message.is_slots_own:
                raise SlotBroken(message.message)
            place.broken = message.message
        elif isinstance(message, (Started, Stale, EpochDone, Ended)):
            run = place.run
            if run is not None and message.lease == run.lease:
                with naming(run.assignment):
                    self._hear_of(place, run, message)

    def _hear_of(self, place: Place, run: Run, message: Started | Stale | EpochDone | Ended) -> None:
        if isinstance(message, Started):
            run.is_started, run.code_version = True, message.code_version
            self._watch.epoch_ended(run)
        elif isinstance(message, Stale):
            _log.info("slot_renewed", slot=place.index, reason="the file of the objective has changed")
            self._queue.take_back(run)
            self._renew(place)
        elif isinstance(message, EpochDone):
            self._watch.epoch_ended(run)
            self._desk.measured(place, run, message)
        else:
            self._ended(place, run, message)

    def _is_ready(self, place: Place, ready: Ready) -> None:
        if self.ready is None:
            self.ready = ready
            for other in self._places:
                other.slot.setup = other.slot.setup.model_copy(update={"is_first": False})
        place.ready, place.num_failed_starts = ready, 0
        _log.info("slot_ready", slot=place.index, pid=place.slot.process_id, device=place.device or "cpu")

    def bury(self, event: SlotExited) -> None:
        """React to the death of a training process: its trial has failed, and the slot gets a new process.

        Raises:
            SlotBroken: No process was ready yet, and three in a row died before they were, or none has a device.
        """
        place = self._places[event.slot]
        if not place.is_present(event.process_id):
            return
        with naming(None if place.run is None else place.run.assignment):
            self._bury(place, event)
        self._renew(place)

    def _bury(self, place: Place, event: SlotExited) -> None:
        error = crash(event.status, event.last_words)
        if not place.is_killed:
            _log.error("training_process_died", slot=place.index, reason=place.broken or error.message)
        if place.run is not None:
            self._crashed(place, place.run, event.status, error)
        if place.broken is not None:
            self._pause(place, place.guard.pause(self._clock(), place.broken))
        elif place.ready is None and not place.is_killed:
            self._not_started(place, error)
        elif place.run is None or not place.run.is_started:
            detail = f"{place.killed_for or error.message}, while it trained nothing"
            self._pause(place, place.guard.fail(self._clock(), detail))

    def _not_started(self, place: Place, error: TrainingError) -> None:
        place.num_failed_starts += 1
        detail = f"{error.message}, before it was ready; the end of {place.slot.log_path}:\n{error.traceback}"
        if self.ready is None and place.num_failed_starts >= _MAX_FAILED_STARTS:
            raise SlotBroken(f"{place.num_failed_starts} times in a row, {detail}")
        self._pause(place, place.guard.fail(self._clock(), detail))

    def _pause(self, place: Place, pause_s: float | None) -> None:
        if pause_s is None:
            return
        _log.error("slot_paused", slot=place.index, pause_s=pause_s, detail=place.guard.detail)
        now = self._clock()
        if self.ready is None and all(other.guard.is_paused(now) for other in self._places):
            raise SlotBroken(place.guard.detail)

    def _crashed(self, place: Place, run: Run, status: int, error: TrainingError) -> None:
        if not run.is_started:
            # It died between two trainings: the next one is not to blame.
            self._queue.take_back(run)
        elif run.verdict is not None:
            self._finish(place, run, run.verdict.outcome, run.verdict.error)
        elif status == -signal.SIGKILL and not place.is_killed and self._watch.was_killed_by_kernel():
            words = f"the system killed the training process for want of memory; {_used(run)}"
            self._finish(place, run, Outcome.OUT_OF_MEMORY, error.model_copy(update={"message": words}))
        else:
            self._finish(place, run, Outcome.FAILED, error)

    def _ended(self, place: Place, run: Run, ended: Ended) -> None:
        if place.device is not None:
            self._watch.measure_one(place)
        self._learn(place, run, ended.outcome)
        run.note_peaks(ended.peak_memory_bytes, ended.peak_device_memory_bytes)
        if ended.outcome is None and run.num_epochs:
            place.guard.succeed()
        if ended.outcome is not None:
            self._finish(place, run, ended.outcome, ended.error)
        elif not run.is_gone:
            self._desk.stopped(run, ended.missing_checkpoint)
        place.run = None
        growth = ended.memory_bytes - (place.ready.memory_bytes if place.ready is not None else 0)
        if ended.outcome is Outcome.OUT_OF_MEMORY or growth > self._max_growth_bytes:
            _log.info("slot_renewed", slot=place.index, grown_by_bytes=growth)
            self._renew(place)

    def _learn(self, place: Place, run: Run, outcome: Outcome | None) -> None:
        if outcome is Outcome.OUT_OF_MEMORY or (run.num_epochs and outcome is not Outcome.FAILED):
            peak = run.peak_device_memory_bytes
            self._placing.learn(run.assignment, peak, slot=place.view(self._clock()))

    def _finish(self, place: Place, run: Run, outcome: Outcome, error: TrainingError | None) -> None:
        self._desk.finished(place, run, outcome, error)
        now = self._clock()
        if outcome in _WORKING:
            place.guard.succeed()
        elif outcome in _QUICK_FAILURES and not run.is_gone and now - run.began < QUICK_S:
            what = str(outcome) if error is None else f"{error.kind}: {error.message}"
            self._pause(place, place.guard.fail(now, f"trial {run.assignment.trial_id}: {what}"))

    def _renew(self, place: Place) -> None:
        place.run = place.ready = place.broken = place.killed_for = None
        place.is_resting = place.guard.is_paused(self._clock())
        if place.is_resting:
            place.slot.close()
        elif not self._is_stopping:
            place.slot.start()


def _used(run: Run) -> str:
    if run.peak_memory_bytes is None:
        return "how much it used is not known"
    return (
        f"it used {run.peak_memory_bytes / 1024**2:,.0f} MiB when last seen, and the machine or its group had no more"
    )
