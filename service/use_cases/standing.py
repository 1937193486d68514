"""Whether a study can still be changed."""

from __future__ import annotations

from caviar.contract.errors import StateConflict
from caviar.contract.states import StudyState
from service.store.transaction import Record


def require_live(study: Record) -> None:
    """Refuse a study that has ended.

    Raises:
        StateConflict: It has (409).
    """
    if StudyState(study.state).is_finished:
        raise StateConflict(
            f"study {study.name!r} has ended ({study.end_reason}) and cannot be changed; clone it instead"
        )
