"""The searches of this process: per study a mirror of its rows, a sampler and a pruner, kept up by the feed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import structlog

from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import StudySpec
from caviar.contract.views import RoundView
from service.search.mirror import Mirror
from service.search.pruner import Verdict
from service.search.registry import build_pruner, build_sampler
from service.search.sampler import Proposal
from service.store import measurements, rounds, studies, trials
from service.store.transaction import Event, Record, Transaction

_log = structlog.get_logger(__name__)
_ALL_NUMBERS = 2**31 - 1

Reading = Callable[[], AbstractContextManager[Transaction]]


class Search:
    """What one study knows and how it decides.

    Attributes:
        spec: The study as it stood when the search was loaded; an edit of the study loads it anew.
        proposing: Held from a proposal until it is stored, so that two claims do not propose the same trial.
    """

    def __init__(self, spec: StudySpec, mirror: Mirror, seq: int) -> None:
        """Wrap a mirror that shows the study as of event `seq`."""
        self.spec = spec
        self.proposing = asyncio.Lock()
        self._mirror = mirror
        self._seq = seq
        self._sampler = build_sampler(spec)
        self._pruner = build_pruner(spec)
        self._lock = threading.Lock()

    def propose(self) -> tuple[int, Proposal]:
        """The number and configuration of the trial that comes next."""
        with self._lock:
            number = len(self._mirror.trials)
            return number, self._sampler.propose(self._mirror, number)

    def knows(self, number: int) -> bool:
        """Whether the mirror has this trial."""
        with self._lock:
            return number < len(self._mirror.trials)

    def judge(self, number: int, epoch: int, reported: dict[int, float]) -> Verdict:
        """Whether a trial goes on after an epoch.

        Args:
            number: Of the trial.
            epoch: That it has completed.
            reported: Values by epoch that are not in the mirror yet, this epoch's included.
        """
        with self._lock:
            curve = {**self._mirror.trials[number].values, **reported}
            return self._pruner.judge(self._mirror, number, epoch, curve)

    def apply(self, event: Event) -> bool:
        """Bring the mirror up to an event; False if the search must be loaded anew."""
        with self._lock:
            if event.seq <= self._seq:
                return True
            if event.seq > self._seq + 1 or event.kind == "study_edited":
                return False
            self._seq = event.seq
            _apply(self._mirror, event.kind, event.data)
            return True


def _apply(mirror: Mirror, kind: str, data: Any) -> None:
    match kind:
        case "round_opened":
            mirror.open_round(RoundView.model_validate(data))
        case "trial_created":
            mirror.add(data["number"], data["trial_id"], data["params"], round=data["round"])
        case "trial_started":
            mirror.start(data["number"], first_epoch=data["first_epoch"])
        case "measured":
            mirror.measure(data["number"], data["epoch"], data["value"])
        case "trial_requeued":
            mirror.requeue(data["number"])
        case "trial_ended":
            reason = data["stop_reason"]
            mirror.end(data["number"], TrialState(data["state"]), StopReason(reason) if reason else None)


class Searches:
    """All searches of this process, loaded when first needed."""

    def __init__(self, reading: Reading) -> None:
        """Keep how to open a reading transaction."""
        self._reading = reading
        self._searches: dict[int, Search] = {}
        self._lock = threading.Lock()

    def of(self, study_id: int) -> Search:
        """The search of a study.

        Raises:
            LookupError: The study does not exist (any more).
        """
        search = self._searches.get(study_id)
        if search is not None:
            return search
        with self._lock:
            if study_id not in self._searches:
                with self._reading() as tx:
                    self._searches[study_id] = load(tx, study_id)
            return self._searches[study_id]

    def knowing(self, study_id: int, number: int) -> Search:
        """The search of a study, with this stored trial in its mirror.

        Raises:
            LookupError: The study does not exist (any more).
        """
        search = self.of(study_id)
        if not search.knows(number):
            # It was loaded while the commit of that trial was under way, and missed it.
            self.forget(study_id)
            search = self.of(study_id)
        return search

    def apply(self, events: Iterable[Event]) -> None:
        """Bring the loaded mirrors up to newly committed events."""
        for event in events:
            search = self._searches.get(event.study_id)
            if search is not None and not _is_applied(search, event):
                self.forget(event.study_id)

    def forget(self, study_id: int) -> None:
        """Drop a search; the next use loads it anew."""
        with self._lock:
            self._searches.pop(study_id, None)


def _is_applied(search: Search, event: Event) -> bool:
    try:
        return search.apply(event)
    except (ValueError, LookupError):
        # The mirror and the feed disagree; the rows, from which it is loaded anew, are right.
        _log.exception("search.disagrees", study_id=event.study_id, seq=event.seq, kind=event.kind)
        return False


def load(tx: Transaction, study_id: int) -> Search:
    """Build a search from the stored rows."""
    row = studies.by_id(tx, study_id)
    if row is None:
        raise LookupError(f"study {study_id} does not exist")
    spec = StudySpec.model_validate(row.spec)
    mirror = Mirror(spec)
    for stored in rounds.of_study(tx, study_id):
        mirror.open_round(RoundView.model_validate(dict(stored._mapping)))
    curves: dict[int, list[tuple[int, float]]] = {}
    for point in measurements.curves(tx, study_id, first=0, last=_ALL_NUMBERS):
        curves.setdefault(point.trial_id, []).append((point.epoch, point.value))
    for trial in trials.of_study(tx, study_id):
        _add(mirror, trial, curves.get(trial.id, []))
    _log.info("search.loaded", study=row.name, num_trials=len(mirror.trials), seq=row.last_event_seq)
    return Search(spec, mirror, row.last_event_seq)


def _add(mirror: Mirror, trial: Record, curve: list[tuple[int, float]]) -> None:
    mirror.add(trial.number, trial.id, trial.params, round=trial.round)
    if trial.attempt > 0:
        mirror.start(trial.number)
    for epoch, value in curve:
        mirror.measure(trial.number, epoch, value)
    state = TrialState(trial.state)
    if state == TrialState.WAITING and trial.attempt > 0:
        mirror.requeue(trial.number)
    elif state not in (TrialState.WAITING, TrialState.RUNNING):
        mirror.end(trial.number, state, StopReason(trial.stop_reason) if trial.stop_reason else None)
