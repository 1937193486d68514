"""What a claim has to know, asked for in one go: on Postgres each question by itself would be a way there and back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from service.store import leases, rounds, studies
from service.store.prepared import Query
from service.store.schema import workers
from service.store.transaction import Record, Records, Transaction

_WORKER = Query(
    select(workers.c.token_id, workers.c.mode, workers.c.objectives, workers.c.labels, workers.c.devices).where(
        workers.c.id == bindparam("worker")
    )
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a worker stands that claims.

    Attributes:
        worker: Whose it is, its mode, and what it offers; None if it never registered here.
        given: As `leases.of_request`.
        tokens: Of the leases that it holds.
        running: As `studies.running`.
    """

    worker: Record | None
    given: Records
    tokens: set[str]
    running: Records


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a study stands that is to give a claim its next trial.

    Attributes:
        given: As `leases.of_request`.
        study: Its row, locked, with the text of its body as `spec_text`; None if it was deleted.
        num_rounds: How many rounds it has.
    """

    given: Records
    study: Record | None
    num_rounds: int


def standing(tx: Transaction, worker_id: str, request_id: str) -> Standing:
    """Where a worker stands, and the studies that it may serve."""
    own = {"worker": worker_id}
    found, given, held, running = tx.all_records(
        (_WORKER, own),
        (leases.OF_REQUEST, {**own, "request": request_id}),
        (leases.TOKENS_OF_WORKER, own),
        (studies.RUNNING, {}),
    )
    return Standing(found[0] if found else None, given, {row.token for row in held}, running)


def opening(tx: Transaction, study_id: int, worker_id: str, request_id: str) -> Opening:
    """Where a study stands, and what the request was given so far."""
    given, found, [counted] = tx.all_records(
        (leases.OF_REQUEST, {"worker": worker_id, "request": request_id}),
        (studies.BY_ID_LOCKED, {"study_id": study_id}),
        (rounds.COUNT, {"study": study_id}),
    )
    for study in found:
        tx.last_seqs[study_id] = study.last_event_seq
    return Opening(given, found[0] if found else None, int(counted.num))
