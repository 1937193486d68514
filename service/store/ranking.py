"""Queries of the leaderboard: pages in any order, under filters; repeats of configurations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    FromClause,
    Select,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    null,
    or_,
    select,
    true,
)

from caviar.contract.space import ParamValue
from caviar.contract.states import TrialState
from service.domain.board_query import BoardQuery, Condition, OneOf
from service.domain.noise import Group
from service.store.schema import attempts, trials, workers
from service.store.transaction import Record, Records, Transaction

_PARAMS = "params."
# Both databases limit the number of parameters of a statement.
_PORTION = 500
_NEWEST = and_(attempts.c.trial_id == trials.c.id, attempts.c.attempt == trials.c.attempt)
_PLAIN: dict[str, ColumnElement[Any]] = {
    "rank": trials.c.value,
    "trial": trials.c.number,
    "value": trials.c.value,
    "gap": trials.c.value,
    "best_epoch": trials.c.best_epoch,
    "epochs": trials.c.num_epochs,
    "state": trials.c.state,
    "duration": trials.c.elapsed_s,
    "round": trials.c.round,
    "worker": workers.c.name,
    "origin": trials.c.origin,
    "created": trials.c.created_at,
}


class _Json:
    """What stands under a key of a JSON object, in the words of either database."""

    def __init__(self, column: ColumnElement[Any], key: str, *, is_sqlite: bool) -> None:
        self.kind: ColumnElement[Any]
        self.text: ColumnElement[Any]
        self.number: ColumnElement[Any]
        self.truth: ColumnElement[Any]
        if is_sqlite:
            path = f'$."{key}"'
            self.kind = func.json_type(column, path)
            self.text = cast(func.json_extract(column, path), Text)
            self.number = func.json_extract(column, path)
            self.truth = case((self.kind.in_(("true", "false")), self.kind))
        else:
            self.kind = func.json_typeof(column.op("->")(key))
            self.text = column.op("->>")(key)
            self.number = cast(self.text, Double)
            self.truth = case((self.kind == "boolean", self.text))
        self.numbers = ("integer", "real") if is_sqlite else ("number",)
        self.string = "text" if is_sqlite else "string"

    @property
    def as_number(self) -> ColumnElement[Any]:
        """The number; null for anything else, which a parameter may have been before its space was edited."""
        return case((self.kind.in_(self.numbers), self.number), else_=null())

    def equals(self, value: ParamValue) -> ColumnElement[bool]:
        """Whether it is this value, of this kind."""
        if isinstance(value, bool):
            return self.truth == ("true" if value else "false")
        if isinstance(value, str):
            return and_(self.kind == self.string, self.text == value)
        return self.as_number == value


def page(tx: Transaction, study_id: int, query: BoardQuery, *, is_minimized: bool) -> list[int]:
    """Ids of the trials of a page in its order, and of one more if there are further ones."""
    most = query.limit + 1
    if query.sort not in ("rank", "gap", "value"):
        order = _order(tx, query)
        return _ids(tx, _chosen(tx, study_id, query).order_by(*order), most, query.after)
    # By the index on values, in either direction; it could not be used if those without one were told to come last.
    is_rising = (query.sort == "value" or is_minimized) != query.is_descending
    direction = trials.c.value.asc() if is_rising else trials.c.value.desc()
    chosen = _chosen(tx, study_id, query)
    valued = chosen.where(trials.c.value.is_not(None)).order_by(direction, trials.c.number)
    found = _ids(tx, valued, most, query.after)
    if len(found) < most:
        rest = chosen.where(trials.c.value.is_(None)).order_by(trials.c.number)
        num_valued = query.after + len(found) if found or not query.after else _count(tx, valued.order_by(None))
        found += _ids(tx, rest, most - len(found), max(0, query.after - num_valued))
    return found


def num_matching(tx: Transaction, study_id: int, query: BoardQuery, *, most: int) -> int:
    """How many trials match the filters, counted no further than one above `most`."""
    return _count(tx, _chosen(tx, study_id, query).limit(most + 1))


def rows(tx: Transaction, trial_ids: Sequence[int]) -> Records:
    """Trials with the names of their workers and the facts of their newest attempts, in the order of these ids."""
    statement = _shown().where(trials.c.id.in_(trial_ids))
    found = {row.id: row for row in tx.read(statement)}
    return [found[trial_id] for trial_id in trial_ids if trial_id in found]


def numbered(tx: Transaction, study_id: int, numbers: Sequence[int]) -> Records:
    """Those of these trials of a study that exist, as `rows` tells them, in the order of these numbers."""
    statement = _shown().where(trials.c.study_id == study_id, trials.c.number.in_(numbers))
    found = {row.number: row for row in tx.read(statement)}
    return [found[number] for number in numbers if number in found]


def ranks(tx: Transaction, study_id: int, shown: Iterable[Record], *, is_minimized: bool) -> dict[int, int]:
    """Places of these trials among all of their study, from 1, by id; those without a value have none.

    All together pass over each entry of the index on values at most once.
    """
    valued = [row for row in shown if row.value is not None]
    valued.sort(key=lambda row: (row.value if is_minimized else -row.value, row.number))
    of_study = select(func.count()).where(trials.c.study_id == study_id)
    found: dict[int, int] = {}
    num_better, reached = 0, None
    for row in valued:
        if row.value != reached:
            better = of_study.where(trials.c.value < row.value if is_minimized else trials.c.value > row.value)
            if reached is not None:
                better = better.where(trials.c.value >= reached if is_minimized else trials.c.value <= reached)
            num_better += tx.read(better).scalar_one()
            reached = row.value
        # As a sum, so that SQLite does not take the index on numbers, which holds all earlier trials.
        earlier = of_study.where(trials.c.value == row.value, trials.c.number + 0 < row.number)
        found[row.id] = num_better + tx.read(earlier).scalar_one() + 1
    return found


def best_digests(tx: Transaction, study_id: int, *, is_minimized: bool, most: int) -> list[str]:
    """Configurations of the best trials, best first, each once."""
    order = trials.c.value.asc() if is_minimized else trials.c.value.desc()
    statement = (
        select(trials.c.params_digest)
        .where(trials.c.study_id == study_id, trials.c.value.is_not(None), trials.c.params_digest.is_not(None))
        .order_by(order, trials.c.number)
        .limit(most)
    )
    return list(dict.fromkeys(tx.read(statement).scalars()))


def groups(tx: Transaction, study_id: int, digests: Iterable[str]) -> dict[str, Group]:
    """What the complete trials of these configurations reached."""
    wanted = list(dict.fromkeys(digests))
    found: dict[str, Group] = {}
    for start in range(0, len(wanted), _PORTION):
        complete = (
            trials.c.study_id == study_id,
            trials.c.params_digest.in_(wanted[start : start + _PORTION]),
            trials.c.state == TrialState.COMPLETE,
            trials.c.value.is_not(None),
        )
        means = select(trials.c.params_digest, func.avg(trials.c.value).label("mean")).where(*complete)
        mean = means.group_by(trials.c.params_digest).subquery()
        distance = trials.c.value - mean.c.mean
        statement = (
            select(
                mean.c.params_digest,
                func.count().label("num"),
                mean.c.mean,
                func.sum(distance * distance).label("squares"),
            )
            .join(mean, mean.c.params_digest == trials.c.params_digest)
            .where(*complete)
            .group_by(mean.c.params_digest, mean.c.mean)
        )
        found |= {row.params_digest: Group(row.num, row.mean, row.squares) for row in tx.read(statement)}
    return found


def best_params(tx: Transaction, study_id: int, *, is_minimized: bool, most: int) -> list[dict[str, Any]]:
    """Parameters of the best configurations, best first, each once."""
    best = (func.min if is_minimized else func.max)(trials.c.value)
    # Equal digests mean equal parameters, so any trial stands for its configuration.
    statement = (
        select(func.min(trials.c.id).label("trial_id"), best.label("value"))
        .where(trials.c.study_id == study_id, trials.c.value.is_not(None), trials.c.params_digest.is_not(None))
        .group_by(trials.c.params_digest)
        .order_by(best.asc() if is_minimized else best.desc(), func.min(trials.c.number))
        .limit(most)
        .subquery()
    )
    rows = select(trials.c.params).join(statement, statement.c.trial_id == trials.c.id)
    order = statement.c.value.asc() if is_minimized else statement.c.value.desc()
    return list(tx.read(rows.order_by(order, trials.c.number)).scalars())


def _shown() -> Select[Any]:
    return (
        select(trials, workers.c.name.label("worker_name"), attempts.c.facts)
        .outerjoin(workers, workers.c.id == trials.c.worker_id)
        .outerjoin(attempts, _NEWEST)
    )


def _ids(tx: Transaction, statement: Select[Any], limit: int, offset: int) -> list[int]:
    return list(tx.read(statement.limit(limit).offset(offset)).scalars())


def _count(tx: Transaction, statement: Select[Any]) -> int:
    return int(tx.read(select(func.count()).select_from(statement.subquery())).scalar_one())


def _chosen(tx: Transaction, study_id: int, query: BoardQuery) -> Select[Any]:
    statement = select(trials.c.id).where(trials.c.study_id == study_id)
    if query.states:
        statement = statement.where(trials.c.state.in_(query.states))
    for condition in query.conditions:
        statement = statement.where(_meets(tx, condition))
    if query.text:
        said = func.lower(trials.c.note), func.lower(cast(trials.c.tags, Text))
        statement = statement.where(or_(*(text.contains(query.text.lower(), autoescape=True) for text in said)))
    if any(one.column == "memory" for one in query.conditions) or query.sort in ("memory", "device"):
        statement = statement.outerjoin(attempts, _NEWEST)
    if query.sort == "worker":
        statement = statement.outerjoin(workers, workers.c.id == trials.c.worker_id)
    return statement


def _meets(tx: Transaction, condition: Condition) -> ColumnElement[bool]:
    if isinstance(condition, OneOf):
        held = _param(tx, condition.column)
        return or_(false(), *(held.equals(choice) for choice in condition.choices))
    expression = _expression(tx, condition.column)
    low = true() if condition.low is None else expression >= condition.low
    high = true() if condition.high is None else expression <= condition.high
    return and_(expression.is_not(None), low, high)


def _order(tx: Transaction, query: BoardQuery) -> tuple[ColumnElement[Any], ...]:
    expressions = [_expression(tx, query.sort)]
    if query.sort.startswith(_PARAMS):
        # Numbers by size, then choices, which are no numbers, by their texts.
        expressions.append(_param(tx, query.sort).text)
    directed = [one.desc() if query.is_descending else one.asc() for one in expressions]
    return *(one.nulls_last() for one in directed), trials.c.number


def _expression(tx: Transaction, column: str) -> ColumnElement[Any]:
    if column in _PLAIN:
        return _PLAIN[column]
    if column.startswith(_PARAMS):
        return _param(tx, column).as_number
    if column == "memory":
        held_bytes = (_fact(tx, "peak_device_memory_bytes"), _fact(tx, "peak_memory_bytes"))
        return func.coalesce(*(fact.as_number for fact in held_bytes))
    if column == "device":
        return func.coalesce(_fact(tx, "device_name").text, _fact(tx, "device").text)
    if column == "repeats":
        return _mean()
    return func.nullif(cast(trials.c.tags, Text), "{}")


def _mean() -> ColumnElement[Any]:
    same = trials.alias("same")
    return (
        select(func.avg(same.c.value))
        .where(
            same.c.study_id == trials.c.study_id,
            same.c.params_digest == trials.c.params_digest,
            same.c.state == TrialState.COMPLETE,
        )
        .correlate(trials)
        .scalar_subquery()
    )


def _param(tx: Transaction, column: str) -> _Json:
    return _json(tx, trials, "params", column.removeprefix(_PARAMS))


def _fact(tx: Transaction, name: str) -> _Json:
    return _json(tx, attempts, "facts", name)


def _json(tx: Transaction, table: FromClause, column: str, key: str) -> _Json:
    return _Json(table.c[column], key, is_sqlite=tx.is_sqlite)
