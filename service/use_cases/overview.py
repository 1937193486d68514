"""Where studies stand: a few of them, or the part of the list that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caviar.contract.states import StudyState, TrialState
from caviar.contract.study import StudySpec
from caviar.contract.views import BestTrial, Improvement, StudyPage, StudyView
from service.domain import pace
from service.domain.principal import Right
from service.domain.study_query import StudyQuery
from service.store import catalogue, improvements, studies
from service.store.transaction import Record, Transaction
from service.use_cases import access
from service.use_cases.specs import parsed


def find(tx: Transaction, query: StudyQuery) -> StudyPage:
    """The studies that are asked for.

    Raises:
        InvalidRequest: There is no study of the name `after` (422).
    """
    access.check(tx, Right.READ)
    rows = catalogue.page(tx, query)
    items = views(tx, [(row, parsed(row.spec_text)) for row in rows[: query.limit]])
    amounts = count(tx, query)
    return StudyPage(
        items=items,
        next_after=items[-1].name if len(rows) > query.limit else None,
        total=sum(amount for state, amount in amounts.items() if not query.state or state in query.state),
    )


def count(tx: Transaction, query: StudyQuery) -> dict[StudyState, int]:
    """Numbers of the studies that are searched for, by state, whichever states are asked for."""
    access.check(tx, Right.READ)
    return catalogue.counts(tx, query)


def named(tx: Transaction, names: Sequence[str]) -> list[StudyView]:
    """The studies of these names, as far as there are any."""
    return views(tx, [(row, parsed(row.spec_text)) for row in catalogue.named(tx, names)])


def views(tx: Transaction, found: Sequence[tuple[Record, StudySpec]]) -> list[StudyView]:
    """Studies and where they stand, in the same order.

    Args:
        found: Their rows, each with its body. The number of queries does not depend on how many there are, those that
            run aside.
    """
    ids = [row.id for row, _ in found]
    counts = studies.trial_counts(tx, ids)
    rounds, taken, best = catalogue.newest_rounds(tx, ids), catalogue.seconds_taken(tx, ids), _best(tx, found)
    return [
        StudyView(
            **{name: getattr(spec, name) for name in StudySpec.model_fields},
            state=row.state,
            end_reason=row.end_reason,
            counts=counts[row.id],
            num_trials=row.num_trials,
            num_imported=row.num_imported,
            num_epochs=row.num_epochs,
            slot_s=row.slot_s + taken.get(row.id, 0.0),
            space_version=row.space_version,
            seconds_left=_seconds_left(tx, row, spec, counts[row.id]),
            round=rounds.get(row.id),
            best=best.get(row.id),
            last_event_seq=row.last_event_seq,
            created_at=row.created_at,
            updated_at=row.updated_at,
            ended_at=row.ended_at,
            archived_at=row.archived_at,
        )
        for row, spec in found
    ]


def histories(tx: Transaction, names: Sequence[str]) -> dict[str, list[Improvement]]:
    """Every epoch that was better than all before it, of several studies, by name, the oldest first."""
    rows = {row.id: row.name for row in catalogue.named(tx, names)}
    found = improvements.of_studies(tx, list(rows))
    return {name: [improvement(row) for row in found.get(study_id, [])] for study_id, name in rows.items()}


def improvement(row: Record) -> Improvement:
    """A stored improvement."""
    return Improvement(
        trial_id=row.trial_id,
        number=row.number,
        epoch=row.epoch,
        value=row.value,
        num_epochs=row.num_epochs,
        at=row.at,
    )


def _best(tx: Transaction, found: Sequence[tuple[Record, StudySpec]]) -> dict[int, BestTrial]:
    leaders: dict[int, BestTrial] = {}
    for is_minimized in (True, False):
        ids = [row.id for row, spec in found if (spec.metric.direction == "minimize") is is_minimized]
        rows = catalogue.best_trials(tx, ids, is_minimized=is_minimized) if ids else {}
        for study_id, row in rows.items():
            leaders[study_id] = BestTrial(
                trial_id=row.id, number=row.number, value=row.value, epoch=row.best_epoch, params=row.params
            )
    return leaders


def _seconds_left(tx: Transaction, row: Record, spec: StudySpec, counts: Mapping[TrialState, int]) -> float | None:
    if row.state != StudyState.RUNNING:
        return None
    return pace.seconds_left(
        spec.budget,
        counts=counts,
        num_imported=row.num_imported,
        num_epochs=row.num_epochs,
        begun_at=studies.begun_at(tx, row.id),
        created_at=row.created_at,
        now=tx.now,
    )
