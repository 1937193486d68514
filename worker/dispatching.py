"""Trials that wait in a worker, and their way into slots."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import structlog

from caviar.contract.messages import Assignment
from worker.desk import Desk
from worker.events import Fetched
from worker.logs import naming
from worker.placing import Placing, SlotView
from worker.runs import Place, Run
from worker.watching import Watch

_log = structlog.get_logger(__name__)

# Another program may hold the memory, or the slots may rest, for good: then another worker is to have the trial.
_LONGEST_WAIT_S = 600.0


class Dispatch:
    """The queue of trials that were taken on and have not begun; used by one thread only."""

    def __init__(
        self,
        places: Sequence[Place],
        placing: Placing,
        desk: Desk,
        watch: Watch,
        clock: Callable[[], float],
        *,
        fetch: Callable[[Assignment], None] | None = None,
    ) -> None:
        """Begin with an empty queue.

        Args:
            places: The slots.
            placing: Knows where there is room.
            desk: Where trials are given back.
            watch: Sets the deadlines of trainings.
            clock: Seconds of a monotonic clock.
            fetch: Has the checkpoint that a trial goes on from brought here, which `fetched` then tells; None if all
                are here.
        """
        self._places = places
        self._placing = placing
        self._desk = desk
        self._watch = watch
        self._clock = clock
        self._fetch = fetch
        self._queue: deque[Assignment] = deque()
        self._fetching: set[str] = set()
        self._waiting_since: dict[str, float] = {}
        self._is_refusing = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._queue

    @property
    def num_claimable(self) -> int:
        """For how many more trials there is probably room."""
        return self._placing.num_claimable(self.views(), list(self._queue))

    def accept(self, assignment: Assignment) -> None:
        """Take on a trial; one that is in training or waits already is left alone."""
        running = {place.run.lease for place in self._places if place.run is not None}
        if assignment.lease not in running | {waiting.lease for waiting in self._queue}:
            self._desk.tray.hold(assignment.trial_id, assignment.lease, assignment.checkpoint_epochs)
            self._enqueue(assignment)
            if self._fetch is not None and assignment.checkpoint is not None and not self._is_refusing:
                self._fetching.add(assignment.lease)
                self._fetch(assignment)

    def fetched(self, event: Fetched) -> None:
        """Let a trial begin whose checkpoint is here now, or give it back if it cannot be had."""
        lease = event.assignment.lease
        self._fetching.discard(lease)
        if event.problem is not None and any(waiting.lease == lease for waiting in self._queue):
            with naming(event.assignment):
                _log.warning("checkpoint_missing", epoch=event.assignment.first_epoch - 1, detail=event.problem)
            self.drop(lease)
            self._desk.given_back(lease, is_checkpoint_missing=event.is_lost)

    def take_back(self, run: Run) -> None:
        """Let a training wait again that has not really begun, before those that came later."""
        if run.is_gone:
            return
        if self._is_refusing:
            self._desk.given_back(run.lease)
        else:
            self._queue.appendleft(run.assignment)

    def drop(self, lease: str) -> None:
        """Forget a trial that the service has taken away."""
        self._queue = deque(waiting for waiting in self._queue if waiting.lease != lease)

    def refuse(self) -> None:
        """Give back all that waits, and all that still comes."""
        self._is_refusing = True
        while self._queue:
            self._enqueue(self._queue.popleft())

    def welcome(self) -> None:
        """Take on trials again."""
        self._is_refusing = False

    def run(self) -> list[int]:
        """Start waiting trainings in slots that have room for them.

        Returns:
            Slots whose processes are to be replaced, so that another training gets the memory that they hold.
        """
        waiting, self._queue = self._queue, deque()
        for assignment in waiting:
            is_here = assignment.lease not in self._fetching
            index = self._placing.choose(assignment, self.views()) if is_here else None
            if index is not None:
                self._begin(self._places[index], assignment)
            elif is_here and self._waited_s(assignment) >= _LONGEST_WAIT_S:
                with naming(assignment):
                    _log.warning("no_room", waited_s=_LONGEST_WAIT_S)
                self._desk.given_back(assignment.lease)
            else:
                self._queue.append(assignment)
        self._forget_others()
        return self._placing.to_renew(self.views())

    def views(self) -> list[SlotView]:
        """What the placing is to know of the slots now."""
        now = self._clock()
        return [place.view(now) for place in self._places]

    def _waited_s(self, assignment: Assignment) -> float:
        now = self._clock()
        return now - self._waiting_since.setdefault(assignment.lease, now)

    def _forget_others(self) -> None:
        waiting = {assignment.lease for assignment in self._queue}
        self._waiting_since = {lease: at for lease, at in self._waiting_since.items() if lease in waiting}

    def _enqueue(self, assignment: Assignment) -> None:
        if self._is_refusing:
            self._desk.given_back(assignment.lease)
        else:
            self._queue.append(assignment)

    def _begin(self, place: Place, assignment: Assignment) -> None:
        others = [run for other in self._places if other.device == place.device and (run := other.run) is not None]
        for other in others:
            other.is_alone = False
        run = Run(assignment, self._clock(), log_start=place.slot.mark_log(), is_alone=not others)
        place.run = run
        self._watch.begin(run)
        with naming(assignment):
            _log.info("training", slot=place.index, params=assignment.params)
        place.slot.train(assignment)
