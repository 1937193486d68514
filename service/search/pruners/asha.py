"""Asynchronous successive halving, by stopping."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import ClassVar

from caviar.contract.states import Decision
from service.search.mirror import Mirror
from service.search.pruner import GO_ON, Verdict
from service.search.rungs import RungIndex, RungOptions, loss_of


class AshaPruner:
    """Stops a trial at a rung unless it is among the best 1/η of all trials that have come there.

    A trial's value at a rung is its best value up to that epoch. The best of fewer than η values always goes on, so the
    first trial at a rung does.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", the stopping variant, whose rule
        for ties and small numbers is that of Optuna's `SuccessiveHalvingPruner`.
    """

    kind: ClassVar[str] = "asha"
    Options: ClassVar[type[RungOptions]] = RungOptions

    def __init__(self, options: RungOptions) -> None:
        self.options = options

    def judge(self, mirror: Mirror, number: int, epoch: int, values: Mapping[int, float]) -> Verdict:
        """Compare the trial with all that have reached the rung, if it has just reached one."""
        rungs = self.options.epochs(mirror.spec.budget.max_epochs)
        level = _level_entered(rungs, epoch, values)
        if level is None:
            return GO_ON
        peers = _peers(mirror.index(RungIndex, rungs), level, number)
        own = min(loss_of(mirror.metric, value) for value in values.values())
        num_kept = max(1, (len(peers) + 1) // self.options.reduction_factor)
        num_better = bisect_left(peers, own)
        threshold = _nth_best(peers, own, num_better, num_kept)
        return Verdict(
            Decision.CONTINUE if num_better < num_kept else Decision.STOP,
            {
                "rule": self.kind,
                "epoch": epoch,
                "rung": rungs[level],
                "value": loss_of(mirror.metric, own),
                "threshold": loss_of(mirror.metric, threshold),
                "peers": len(peers),
            },
        )


def _level_entered(rungs: Sequence[int], epoch: int, values: Mapping[int, float]) -> int | None:
    previous = epoch - 1 if epoch - 1 in values else max((other for other in values if other < epoch), default=0)
    return max((level for level, rung in enumerate(rungs) if previous < rung <= epoch), default=None)


def _peers(index: RungIndex, level: int, number: int) -> Sequence[float]:
    peers, mine = index.recorded[level], index.reached.get(number, [])
    if level < len(mine):
        # Judged again after its epoch was stored: it is no peer of itself.
        position = bisect_left(peers, mine[level])
        return peers[:position] + peers[position + 1 :]
    return peers


def _nth_best(peers: Sequence[float], own: float, num_better: int, nth: int) -> float:
    """The nth best, from 1, of the peers and the trial itself."""
    if num_better == nth - 1:
        return own
    return peers[nth - 1] if num_better >= nth else peers[nth - 2]
