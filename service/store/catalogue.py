"""Queries on the list of studies: which ones are asked for, in which order, and what is told of each at a glance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, false, func, or_, select, true

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.states import StudyState
from service.domain.study_query import StudyQuery, StudySort
from service.store.schema import leases, rounds, studies, trials
from service.store.studies import SPEC_TEXT
from service.store.transaction import Record, Records, Transaction

_COLUMNS = [*(column for column in studies.c if column is not studies.c.spec), SPEC_TEXT]
_KEYS: dict[StudySort, ColumnElement[Any]] = {
    StudySort.NAME: studies.c.name,
    StudySort.CREATED: studies.c.id,
    StudySort.ACTIVITY: studies.c.updated_at,
    StudySort.BEST: studies.c.best_value,
    StudySort.TRIALS: studies.c.num_trials - studies.c.num_imported,
    StudySort.EPOCHS: studies.c.num_epochs,
}


def page(tx: Transaction, query: StudyQuery) -> Records:
    """The studies that are asked for, and one more if there is a further page.

    Returns:
        Rows with the text of the body, `spec_text`, in place of `spec`.
    Raises:
        InvalidRequest: There is no study of the name `after` (422).
    """
    key = _key(tx, query.sort)
    turned = [column.desc() if query.is_descending else column.asc() for column in (key, studies.c.id)]
    statement: Select[Any] = (
        select(*_COLUMNS)
        .where(visible(tx), *_conditions(tx, query))
        .order_by(key.is_(None), *turned)
        .limit(query.limit + 1)
        .offset(query.offset)
    )
    if query.state:
        statement = statement.where(studies.c.state.in_(query.state))
    if query.after is not None:
        statement = statement.where(_is_beyond(tx, key, query.after, is_descending=query.is_descending))
    return tx.read(statement).all()


def named(tx: Transaction, names: Sequence[str]) -> Records:
    """The studies of these names, as far as there are any for the one who acts, in rows as those of `page`."""
    return tx.read(select(*_COLUMNS).where(visible(tx), studies.c.name.in_(names))).all()


def visible(tx: Transaction) -> ColumnElement[bool]:
    """The condition that a study exists for the one who acts; without anybody, none does."""
    if tx.actor is None:
        return false()
    scope = tx.actor.scope
    if scope is None:
        return true()
    # Not by LIKE, for which SQLite takes upper and lower case as equal.
    beginnings = [func.substr(studies.c.name, 1, len(start)) == start for start in scope.beginnings]
    return or_(studies.c.name.in_(scope.names), *beginnings)


def names_beginning(tx: Transaction, start: str, *, is_whole: bool = False) -> set[str]:
    """Names of studies that begin so, as the one who acts sees them; only the one that is equal if `is_whole`."""
    condition = studies.c.name == start if is_whole else studies.c.name.startswith(start, autoescape=True)
    return set(tx.read(select(studies.c.name).where(visible(tx), condition)).scalars())


def counts(tx: Transaction, query: StudyQuery) -> dict[StudyState, int]:
    """Numbers of the studies that are searched for, by state; the states of the query do not matter."""
    statement = select(studies.c.state, func.count().label("amount")).where(visible(tx), *_conditions(tx, query))
    return {StudyState(row.state): row.amount for row in tx.read(statement.group_by(studies.c.state))}


def best_trials(tx: Transaction, study_ids: Sequence[int], *, is_minimized: bool) -> dict[int, Record]:
    """The trial with the best value of each study that has one, the earlier one of equals, by study."""
    ordered = trials.c.value.asc() if is_minimized else trials.c.value.desc()
    best = (
        select(trials.c.id)
        .where(trials.c.study_id == studies.c.id, trials.c.value.is_not(None))
        .order_by(ordered, trials.c.number)
        .limit(1)
        .scalar_subquery()
    )
    shown = (trials.c.id, trials.c.study_id, trials.c.number, trials.c.value, trials.c.best_epoch, trials.c.params)
    statement = select(*shown).where(trials.c.id.in_(select(best).where(studies.c.id.in_(study_ids))))
    return {row.study_id: row for row in tx.read(statement)}


def newest_rounds(tx: Transaction, study_ids: Sequence[int]) -> dict[int, int]:
    """Number of the newest round of each study that has rounds, by study."""
    newest = func.max(rounds.c.number).label("newest")
    statement = select(rounds.c.study_id, newest).where(rounds.c.study_id.in_(study_ids)).group_by(rounds.c.study_id)
    return {row.study_id: row.newest for row in tx.read(statement)}


def seconds_taken(tx: Transaction, study_ids: Sequence[int] | None = None) -> dict[int, float]:
    """Seconds of slots that the attempts that run now have taken so far, by study; of all studies if none is named."""
    statement = select(leases.c.study_id, leases.c.started_at)
    if study_ids is not None:
        statement = statement.where(leases.c.study_id.in_(study_ids))
    taken: dict[int, float] = defaultdict(float)
    for row in tx.read(statement):
        taken[row.study_id] += max(0.0, (tx.now - row.started_at).total_seconds())
    return dict(taken)


def num_values(tx: Transaction, study_id: int) -> int:
    """How many trials of a study have a value."""
    statement = select(func.count(trials.c.value)).where(trials.c.study_id == study_id)
    return int(tx.read(statement).scalar_one())


def sorted_values(tx: Transaction, study_id: int, *, stride: int) -> list[tuple[float, int]]:
    """Values of a study's trials in rising order, each with its place from 1.

    Args:
        stride: Of so many values one is taken; the first and the last are always there.
    """
    ranked = (
        select(
            trials.c.value,
            func.row_number().over(order_by=trials.c.value).label("place"),
            func.count().over().label("amount"),
        )
        .where(trials.c.study_id == study_id, trials.c.value.is_not(None))
        .subquery()
    )
    place = ranked.c.place
    is_taken = or_(place == 1, place == ranked.c.amount, place % stride == 0)
    return [tuple(row) for row in tx.read(select(ranked.c.value, place).where(is_taken).order_by(place))]


def _key(tx: Transaction, sort: StudySort) -> ColumnElement[Any]:
    if sort is not StudySort.SLOT_TIME:
        return _KEYS[sort]
    # Few trials run at a time, and the databases have no common word for the seconds between two moments.
    taken = seconds_taken(tx)
    return studies.c.slot_s + case(taken, value=studies.c.id, else_=0.0) if taken else studies.c.slot_s


def _is_beyond(tx: Transaction, key: ColumnElement[Any], after: str, *, is_descending: bool) -> ColumnElement[bool]:
    last = tx.read(select(studies.c.id, key.label("key")).where(visible(tx), studies.c.name == after)).one_or_none()
    if last is None:
        field = FieldError(field="after", received=after, expected="the name of a study, or nothing to begin anew")
        raise InvalidRequest(f"the page cannot begin after {after!r}: no study has this name", errors=[field])

    def beyond(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
        found: ColumnElement[bool] = column < value if is_descending else column > value
        return found

    if last.key is None:
        return and_(key.is_(None), beyond(studies.c.id, last.id))
    is_later_equal = and_(key == last.key, beyond(studies.c.id, last.id))
    return or_(key.is_(None), beyond(key, last.key), is_later_equal)


def _conditions(tx: Transaction, query: StudyQuery) -> list[ColumnElement[bool]]:
    is_archived = studies.c.archived_at.is_not(None)
    return [is_archived if query.archived else ~is_archived, *(_holds(tx, word) for word in query.words)]


def _holds(tx: Transaction, word: str) -> ColumnElement[bool]:
    objective = studies.c.spec[("objective", "name")].as_string()
    if tx.is_sqlite:
        tags = func.json_each(studies.c.spec, "$.tags").table_valued("key", "value")
    else:
        tags = func.json_each_text(studies.c.spec["tags"]).table_valued("key", "value")
    pair = tags.c.key.concat("=").concat(tags.c.value)
    return or_(
        studies.c.name.icontains(word, autoescape=True),
        objective.icontains(word, autoescape=True),
        select(1).select_from(tags).where(pair.icontains(word, autoescape=True)).exists(),
    )
