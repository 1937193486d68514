"""The leaderboard of a study: its rows in any order, with repeats, noise, devices and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from caviar.contract.ranking import Leaderboard, LeaderboardRow, Noise, Repeats
from caviar.contract.study import StudySpec
from service.domain.board_query import BoardQuery
from service.domain.noise import Group, PooledNoise, pooled
from service.store import ranking as ranking_rows
from service.store import studies, trials
from service.store.transaction import Record, Transaction
from service.use_cases import access, reading

MAX_COUNTED = 10_000
NUM_BEST = 200
"""The noise is that of the configurations of so many of the best trials: there it matters, and it costs little."""


def leaderboard(tx: Transaction, name: str, query: BoardQuery) -> Leaderboard:
    """A page of the trials of a study.

    Raises:
        NotFound: There is no such study (404).
    """
    study = access.study(tx, name)
    spec = StudySpec.model_validate(study.spec)
    is_minimized = spec.metric.direction == "minimize"
    ids = ranking_rows.page(tx, study.id, query, is_minimized=is_minimized)
    has_more = len(ids) > query.limit
    found = ranking_rows.rows(tx, ids[: query.limit])
    pinned = ranking_rows.numbered(tx, study.id, query.pins)
    in_order = not (query.is_filtered or query.is_descending) and query.sort in ("rank", "gap")
    known = {row.id: query.after + place for place, row in enumerate(found, start=1)} if in_order else {}
    made, noise = ranked_rows(tx, study, spec, [*pinned, *found], ranks=known)
    is_pinned = set(query.pins)
    return Leaderboard(
        study=name,
        metric=spec.metric,
        total=study.num_trials,
        num_matching=_num_matching(tx, study, query, len(found), has_more=has_more),
        pinned=made[: len(pinned)],
        items=[row for row in made[len(pinned) :] if row.number not in is_pinned],
        next_after=query.after + query.limit if has_more else None,
        noise=noise,
    )


def ranked_rows(
    tx: Transaction,
    study: Record,
    spec: StudySpec,
    found: Iterable[Record],
    *,
    ranks: Mapping[int, int] | None = None,
) -> tuple[list[LeaderboardRow], Noise | None]:
    """Rows of trials as people see them, and the noise that their distances are compared with.

    Args:
        study: Row of their study.
        spec: Its body.
        found: Rows of `service.store.ranking`.
        ranks: Places that are known, by id; the others are counted.
    """
    rows = list(found)
    is_minimized = spec.metric.direction == "minimize"
    leader = trials.best(tx, study.id, is_minimized=is_minimized)
    best_value = None if leader is None else leader.value
    best = ranking_rows.best_digests(tx, study.id, is_minimized=is_minimized, most=NUM_BEST)
    groups = ranking_rows.groups(tx, study.id, [*best, *(row.params_digest for row in rows if row.params_digest)])
    noise = pooled(groups[digest] for digest in best if digest in groups)
    known = dict(ranks or {})
    known |= ranking_rows.ranks(tx, study.id, [row for row in rows if row.id not in known], is_minimized=is_minimized)
    made = [
        _row(row, spec, best=best_value, rank=known.get(row.id), group=groups.get(row.params_digest), noise=noise)
        for row in rows
    ]
    told = None
    if noise is not None:
        told = Noise(
            num_configurations=noise.num_configurations,
            num_trials=noise.num_trials,
            sd=noise.sd,
            margin=noise.margin,
        )
    return made, told


def _row(
    row: Record,
    spec: StudySpec,
    *,
    best: float | None,
    rank: int | None,
    group: Group | None,
    noise: PooledNoise | None,
) -> LeaderboardRow:
    gap = None if row.value is None or best is None else abs(row.value - best)
    facts: dict[str, Any] = row.facts or {}
    peak = facts.get("peak_device_memory_bytes")
    return LeaderboardRow(
        **reading.trial_facts(row, spec),
        rank=None if row.value is None else rank,
        gap=gap,
        is_tied=gap is not None and noise is not None and rank != 1 and gap <= noise.margin,
        repeats=None if group is None else Repeats(num=group.num, mean=group.mean, sd=group.sd),
        device=facts.get("device_name") or facts.get("device"),
        peak_memory_bytes=facts.get("peak_memory_bytes") if peak is None else peak,
    )


def _num_matching(tx: Transaction, study: Record, query: BoardQuery, num_shown: int, *, has_more: bool) -> int | None:
    if not query.is_filtered:
        return int(study.num_trials)
    if not has_more and (num_shown or not query.after):
        return query.after + num_shown
    if not (query.conditions or query.text):
        counts = studies.trial_counts(tx, [study.id])[study.id]
        return sum(counts.get(state, 0) for state in query.states)
    counted = ranking_rows.num_matching(tx, study.id, query, most=MAX_COUNTED)
    return counted if counted <= MAX_COUNTED else None
