"""Archiving: studies that are over are kept out of the way, and nothing of them changes any more."""

from __future__ import annotations

from caviar.contract.errors import StateConflict
from caviar.contract.states import StudyState
from caviar.contract.views import StudyView
from service.domain.principal import Right
from service.store import artifacts, studies
from service.store.artifacts import CHECKPOINT
from service.store.transaction import Record, Transaction
from service.use_cases import access, auditing, reading


def archive(tx: Transaction, name: str) -> StudyView:
    """Archive a study that has ended: lists leave it out unless it is asked for. Again, it changes nothing.

    Results, curves and the weights of the best trials stay; checkpoints, which no trial will go on from, go.

    Raises:
        NotFound: There is no such study (404).
        StateConflict: It has not ended (409).
    """
    study = access.study(tx, name, Right.CONTROL, is_locked=True)
    if not StudyState(study.state).is_finished:
        raise StateConflict(f"study {name!r} is {study.state}; stop it first, only what has ended can be archived")
    if study.archived_at is None:
        artifacts.doom_kind_of_study(tx, study.id, CHECKPOINT)
        studies.change(tx, study.id, archived_at=tx.now)
        _tell(tx, study, is_archived=True)
    return reading.study(tx, name)


def unarchive(tx: Transaction, name: str) -> StudyView:
    """Take a study out of the archive. Of one that is not in it, nothing changes.

    Raises:
        NotFound: There is no such study (404).
    """
    study = access.study(tx, name, Right.CONTROL, is_locked=True)
    if study.archived_at is not None:
        studies.change(tx, study.id, archived_at=None)
        _tell(tx, study, is_archived=False)
    return reading.study(tx, name)


def _tell(tx: Transaction, study: Record, *, is_archived: bool) -> None:
    tx.emit(study.id, "study_archived" if is_archived else "study_unarchived")
    auditing.record(tx, "study.archive" if is_archived else "study.unarchive", f"study:{study.name}")
