"""What people say of a trial: tags and a note."""

from __future__ import annotations

from caviar.contract.ranking import Annotation
from caviar.contract.views import TrialDetail
from service.domain.principal import Right
from service.store import studies, trials
from service.store.transaction import Transaction
from service.use_cases import access, auditing, reading
from service.use_cases.standing import require_in_use


def annotate(tx: Transaction, trial_id: int, body: Annotation) -> TrialDetail:
    """Set the tags or the note of a trial, whatever its state. Saying the same again changes nothing.

    Raises:
        NotFound: There is no such trial (404).
        StateConflict: Its study is archived (409).
    """
    row = access.trial(tx, trial_id, Right.CONTROL)
    require_in_use(studies.of_id(tx, row.study_id))
    said = {"tags": row.tags, "note": row.note}
    changed = {**said, **body.model_dump(exclude_none=True)}
    if changed != said:
        trials.change(tx, trial_id, **changed)
        auditing.record(tx, "trial.annotate", f"trial:{trial_id}")
        tx.emit(row.study_id, "trial_annotated", trial_id=trial_id, number=row.number, **changed)
    return reading.trial(tx, trial_id)
