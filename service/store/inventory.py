"""Queries on how much of everything there is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, text

from caviar.contract.states import StudyState
from service.store.schema import artifacts, leases, studies, trials
from service.store.transaction import Records, Transaction

# In the order of the index, so that nothing has to be sorted.
_TRIALS = select(trials.c.study_id, trials.c.state, func.count().label("num")).group_by(
    trials.c.study_id, trials.c.state
)
_STUDIES = select(studies.c.state, func.count().label("num")).group_by(studies.c.state)
_ARTIFACTS = select(
    artifacts.c.kind,
    artifacts.c.doomed_at.is_not(None).label("is_doomed"),
    func.count().label("num"),
    func.sum(artifacts.c.size_bytes).label("size_bytes"),
).group_by(artifacts.c.kind, artifacts.c.doomed_at.is_not(None))
_HELD = select(leases.c.worker_id, func.count().label("num")).group_by(leases.c.worker_id)
_SIZES: dict[str, Any] = {
    "sqlite": text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"),
    "postgresql": text("SELECT pg_database_size(current_database())"),
}


def trials_by_state(tx: Transaction) -> Records:
    """Trials of each study by state, as `study_id`, `state` and `num`."""
    return tx.read(_TRIALS).all()


def studies_by_state(tx: Transaction) -> dict[str, int]:
    """Studies by state."""
    return {row.state: row.num for row in tx.read(_STUDIES)}


def running_studies(tx: Transaction, limit: int) -> Records:
    """Studies that run, those that changed last first."""
    columns = (studies.c.id, studies.c.name, studies.c.num_epochs, studies.c.best_value)
    order = (studies.c.updated_at.desc(), studies.c.id)
    return tx.read(select(*columns).where(studies.c.state == StudyState.RUNNING).order_by(*order).limit(limit)).all()


def artifacts_by_kind(tx: Transaction) -> Records:
    """Files as `kind`, `is_doomed`, `num` and `size_bytes`."""
    return tx.read(_ARTIFACTS).all()


def leases_by_worker(tx: Transaction) -> dict[str, int]:
    """Leases that each worker holds, by its id."""
    return {row.worker_id: row.num for row in tx.read(_HELD)}


def database_bytes(tx: Transaction) -> int:
    """Size of the database, without its log."""
    return int(tx.read(_SIZES[tx.connection.dialect.name]).scalar_one())
