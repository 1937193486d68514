"""Which files of trials are kept: the newest checkpoint of each that may go on, the weights of the best of a study."""

from __future__ import annotations

from caviar.contract.messages import Checkpoint
from caviar.contract.study import StudySpec
from service.store import artifacts, trials
from service.store.artifacts import CHECKPOINT
from service.store.transaction import Record, Transaction


def checkpoint(tx: Transaction, trial_id: int, epoch: int) -> Checkpoint:
    """What an attempt goes on from; without a size where only workers keep it."""
    kept = artifacts.newest(tx, trial_id, CHECKPOINT, epoch=epoch)
    if kept is None:
        return Checkpoint(epoch=epoch)
    return Checkpoint(epoch=epoch, size_bytes=kept.size_bytes, sha256=kept.sha256)


def acknowledge(tx: Transaction, trial_id: int, epoch: int) -> None:
    """Give up the checkpoints before this one, whose epoch was reported; kept while only a worker has this one."""
    kept = artifacts.newest(tx, trial_id, CHECKPOINT, epoch=epoch)
    if kept is not None:
        artifacts.doom_older(tx, trial_id, CHECKPOINT, kept=kept)


def fall_back(tx: Transaction, trial: Record) -> int | None:
    """Give up the checkpoint that a trial was to go on from, and say which epoch it goes on from instead.

    Args:
        tx: The transaction.
        trial: Its row, with `id` and `checkpoint_epoch`.
    Returns:
        Epoch of the next older checkpoint; None to begin at epoch 1.
    """
    if trial.checkpoint_epoch is None:
        return None
    while (unusable := artifacts.newest(tx, trial.id, CHECKPOINT, epoch=trial.checkpoint_epoch)) is not None:
        artifacts.doom(tx, unusable.id)
    older = artifacts.newest_up_to(tx, trial.id, CHECKPOINT, trial.checkpoint_epoch)
    return None if older is None else int(older.epoch)


def end_attempt(tx: Transaction, trial_id: int) -> None:
    """Give up the files of epochs that the next attempt will train again."""
    artifacts.doom_later(tx, trial_id, trials.get(tx, trial_id).checkpoint_epoch or 0)


def end_trial(tx: Transaction, trial_id: int) -> None:
    """Give up the checkpoints of a trial that will not go on."""
    artifacts.doom_kind(tx, trial_id, CHECKPOINT)


def wants_weights(tx: Transaction, trial: Record, spec: StudySpec) -> bool:
    """Whether an ended trial is among the best of its study, and the weights of its best epoch are not here yet.

    Args:
        tx: The transaction.
        trial: Its row, which may be older than its end.
        spec: Of its study.
    """
    is_best, kept = _among_best(tx, trial, spec)
    return is_best and (kept is None or kept.epoch != trial.best_epoch)


def is_among_best(tx: Transaction, trial: Record, spec: StudySpec) -> bool:
    """Whether the weights of a trial are kept: few enough trials are better and have theirs here.

    Trials without weights do not count, so that one whose worker was lost with them takes no place.
    """
    return _among_best(tx, trial, spec)[0]


def _among_best(tx: Transaction, trial: Record, spec: StudySpec) -> tuple[bool, Record | None]:
    keep_best = spec.checkpoints.keep_best
    if trial.value is None or keep_best == 0:
        return False, None
    num_better, kept = artifacts.rival_weights(tx, trial, is_minimized=_is_minimized(spec))
    return num_better < keep_best, kept


def make_room(tx: Transaction, study_id: int, spec: StudySpec) -> None:
    """Give up all weights of a study but the newest of each of its best trials."""
    kept: set[int] = set()
    for row in artifacts.weights_of_study(tx, study_id, is_minimized=_is_minimized(spec)):
        if row.trial_id in kept or len(kept) == spec.checkpoints.keep_best:
            artifacts.doom(tx, row.id)
        else:
            kept.add(row.trial_id)


def _is_minimized(spec: StudySpec) -> bool:
    return spec.metric.direction == "minimize"
