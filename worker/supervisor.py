"""The supervising process: one loop that reacts to slots, to the service and to signals."""

from __future__ import annotations

import os
import queue
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import structlog

from caviar.contract.fleet import Device, Labels
from caviar.contract.messages import RegisterWorker
from caviar.contract.states import WorkerMode
from worker.api import WorkerApi
from worker.backoff import Backoff
from worker.channel import Ready
from worker.checkpoints.shelf import Shelf
from worker.checkpoints.transfer import Transfer
from worker.claimer import Claimer
from worker.crew import Crew, SlotBroken
from worker.events import Answered, Event, Fetched, LeaseGone, ModeTold, Refused, Signalled, SlotExited, SlotSaid
from worker.heart import Heart
from worker.membership import Membership
from worker.outbox import Outbox
from worker.sender import Sender

_log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SENDER_MAX_WAIT_S = 5.0
_NO_ROOM_S = 1.0


@dataclass(frozen=True)
class Habits:
    """How a worker behaves.

    Attributes:
        name: Its name for people.
        host: The machine's name.
        num_slots: Trainings at the same time.
        labels: What its operator says of it.
        devices: Fresh facts of the devices; called from several threads.
        claim_wait_s: Seconds that the service may hold a claim.
        flush_s: Seconds to deliver the last reports at the end.
        exit_when_idle: Whether to end when there is nothing to train.
    """

    name: str
    host: str
    num_slots: int
    labels: Labels
    devices: Callable[[], list[Device]]
    claim_wait_s: float
    flush_s: float
    exit_when_idle: bool


