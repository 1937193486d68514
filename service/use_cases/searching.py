"""The searches of this process: per study a mirror of its rows, a sampler and a pruner, kept up by the feed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain, groupby
from typing import Any, TypeVar

import structlog

from caviar.contract.errors import CaviarError
from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import StudySpec
from caviar.contract.views import RoundView
from service.search.following import apply_event
from service.search.mirror import Mirror, TrialRecord
from service.search.pruner import Promotion, Pruner, Verdict
from service.search.registry import build_pruner, build_sampler
from service.search.sampler import Proposal, SpaceExhausted
from service.store import events as feed
from service.store import measurements, rounds, studies, trials
from service.store.transaction import Event, Record, Transaction
from service.use_cases.dispensing import Dispenser
from service.use_cases.specs import parsed

# So that most claims need not wait for a thread of the sampler's, and none for many suggestions.
_NUM_STOCKED = 8
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A new trial.

    Attributes:
        number: Its number.
        proposal: Its configuration.
        as_of: The last event that it is conditioned on.
        space_version: Version of the search space that it was drawn from.
        num_rounds: Rounds that there were by then.
        num_ahead: Suggestions made at the same moment that are to be stored before it.
    """

    number: int
    proposal: Proposal
    as_of: int
    space_version: int
    num_rounds: int
    num_ahead: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to begin now, but trials run whose results may change that."""


@dataclass(frozen=True, slots=True)
class NothingLeft:
    """Nothing to begin, now or later.

    Attributes:
        is_exhausted: Whether that is because every configuration has a trial; else the budget is spent.
        as_of: The last event that this rests on.
    """

    is_exhausted: bool
    as_of: int


Step = Promotion | Suggestion | Wait | NothingLeft
Reading = Callable[[], AbstractContextManager[Transaction]]
Found = TypeVar("Found")


class Search:
    """What one study knows and how it decides.

    Attributes:
        spec: The study as it stood when the search was loaded; an edit of the study loads it anew.
        steps: Gives claims what `next` finds, one after the other, or what need not wait for each other at once.
    """

    def __init__(self, spec: StudySpec, mirror: Mirror, seq: int, space_version: int) -> None:
        """Wrap a mirror that shows the study as of event `seq`, in this version of its search space."""
        self.spec = spec
        self.steps = Dispenser(self._steps)
        self._mirror = mirror
        self._seq = seq
        self._space_version = space_version
        self._sampler = build_sampler(spec)
        self._pruner = build_pruner(spec)
        self._lock = threading.Lock()
        # Suggestions of the same moment, by their numbers, and the first of them that nobody was given by then.
        self._made: dict[int, Suggestion] = {}
        self._first_free = 0

    def next(self, *, may_create: bool) -> Step:
        """What a free slot does next: a paused trial that is good enough goes on, else a new one begins.

        Args:
            may_create: Whether the budget allows new trials.
        """
        with self._lock:
            mirror, number = self._mirror, len(self._mirror.trials)
            promotion = self._pruner.promote(mirror, is_last_call=False)
            if promotion is not None:
                return promotion
            if may_create:
                try:
                    proposal = self._sampler.propose(mirror, number)
                    return Suggestion(
                        number,
                        proposal,
                        as_of=self._seq,
                        space_version=self._space_version,
                        num_rounds=len(mirror.rounds),
                    )
                except SpaceExhausted:
                    pass
            if not mirror.is_idle:
                return Wait()
            return self._pruner.promote(mirror, is_last_call=True) or NothingLeft(
                is_exhausted=may_create, as_of=self._seq
            )

    def in_stock(self, created: Sequence[Mapping[str, Any]]) -> Suggestion | None:
        """The next new trial, if it was suggested in advance and nothing else has happened to the numbers before it.

        Args:
            created: Data of the events of trials that the transaction has created so far, which the mirror lacks.
        """
        with self._lock:
            number = len(self._mirror.trials) + len(created)
            if number < self._first_free or not all(self._is_expected(data) for data in created):
                return None
            return self._made.get(number)

    def _is_expected(self, created: Mapping[str, Any]) -> bool:
        made = self._made.get(created["number"])
        return made is not None and created["origin"] == "sampler" and made.proposal.params == created["params"]

    def _steps(self, may_create: bool, room: int) -> list[Step]:
        first = self.next(may_create=may_create)
        return [first, *self._beside(first, room - 1)] if isinstance(first, Suggestion) else [first]

    def _beside(self, first: Suggestion, room: int) -> list[Suggestion]:
        # What may be suggested before the first one is stored.
        with self._lock:
            mirror = self._mirror
            if self._sampler.learns or first.as_of != self._seq:
                return []
            found, units = [first], [mirror.space.units_of(first.proposal.params)]
            # Where paused trials may go on instead, it is not known before what comes next.
            num_stocked = 0 if self._promotes else _NUM_STOCKED
            while len(found) <= room + num_stocked:
                number = first.number + len(found)
                try:
                    proposal = self._sampler.propose(mirror, number)
                except SpaceExhausted:
                    break
                # The mirror holds none of these yet, so only here is it seen that two are the same.
                if mirror.space.units_of(proposal.params) in units:
                    break
                units.append(mirror.space.units_of(proposal.params))
                found.append(replace(first, number=number, proposal=proposal, num_ahead=len(found)))
            self._made = {suggestion.number: suggestion for suggestion in found}
            self._first_free = first.number + room + 1
            return found[1 : room + 1]

    @property
    def _promotes(self) -> bool:
        return type(self._pruner).promote is not Pruner.promote

    @property
    def seq(self) -> int:
        """The last event that the mirror holds."""
        return self._seq

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

    def examine(self, look: Callable[[Mirror], Found]) -> Found:
        """What a short look at the mirror finds; decisions wait meanwhile."""
        with self._lock:
            return look(self._mirror)

    def apply(self, event: Event) -> bool:
        """Bring the mirror up to an event; False if the search must be loaded anew."""
        with self._lock:
            if event.seq <= self._seq:
                return True
            if event.seq > self._seq + 1 or event.kind == "study_edited":
                return False
            self._seq = event.seq
            if event.kind == "trial_imported" or (event.kind == "trial_created" and not self._is_expected(event.data)):
                self._made = {}
            apply_event(self._mirror, event.kind, event.data)
            return True


class Searches:
    """All searches of this process, loaded when first needed."""

    def __init__(self, reading: Reading) -> None:
        """Keep how to open a reading transaction."""
        self._reading = reading
        self._searches: dict[int, Search] = {}
        self._lock = threading.Lock()

    def loaded(self, study_id: int) -> Search | None:
        """The search of a study, if it is loaded; never waits."""
        return self._searches.get(study_id)

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

    def knowing(self, tx: Transaction, study_id: int, seq: int) -> Search:
        """The search of a study as of an event that is committed, whichever process has committed it.

        What the mirror lacks is read within the transaction, so that no other process can add to it meanwhile if that
        is one of the writer's. Events of the transaction itself are not stored before it ends: the mirror never holds
        what may be rolled back.

        Args:
            tx: Reads what is missing.
            study_id: The study.
            seq: Its last event, as a row of this transaction tells.
        Raises:
            LookupError: The study does not exist (any more).
        """
        search = self.of(study_id)
        if search.seq < seq:
            self._follow(search, study_id, _stored(tx, study_id, search.seq))
            search = self.of(study_id)
        if search.seq < seq:
            # Not all events are there any more; the rows are.
            self.forget(study_id)
            search = self.of(study_id)
        return search

    def up_to(self, study_id: int, seq: int) -> Search:
        """The search of a study as of an event, outside of a transaction.

        Raises:
            LookupError: The study does not exist (any more).
            Unavailable: The database does not answer (503).
        """
        search = self.of(study_id)
        if search.seq >= seq:
            return search
        with self._reading() as tx:
            return self.knowing(tx, study_id, seq)

    def apply(self, events: Iterable[Event]) -> None:
        """Bring the loaded mirrors up to committed events, those of a study in their order.

        What other processes have committed in between is read from the database.
        """
        for study_id, own in groupby(events, key=lambda event: event.study_id):
            search = self._searches.get(study_id)
            if search is None:
                continue
            found = list(own)
            if found[0].seq <= search.seq + 1:
                self._follow(search, study_id, found)
            else:
                self._fill(search, study_id)

    def forget(self, study_id: int) -> None:
        """Drop a search; the next use loads it anew."""
        with self._lock:
            self._searches.pop(study_id, None)

    def _fill(self, search: Search, study_id: int) -> None:
        try:
            with self._reading() as tx:
                self._follow(search, study_id, _stored(tx, study_id, search.seq))
        except CaviarError as error:  # The database is away; once it is back, whoever needs the search catches up.
            _log.warning("search.left_behind", study_id=study_id, cause=str(error))

    def _follow(self, search: Search, study_id: int, events: Iterable[Event]) -> None:
        if not all(_is_applied(search, event) for event in events):
            self.forget(study_id)


def _stored(tx: Transaction, study_id: int, after: int) -> Iterator[Event]:
    return chain.from_iterable(feed.missing(tx, study_id, after))


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
    spec = parsed(row.spec_text)
    mirror = Mirror(spec)
    for stored in rounds.of_study(tx, study_id):
        mirror.open_round(RoundView.model_validate(dict(stored._mapping)))
    curves = measurements.all_curves(tx, study_id)
    for trial in trials.of_study(tx, study_id):
        mirror.restore(_restored(trial, curves.get(trial.id, {})))
    _log.info("search.loaded", study=row.name, num_trials=len(mirror.trials), seq=row.last_event_seq)
    return Search(spec, mirror, row.last_event_seq, row.space_version)


def _restored(trial: Record, curve: dict[int, float]) -> TrialRecord:
    state = TrialState(trial.state)
    return TrialRecord(
        trial.number,
        trial.id,
        trial.params,
        is_proposed=trial.origin == "sampler",
        state=state,
        round=trial.round,
        values=curve,
        stop_reason=StopReason(trial.stop_reason) if state.is_finished and trial.stop_reason else None,
        promoted_epoch=trial.promoted_epoch,
    )
