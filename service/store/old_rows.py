"""Queries that remove what is old and in nobody's use, a portion at a time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, delete, func, or_, select, tuple_, update

from service.domain.principal import Kind
from service.store.schema import alias_of, attempts, events, leases, studies, tokens, workers
from service.store.transaction import Transaction

_others = alias_of(tokens, "others")


def remove_events(tx: Transaction, before: datetime, limit: int) -> int:
    """Remove the oldest events of a study that ended before a time and in which nothing has happened since.

    Returns:
        How many; 0 if there is no such study.
    """
    has_events = select(events.c.seq).where(events.c.study_id == studies.c.id).exists()
    is_over = (studies.c.ended_at < before, studies.c.updated_at < before)
    study_id = tx.read(select(studies.c.id).where(*is_over, has_events).limit(1)).scalar()
    if study_id is None:
        return 0
    # Their numbers have no gaps, and must have none while some are left.
    first = tx.read(select(func.min(events.c.seq)).where(events.c.study_id == study_id)).scalar_one()
    old = delete(events).where(events.c.study_id == study_id, events.c.seq < first + limit)
    return int(tx.write(old).rowcount)


def remove_workers(tx: Transaction, before: datetime, limit: int) -> int:
    """Remove workers that hold no trial and gave no sign of life since a time, and tell how many that were."""
    holds = select(leases.c.trial_id).where(leases.c.worker_id == workers.c.id).exists()
    old = select(workers.c.id).where(workers.c.seen_at < before, ~holds).limit(limit)
    return int(tx.write(delete(workers).where(workers.c.id.in_(old))).rowcount)


def remove_log_tails(tx: Transaction, before: datetime, limit: int) -> int:
    """Remove what trainings wrote in attempts that ended before a time, and tell of how many attempts."""
    key = (attempts.c.trial_id, attempts.c.attempt)
    old = select(*key).where(attempts.c.ended_at < before, attempts.c.log_tail.is_not(None)).limit(limit)
    return int(tx.write(update(attempts).where(tuple_(*key).in_(old)).values(log_tail=None)).rowcount)


def remove_sessions(tx: Transaction, before: datetime, limit: int) -> int:
    """Remove the sessions of browsers that expired before a time, and tell how many that were."""
    old = select(tokens.c.id).where(tokens.c.kind == Kind.SESSION, tokens.c.expires_at < before).limit(limit)
    return int(tx.write(delete(tokens).where(tokens.c.id.in_(old))).rowcount)


def remove_tokens(tx: Transaction, before: datetime, limit: int) -> int:
    """Remove the tokens and share links that expired or were revoked before a time, and tell how many that were."""
    is_over = or_(tokens.c.expires_at < before, tokens.c.revoked_at < before)
    # The one of the settings, which nobody made, stays.
    is_made = and_(tokens.c.kind != Kind.SESSION, tokens.c.created_by.is_not(None))
    # A session is valid only as long as its token is, which is looked up.
    has_sessions = select(_others.c.id).where(_others.c.parent_id == tokens.c.id).exists()
    # SQLite gives the number of a newest row that is gone to the next one, but others know a token by its number.
    newest = select(func.max(_others.c.id)).where(_others.c.kind != Kind.SESSION).scalar_subquery()
    old = select(tokens.c.id).where(is_made, is_over, ~has_sessions, tokens.c.id < newest).limit(limit)
    return int(tx.write(delete(tokens).where(tokens.c.id.in_(old))).rowcount)
