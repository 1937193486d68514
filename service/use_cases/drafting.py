"""What a person who writes a study wants to know before it is submitted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count

from caviar.contract.states import WorkerMode
from caviar.contract.study import StudySpec
from service.domain.principal import Right
from service.domain.study_query import StudyQuery
from service.store import catalogue, studies, workers
from service.store.transaction import Transaction
from service.use_cases import access
from service.use_cases.rotation import is_able

_MAX_STEM = 56
_NUM_RECENT = 50


def num_able_workers(tx: Transaction, spec: StudySpec, *, lease_ttl_s: float) -> int:
    """How many connected workers could take trials of a study now."""
    access.check(tx, Right.READ)
    connected = workers.seen_since(tx, tx.now - timedelta(seconds=lease_ttl_s))
    return sum(
        row.mode == WorkerMode.WORKING
        and any(offer["name"] == spec.objective.name for offer in row.objectives)
        and is_able(spec.requires, row)
        for row in connected
    )


def free_name(tx: Transaction, stem: str) -> str:
    """A name that no study has.

    Args:
        stem: What it begins with, a slug of its own; it is cut where a number would make it too long.
    Returns:
        The stem itself, or the stem with the first free number from 2 on.
    """
    cut = stem[:_MAX_STEM].rstrip("-._")
    taken = catalogue.names_beginning(tx, cut)
    return next(name for name in _numbered(stem, cut) if name not in taken)


def _numbered(stem: str, cut: str) -> Iterator[str]:
    yield stem
    yield from (f"{cut}-{number}" for number in count(2))


def recent_names(tx: Transaction) -> list[str]:
    """Names of the newest studies, the newest first."""
    return [row.name for row in catalogue.page(tx, StudyQuery(limit=_NUM_RECENT))[:_NUM_RECENT]]


def is_taken(tx: Transaction, name: str) -> bool:
    """Whether a study has this name."""
    return access.sees(tx, name) and studies.find(tx, name) is not None


def spec_of(tx: Transaction, name: str) -> StudySpec:
    """What a study was submitted with, as it has been edited since.

    Raises:
        NotFound: There is no such study (404).
    """
    return StudySpec.model_validate(access.study(tx, name).spec)
