"""Decisions of a study's pruner: rungs with who went on, or epochs with who was stopped."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caviar.contract.rungs import Bracket, EpochStops, Fate, Rung, RungEntry, Rungs, Stop
from caviar.contract.states import TrialState
from caviar.contract.study import StudySpec
from service.search.ladders import Climb, climb_of
from service.search.rungs import Ladder
from service.store import rung_rows
from service.store.transaction import Record, Transaction
from service.use_cases import access

MAX_BEST = 10
"""Trials that are told one by one at each rung."""

_MAX_STOPS = 50
_BEST, _CANDIDATES, _SPREAD, _NEWEST = 1000, 100, 400, 50
# To which bracket a trial belongs only its number tells: of more trials than these, an even part is counted.
_MAX_NUMBERED = 20_000


@dataclass(frozen=True)
class _Known:
    """What is known of some of the trials that came to an epoch.

    Attributes:
        trials: The trials.
        values: Best value of each up to there, by id.
        grounds: What was decided about each there last, by id.
        compared: The comparisons in the order of time: trial id and grounds.
    """

    trials: Sequence[Record]
    values: Mapping[int, float]
    grounds: Mapping[int, dict[str, Any]]
    compared: Sequence[tuple[int, dict[str, Any]]]


def rungs(tx: Transaction, name: str) -> Rungs:
    """What a study's pruner has decided.

    Counts are of all trials, by how far they have come; to brackets, an even part of them is shared out where there are
    more than 20,000. For what is told of single trials, those are looked at that are best by now (at each rung 200 of
    the best 1,000), the newest 50 there, and 400 evenly spread ones.

    Raises:
        NotFound: There is no such study (404).
    """
    study = access.study(tx, name)
    spec = StudySpec.model_validate(study.spec)
    climb = climb_of(spec)
    told = {"study": name, "metric": spec.metric, "pruner": spec.pruner.kind, "num_trials": study.num_trials}
    if climb is None:
        stops, newest = _stops(tx, study.id)
        looked_at = study.num_trials
        return Rungs(**told, num_looked_at=looked_at, brackets=[], stops=stops, newest_stops=newest)
    stride = 1 if len(climb.ladders) == 1 else max(1, -(-study.num_trials // _MAX_NUMBERED))
    is_minimized = spec.metric.direction == "minimize"
    best = rung_rows.best(tx, study.id, is_minimized=is_minimized, limit=_BEST)
    spread = rung_rows.of_numbers(tx, study.id, range(0, study.num_trials, -(-study.num_trials // _SPREAD) or 1))
    known = {epoch: _known(tx, study.id, epoch, (best, spread), is_minimized) for epoch in climb.ladders[0].rungs}
    standings = _standings(tx, study.id, climb, stride)
    brackets = [_bracket(ladder, standings[ladder.bracket], known, is_minimized) for ladder in climb.ladders]
    return Rungs(
        **told,
        reduction_factor=climb.reduction_factor,
        promotes=climb.promotes,
        num_looked_at=sum(bracket.num_trials for bracket in brackets),
        brackets=brackets,
        stops=[],
        newest_stops=[],
    )


Counted = list[tuple[Record, int]]


def _standings(tx: Transaction, study_id: int, climb: Climb, stride: int) -> dict[int, Counted]:
    """By bracket: standings with the number of trials that have them."""
    found: dict[int, Counted] = defaultdict(list)
    if len(climb.ladders) == 1:
        found[climb.ladders[0].bracket] = [(row, row.amount) for row in rung_rows.standings(tx, study_id)]
        return found
    for row in rung_rows.numbered(tx, study_id, stride=stride):
        bracket = next(ladder.bracket for ladder in climb.ladders if ladder.holds(row.number))
        found[bracket].append((row, 1))
    return found


def _known(
    tx: Transaction, study_id: int, epoch: int, looked_at: tuple[Sequence[Record], Sequence[Record]], is_minimized: bool
) -> _Known:
    best, spread = ([row for row in rows if row.num_epochs >= epoch] for rows in looked_at)
    stayed = [row for row in best if row.num_epochs == epoch][:_CANDIDATES]
    beyond = [row for row in best if row.num_epochs > epoch][:_CANDIDATES]
    newest = rung_rows.newest_at(tx, study_id, epoch, limit=_NEWEST)
    chosen = {row.id: row for row in (*stayed, *beyond, *spread, *newest)}
    ids = list(chosen)
    values = rung_rows.values_at(tx, ids, epoch, is_minimized=is_minimized)
    judged = [(row.trial_id, {"decision": row.decision, **row.evidence}) for row in rung_rows.decisions(tx, ids)]
    compared = [(trial_id, told) for trial_id, told in judged if told.get("rung") == epoch]
    # What the pruner compared may be of an epoch later than the rung, where a worker does not report every epoch.
    values |= {trial_id: told["value"] for trial_id, told in compared}
    grounds = dict(compared)
    for row in rung_rows.promotions(tx, ids):
        if row.evidence.get("rung") == epoch:
            grounds[row.trial_id] = {"decision": "promote", **row.evidence}
    return _Known(list(chosen.values()), values, grounds, compared)


def _bracket(ladder: Ladder, counted: Counted, known: Mapping[int, _Known], is_minimized: bool) -> Bracket:
    last = ladder.rungs[-1] if ladder.rungs else 0
    return Bracket(
        number=ladder.bracket,
        share=ladder.shares[ladder.bracket] / sum(ladder.shares),
        num_trials=sum(amount for _, amount in counted),
        num_at_end=sum(amount for standing, amount in counted if standing.num_epochs > last),
        rungs=[_rung(ladder, epoch, counted, known[epoch], is_minimized) for epoch in ladder.rungs],
    )


def _rung(ladder: Ladder, epoch: int, counted: Counted, known: _Known, is_minimized: bool) -> Rung:
    fates: Counter[Fate] = Counter()
    for standing, amount in counted:
        if max(standing.num_epochs, standing.promoted_epoch) >= epoch:
            fates[fate_of(standing, epoch)] += amount
    entries = _entries(ladder, epoch, known, is_minimized)
    sample: dict[Fate, list[float]] = defaultdict(list)
    for entry in entries:
        sample[entry.fate].append(entry.value)
    numbers = {row.id: row.number for row in known.trials if ladder.holds(row.number)}
    last: tuple[int | None, dict[str, Any]] = next(
        ((numbers[one], told) for one, told in reversed(known.compared) if one in numbers), (None, {})
    )
    return Rung(
        epoch=epoch,
        num_reached=fates.total(),
        fates={fate: fates[fate] for fate in Fate if fates[fate]},
        threshold=last[1].get("threshold"),
        threshold_number=last[0],
        best=entries[:MAX_BEST],
        sample=dict(sample),
    )


def _entries(ladder: Ladder, epoch: int, known: _Known, is_minimized: bool) -> list[RungEntry]:
    found = [
        RungEntry(
            trial_id=row.id,
            number=row.number,
            value=known.values[row.id],
            fate=fate_of(row, epoch),
            evidence=known.grounds.get(row.id),
        )
        for row in known.trials
        if row.id in known.values and ladder.holds(row.number)
    ]
    return sorted(found, key=lambda entry: (entry.value if is_minimized else -entry.value, entry.number))


def fate_of(trial: Record, epoch: int) -> Fate:
    """What became of a trial, with its state and how far it came, at a rung that it has come to."""
    if trial.promoted_epoch >= epoch:
        return Fate.PROMOTED
    if trial.num_epochs > epoch:
        return Fate.WENT_ON
    fates = {
        TrialState.PAUSED: Fate.PAUSED,
        TrialState.PRUNED: Fate.PRUNED,
        TrialState.RUNNING: Fate.RUNNING,
        TrialState.WAITING: Fate.RUNNING,
    }
    return fates.get(TrialState(trial.state), Fate.ENDED)


def _stops(tx: Transaction, study_id: int) -> tuple[list[EpochStops], list[Stop]]:
    reached: Counter[int] = Counter()
    stopped: Counter[int] = Counter()
    for row in rung_rows.standings(tx, study_id):
        reached[row.num_epochs] += row.amount
        if row.state == TrialState.PRUNED:
            stopped[row.num_epochs] += row.amount
    found = [
        EpochStops(epoch=epoch, num_reached=_at_least(reached.items(), epoch), num_stopped=stopped[epoch])
        for epoch in sorted(stopped)
    ]
    newest = [
        Stop(trial_id=row.id, number=row.number, epoch=row.num_epochs, value=row.value, evidence=row.evidence)
        for row in rung_rows.newest_stops(tx, study_id, limit=_MAX_STOPS)
    ]
    return found, newest


def _at_least(amounts: Iterable[tuple[int, int]], epoch: int) -> int:
    return sum(amount for other, amount in amounts if other >= epoch)