class Supervisor:
    """Runs a worker from its start to its end.

    All decisions are taken in one thread, by the events that the others put into a queue.
    """

    def __init__(
        self,
        habits: Habits,
        api: WorkerApi,
        outbox: Outbox,
        crew: Crew,
        *,
        shelf: Shelf,
        events: queue.SimpleQueue[Event],
    ) -> None:
        """Put the parts together; nothing is started yet.

        Args:
            habits: How to behave.
            api: The service.
            outbox: What is to be delivered.
            crew: The slots; they put what they say into `events`.
            shelf: The checkpoints that trainings keep.
            events: What the loop reacts to.
        """
        self._habits = habits
        self._api = api
        self._outbox = outbox
        self._crew = crew
        self._shelf = shelf
        self._events = events
        self._rng = random.Random()
        self._sender = Sender(
            api,
            outbox,
            shelf,
            events.put,
            Backoff(self._rng, max_s=_SENDER_MAX_WAIT_S),
            delivered=self._on_delivered,
        )
        self._transfer = Transfer(
            api,
            outbox,
            shelf,
            emit=events.put,
            wake_sender=self._sender.wake,
            backoff=Backoff(self._rng, max_s=_SENDER_MAX_WAIT_S),
        )
        self._claimer: Claimer | None = None
        self._heart: Heart | None = None
        self._is_claiming = False
        self._claim_at = 0.0
        self._mode = WorkerMode.WORKING
        self._is_draining = False
        self._num_signals = 0
        self._status = 0

    def run(self) -> int:
        """Work until a signal, a refusal, or the end of all work.

        Returns:
            0 after a graceful end, 1 if the worker cannot work.
        """
        released = self._outbox.release_unfinished()
        if released:
            _log.warning("left_over_trials_released", num_trials=len(released))
        self._sender.start()
        self._transfer.start()
        self._crew.start()
        former = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        try:
            while not self._is_done():
                self._step()
            return self._finish()
        finally:
            self._crew.close()
            for number, handler in former.items():
                signal.signal(number, handler)

    def _step(self) -> None:
        try:
            event: Event | None = self._events.get(timeout=self._patience_s())
        except queue.Empty:
            event = None
        is_stirred = False
        try:
            if event is not None:
                is_stirred = self._react(event)
            is_stirred |= self._tick()
        except SlotBroken as error:
            self._fail(str(error))
        if not self._is_draining:
            if is_stirred:
                self._crew.dispatch()
            self._ask()
        self._transfer.observe(self._crew.in_training)
        if self._mode is WorkerMode.DRAINING and not self._is_draining and not self._is_busy():
            _log.info("ending", reason="the worker was asked to drain, and nothing runs any more")
            self._drain()

    def _tick(self) -> bool:
        was_written = self._crew.is_written
        is_stirred = self._crew.tick()
        if not was_written:
            self._sender.wake()
        return is_stirred

    def _patience_s(self) -> float:
        soonest = self._crew.next_deadline()
        if self._may_claim() and self._crew.has_free:
            soonest = min(soonest, self._claim_at)
        return max(0.0, soonest - time.monotonic())

    def _react(self, event: Event) -> bool:
        """React to an event.

        Returns:
            Whether there may be room for another training.
        Raises:
            SlotBroken: Trainings cannot be started.
        """
        if isinstance(event, SlotSaid):
            return self._on_message(event)
        if isinstance(event, SlotExited):
            self._crew.bury(event)
            self._sender.wake()
        elif isinstance(event, Answered):
            self._on_answer(event)
        elif isinstance(event, Fetched):
            self._crew.fetched(event)
            self._sender.wake()
        elif isinstance(event, LeaseGone):
            self._crew.lose(event.lease)
        elif isinstance(event, ModeTold):
            self._follow(event.mode)
        elif isinstance(event, Refused):
            self._is_claiming = False
            self._fail(event.detail)
        else:
            _log.info("ending", signal=signal.Signals(event.number).name)
            self._drain()
        return True

    def _on_message(self, event: SlotSaid) -> bool:
        self._crew.hear(event)
        self._sender.wake(is_urgent=event.message.kind == "ended")
        self._transfer.wake()
        if self._crew.ready is not None and self._claimer is None and not self._is_draining:
            self._join(self._crew.ready)
        if event.message.kind == "ended":
            # Every end of a training may have made room for another one.
            self._claim_at = 0.0
        return event.message.kind not in ("started", "epoch")

    def _on_answer(self, event: Answered) -> None:
        self._is_claiming = False
        if event.mode is not None:
            self._follow(event.mode)
        self._claim_at = time.monotonic() + event.retry_after_s if not event.assigned else 0.0
        for assignment in event.assigned:
            self._crew.accept(assignment)
        if self._is_draining:
            self._sender.wake()
        elif not event.assigned and event.was_idle and self._habits.exit_when_idle and self._crew.is_idle:
            _log.info("ending", reason="there is nothing to train")
            self._drain()

    def _follow(self, mode: WorkerMode) -> None:
        if mode is self._mode:
            return
        _log.info("mode", mode=mode, former=self._mode)
        self._mode = mode
        if mode is WorkerMode.DRAINING:
            self._crew.refuse()
            self._sender.wake()
        else:
            self._crew.welcome()

    def _on_delivered(self) -> None:
        self._transfer.wake()

    def _join(self, ready: Ready) -> None:
        def devices() -> list[Device]:
            return [
                device.model_copy(update={"facts": {**device.facts, "backend": ready.backend}})
                for device in self._habits.devices()
            ]

        body = RegisterWorker(
            name=self._habits.name,
            host=self._habits.host,
            slots=self._habits.num_slots,
            devices=devices(),
            labels=self._habits.labels,
            objectives=ready.objectives,
        )
        membership = Membership(self._api, body)
        self._heart = Heart(
            self._api,
            membership,
            self._outbox,
            self._shelf,
            self._events.put,
            devices=devices,
            slots=self._crew.slot_facts,
        )
        self._claimer = Claimer(self._api, membership, self._events.put, Backoff(self._rng))
        self._claimer.start()
        self._heart.start()

    def _may_claim(self) -> bool:
        is_working = self._mode is WorkerMode.WORKING and not self._is_draining
        return is_working and self._claimer is not None and not self._is_claiming

    def _ask(self) -> None:
        if self._claimer is None or not self._may_claim() or time.monotonic() < self._claim_at:
            return
        num_trials = self._crew.num_claimable
        if not num_trials:
            # Devices may get room without any event here: other programs leave them.
            self._claim_at = time.monotonic() + _NO_ROOM_S
            return
        self._is_claiming = True
        is_idle = self._crew.is_idle and self._crew.is_written and self._outbox.is_settled
        self._claimer.ask(
            max_trials=num_trials, wait_s=self._habits.claim_wait_s, leases=self._outbox.leases(), is_idle=is_idle
        )

    def _drain(self) -> None:
        self._is_draining = True
        if self._claimer is not None:
            self._claimer.stop()
        self._crew.stop_all()
        self._sender.wake()

    def _fail(self, detail: str) -> None:
        _log.error("cannot_work", detail=detail)
        self._status = 1
        self._drain()

    def _is_busy(self) -> bool:
        return self._is_claiming or not self._crew.is_idle

    def _is_done(self) -> bool:
        return self._is_draining and not self._is_busy()

    def _finish(self) -> int:
        self._crew.write()
        if not self._crew.is_written:
            _log.error("reports_lost", detail="the disk takes nothing; the service gives their trials out again")
        if not self._sender.flush(self._habits.flush_s):
            _log.warning("undelivered", detail="the service is away; the rest is delivered at the next start")
        self._sender.stop()
        self._transfer.stop()
        if self._heart is not None:
            self._heart.stop()
        return self._status

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._num_signals += 1
        if self._num_signals > 1:
            self._crew.kill()
            os._exit(128 + number)
        self._events.put(Signalled(number))
