"""Asynchronous successive halving, by promotion or by stopping."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import JsonValue

from caviar.contract.states import Decision
from caviar.contract.study import Metric, StudySpec
from service.search.mirror import Mirror
from service.search.pruner import GO_ON, Promotion, Pruner, Verdict
from service.search.rungs import Entry, Ladder, RungIndex, RungOptions, loss_of


@dataclass(frozen=True)
class _Standing:
    """Where a trial stands at a rung.

    Attributes:
        rung: Epoch of the rung.
        loss: Best loss of the trial up to the rung.
        rank: How many of its peers are better.
        num_peers: Others that have come to the rung.
        num_kept: How many of all may go on from here.
        threshold: Loss of the last of those; None while none may.
    """

    rung: int
    loss: float
    rank: int
    num_peers: int
    num_kept: int
    threshold: float | None

    @property
    def is_kept(self) -> bool:
        """Whether the trial is one of those that may go on."""
        return self.rank < self.num_kept

    def evidence(self, rule: str, metric: Metric, epoch: int) -> dict[str, JsonValue]:
        """What a decision says about its grounds, in natural values."""
        return {
            "rule": rule,
            "epoch": epoch,
            "rung": self.rung,
            "value": loss_of(metric, self.loss),
            "threshold": None if self.threshold is None else loss_of(metric, self.threshold),
            "rank": self.rank + 1,
            "kept": self.num_kept,
            "peers": self.num_peers,
        }


class AshaPruner(Pruner):
    """Lets the best 1/η of all trials that have come to a rung go on from it.

    A trial's value at a rung is its best value up to that epoch. By promotion, every trial pauses at its next rung, and
    whenever a slot is free, a paused trial that is among the best goes on before a new one begins; one that would be
    the next to go on anyway does not even pause. By stopping, a trial that is not among the best when it comes to a
    rung is stopped there for good; the best of fewer than η goes on.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", algorithm 2; the stopping variant
        decides as Optuna's `SuccessiveHalvingPruner`.
    """

    kind: ClassVar[str] = "asha"
    Options: ClassVar[type[RungOptions]] = RungOptions

    def __init__(self, options: RungOptions) -> None:
        self.options = options

    def ladders(self, spec: StudySpec) -> Sequence[Ladder]:
        """All ladders of a study; each trial climbs one of them."""
        return (Ladder(self.options.epochs(spec.budget.max_epochs)),)

    def judge(self, mirror: Mirror, number: int, epoch: int, values: Mapping[int, float]) -> Verdict:
        """Compare the trial with all that have reached the rung, if it has just reached one."""
        ladder = self._ladder_of(mirror.spec, number)
        level = _level_entered(ladder.rungs, epoch, values)
        if level is None or ladder.rungs[level] <= mirror.trials[number].promoted_epoch:
            return GO_ON
        loss = min(loss_of(mirror.metric, value) for value in values.values())
        index = mirror.index(RungIndex, ladder)
        standing = self._standing(index, level, (loss, number))
        return Verdict(self._decide(mirror, standing, number), standing.evidence(self.kind, mirror.metric, epoch))

    def pause_epochs(self, spec: StudySpec, number: int, promoted_epoch: int) -> list[int]:
        """The rungs that still lie before the trial."""
        if not self.options.promote:
            return []
        return [rung for rung in self._ladder_of(spec, number).rungs if rung > promoted_epoch]

    def promote(self, mirror: Mirror, *, is_last_call: bool) -> Promotion | None:
        """The best trial that is paused at the highest rung from which one may go on.

        At the last call a rung from which none has gone on yet sends its best one, however few have come there: so
        every study trains at least one trial to the end.
        """
        if not self.options.promote:
            return None
        found = self._next(mirror, is_last_call=is_last_call)
        if found is None:
            return None
        number, standing = found
        evidence = standing.evidence(self.kind, mirror.metric, standing.rung)
        return Promotion(number, standing.rung, evidence | ({} if standing.is_kept else {"last_call": True}))

    def _next(self, mirror: Mirror, *, is_last_call: bool = False) -> tuple[int, _Standing] | None:
        best: tuple[int, _Standing] | None = None
        for ladder in self.ladders(mirror.spec):
            index = mirror.index(RungIndex, ladder)
            for level, waiting in enumerate(index.paused):
                if not waiting:
                    continue
                standing = self._standing(index, level, waiting[0])
                is_due = is_last_call and not index.num_beyond[level]
                found = (waiting[0][1], standing)
                if (standing.is_kept or is_due) and (best is None or _before(found, best)):
                    best = found
        return best

    def _decide(self, mirror: Mirror, standing: _Standing, number: int) -> Decision:
        if not self.options.promote:
            return Decision.CONTINUE if standing.is_kept else Decision.STOP
        if not standing.is_kept:
            return Decision.PAUSE
        other = self._next(mirror)
        # A better one that waits takes this slot.
        is_next = other is None or other[0] == number or _before((number, standing), other)
        return Decision.CONTINUE if is_next else Decision.PAUSE

    def _standing(self, index: RungIndex, level: int, own: Entry) -> _Standing:
        loss, number = own
        recorded, mine = index.recorded[level], index.reached.get(number, [])
        # Judged again after its epoch was stored, or paused: it is no peer of itself.
        skipped = bisect_left(recorded, (mine[level], number)) if level < len(mine) else None
        # Where a stop is for good, equal losses share a rank.
        rank = bisect_left(recorded, own if self.options.promote else (loss, -1))
        rank -= skipped is not None and skipped < rank
        num_peers = len(recorded) - (skipped is not None)
        num_kept = (num_peers + 1) // self.options.reduction_factor
        if not self.options.promote:
            num_kept = max(1, num_kept)
        return _Standing(
            rung=index.ladder.rungs[level],
            loss=loss,
            rank=rank,
            num_peers=num_peers,
            num_kept=num_kept,
            threshold=_nth_best(recorded, skipped, own, rank, num_kept),
        )

    def _ladder_of(self, spec: StudySpec, number: int) -> Ladder:
        return next(ladder for ladder in self.ladders(spec) if ladder.holds(number))


def _before(a: tuple[int, _Standing], b: tuple[int, _Standing]) -> bool:
    return (-a[1].rung, a[1].loss, a[0]) < (-b[1].rung, b[1].loss, b[0])


def _level_entered(rungs: Sequence[int], epoch: int, values: Mapping[int, float]) -> int | None:
    previous = epoch - 1 if epoch - 1 in values else max((other for other in values if other < epoch), default=0)
    return max((level for level, rung in enumerate(rungs) if previous < rung <= epoch), default=None)


def _nth_best(recorded: Sequence[Entry], skipped: int | None, own: Entry, rank: int, nth: int) -> float | None:
    """The nth best loss, from 1, of the recorded ones, without the one at `skipped`, and the trial's own."""
    if nth == 0:
        return None
    if rank == nth - 1:
        return own[0]
    position = nth - 1 if rank >= nth else nth - 2
    return recorded[position + (skipped is not None and position >= skipped)][0]
