"""Whether a study, or what people say of it, can still be changed."""

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


def require_in_use(study: Record) -> None:
    """Refuse a study that is in the archive.

    Raises:
        StateConflict: It is (409).
    """
    if study.archived_at is not None:
        raise StateConflict(
            f"study {study.name!r} is archived and nothing of it changes; take it out of the archive first"
        )
