"""How many trials of a study could be in training if there were slots for all: a pure function of what is stored."""

from __future__ import annotations

from caviar.contract.study import Budget

MAX_WITHOUT_LIMIT = 1000
"""What a study wants that time alone ends: some number must be told to programs that start workers."""


def num_wanted(
    budget: Budget,
    *,
    num_running: int,
    num_waiting: int,
    num_paused: int,
    num_trials: int,
    num_epochs: int,
    may_create: bool,
) -> int:
    """How many trials of a running study could be in training now, those that are included.

    Args:
        budget: Its limits.
        num_running: Trials in training.
        num_waiting: Trials that wait: lost, released or enqueued ones.
        num_paused: Trials that may be promoted. Only the next claim can tell which; while nothing else is left, one
            slot is wanted to find out.
        num_trials: Trials created, imported ones left out.
        num_epochs: Epochs reported.
        may_create: Whether no limit forbids new trials.
    """
    wanted = num_running + num_waiting
    if may_create:
        wanted += _num_new(budget, num_trials, num_epochs)
    if wanted == 0 and num_paused > 0:
        wanted = 1
    if budget.max_parallel is not None:
        wanted = min(wanted, budget.max_parallel)
    return max(wanted, num_running)


def _num_new(budget: Budget, num_trials: int, num_epochs: int) -> int:
    room = []
    if budget.max_trials is not None:
        room.append(max(budget.max_trials - num_trials, 0))
    if budget.max_total_epochs is not None:
        left = max(budget.max_total_epochs - num_epochs, 0)
        room.append(-(-left // budget.max_epochs))
    return min(room, default=MAX_WITHOUT_LIMIT)
