"""Whose turn it is: the studies that a worker may serve, by priority and fair share.

A higher priority goes first, strictly. Of studies of the same priority comes the one with the fewest trials in
training, so that each gets as many slots as the others; of those with equally many, the one that has used the least
time of slots of late, so that a slot which they share is shared by time and not by trials.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from caviar.contract.states import WorkerMode
from caviar.contract.study import Requires, StudySpec
from service.domain import eligibility
from service.domain.shares import Shares
from service.store import studies
from service.store.transaction import Record, Records, Transaction
from service.use_cases import access, ending
from service.use_cases.specs import parsed

_NOTHING = Requires()


@dataclass(slots=True)
class Turn:
    """A study that may be served next.

    Attributes:
        study_id: The study.
        spec: Its body.
        priority: Higher ones go first.
        num_running: Its trials in training.
        used_s: Seconds of slots that it has had of late.
        num_own: Trials of it that the worker itself has just lost; they go first.
        is_resting: Whether the worker gets nothing but these.
        has_waiting: Whether trials wait.
        may_begin: Whether a paused trial may be promoted or a new one created.
        may_create: Whether its budget allows new ones.
        last_seq: Its last event.
    """

    study_id: int
    spec: StudySpec
    priority: int
    num_running: int
    used_s: float
    num_own: int
    is_resting: bool
    has_waiting: bool
    may_begin: bool
    may_create: bool
    last_seq: int

    @property
    def is_open(self) -> bool:
        """Whether it has something to hand out, as far as is known."""
        limit = self.spec.budget.max_parallel
        return (self.has_waiting or self.may_begin) and (limit is None or self.num_running < limit)

    @property
    def place(self) -> tuple[bool, int, int, float, int]:
        """Orders studies: the least comes next."""
        return (self.num_own == 0, -self.priority, self.num_running, self.used_s, self.study_id)

    def serve(self) -> None:
        """Count a trial that was handed out."""
        self.num_running += 1
        self.num_own = max(self.num_own - 1, 0)
        if self.is_resting and self.num_own == 0:
            self.close()

    def close(self) -> None:
        """Note that there is nothing to hand out now."""
        self.has_waiting = self.may_begin = False


def turns(
    tx: Transaction,
    worker: Record,
    objectives: Collection[str],
    shares: Shares,
    own: Mapping[int, int],
    *,
    running: Records,
) -> list[Turn]:
    """The studies that a worker may serve now.

    Args:
        worker: Its row.
        objectives: Names of what it can train.
        shares: How much each study has had.
        own: How many waiting trials of a study the worker itself has just lost. A worker that is paused or drained gets
            nothing else.
        running: As `studies.running` tells them.
    """
    is_working = worker.mode == WorkerMode.WORKING
    found = []
    for study in running:
        if not access.sees(tx, study.name):
            continue
        spec = parsed(study.spec_text)
        if spec.objective.name not in objectives or not is_able(spec.requires, worker):
            continue
        if is_working or own.get(study.id):
            found.append(_turn(tx, study, spec, shares, own.get(study.id, 0), is_working=is_working))
    return found


def _turn(tx: Transaction, study: Record, spec: StudySpec, shares: Shares, num_own: int, *, is_working: bool) -> Turn:
    may_create = is_working and ending.limit_reached(tx, study, spec) is None
    return Turn(
        study_id=study.id,
        spec=spec,
        priority=study.priority,
        num_running=study.num_running,
        used_s=shares.used_s(study.id, tx.now),
        num_own=num_own,
        is_resting=not is_working,
        has_waiting=study.has_waiting,
        may_begin=may_create or (is_working and study.has_paused),
        may_create=may_create,
        last_seq=study.last_event_seq,
    )


def is_able(requires: Requires, worker: Record) -> bool:
    """Whether a worker has what a study requires."""
    return requires == _NOTHING or eligibility.meets(requires, labels=worker.labels, devices=worker.devices)


def next_turn(among: Iterable[Turn]) -> Turn | None:
    """The study that comes next; None if none has anything to hand out."""
    return min((turn for turn in among if turn.is_open), key=lambda turn: turn.place, default=None)


def renewed(tx: Transaction, among: Sequence[Turn]) -> list[Turn]:
    """The same turns as their studies stand by now; closed are those of studies that do not run any more."""
    current = {study.id: study for study in studies.running(tx)}
    left = copied(among)
    for turn in left:
        study = current.get(turn.study_id)
        if study is None:
            turn.close()
            continue
        turn.spec = parsed(study.spec_text)
        turn.num_running = study.num_running
        turn.has_waiting = turn.has_waiting and study.has_waiting
    return left


def copied(among: Sequence[Turn]) -> list[Turn]:
    """The same turns for a transaction that may be run twice."""
    return [replace(turn) for turn in among]
