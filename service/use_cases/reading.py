"""What people see: stored rows as the contract's views."""

from __future__ import annotations

from typing import Any

from caviar.contract.objectives import BUILT_IN
from caviar.contract.space import Space
from caviar.contract.study import Metric, StudySpec
from caviar.contract.views import (
    ArtifactView,
    AttemptView,
    Curve,
    Curves,
    DecisionView,
    EventView,
    History,
    Measurements,
    MeasurementView,
    Objectives,
    ObjectiveView,
    Rounds,
    RoundView,
    Spaces,
    SpaceVersion,
    StudyView,
    TrialDetail,
    TrialPage,
    TrialView,
)
from service.domain import rules
from service.domain.principal import Right
from service.store import artifacts as artifact_rows
from service.store import imports, improvements, leases, trials
from service.store import measurements as measurement_rows
from service.store import rounds as round_rows
from service.store import spaces as space_rows
from service.store import workers as worker_rows
from service.store.transaction import Event, Record, Transaction
from service.use_cases import access, overview


def study(tx: Transaction, name: str) -> StudyView:
    """A study by name.

    Raises:
        NotFound: There is none (404).
    """
    row = access.study(tx, name)
    return overview.views(tx, [(row, StudySpec.model_validate(row.spec))])[0]


def trial_facts(row: Record, spec: StudySpec) -> dict[str, Any]:
    """The fields of `TrialView`, from a row that also tells the name of its worker."""
    stored = row._mapping
    same = ("number", "state", "stop_reason", "evidence", "origin", "round", "params", "value", "best_epoch")
    also = (
        "num_epochs",
        "attempt",
        "checkpoint_epoch",
        "space_version",
        "error",
        "tags",
        "note",
        "created_at",
        "started_at",
        "ended_at",
    )
    return {
        **{name: stored[name] for name in (*same, *also)},
        "trial_id": row.id,
        "study": spec.name,
        "max_epochs": spec.budget.max_epochs,
        "seed": rules.derived_seed(spec.seed, "training", row.number),
        "worker": row.worker_name,
        "duration_s": row.elapsed_s,
    }


def list_trials(tx: Transaction, name: str, *, limit: int = 100, after: int | None = None) -> TrialPage:
    """Trials of a study in the order of their numbers.

    Args:
        limit: At most this many.
        after: Number of the last trial of the page before.
    """
    row = access.study(tx, name)
    spec = StudySpec.model_validate(row.spec)
    found = trials.page(tx, row.id, limit=limit + 1, after=after)
    items = [TrialView(**trial_facts(trial, spec)) for trial in found[:limit]]
    return TrialPage(items=items, next_after=items[-1].number if len(found) > limit else None)


def trial(tx: Transaction, trial_id: int) -> TrialDetail:
    """A trial with its attempts and the decisions about it.

    Raises:
        NotFound: There is none (404).
    """
    row = access.trial(tx, trial_id, find=trials.shown)
    spec = StudySpec.model_validate(row.study_spec)
    attempts = [
        AttemptView(
            attempt=attempt.attempt,
            worker_id=attempt.worker_id,
            worker=attempt.worker_name or attempt.worker_id,
            first_epoch=attempt.first_epoch,
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
            end=attempt.end,
            outcome=attempt.outcome,
            error=attempt.error,
            evidence=attempt.evidence,
            facts=attempt.facts,
            log_tail=attempt.log_tail,
        )
        for attempt in leases.attempts_of(tx, trial_id)
    ]
    decisions = _decisions(tx, trial_id, attempts)
    return TrialDetail(
        **trial_facts(row, spec),
        metric=spec.metric,
        attempts=attempts,
        decisions=decisions,
        artifacts=[artifact(kept) for kept in artifact_rows.of_trial(tx, trial_id)],
        as_of_seq=row.as_of_seq,
    )


def artifact(row: Record) -> ArtifactView:
    """A file of a trial."""
    return ArtifactView(
        kind=row.kind, epoch=row.epoch, size_bytes=row.size_bytes, sha256=row.sha256, created_at=row.created_at
    )


def _decisions(tx: Transaction, trial_id: int, attempts: list[AttemptView]) -> list[DecisionView]:
    found = [
        DecisionView(
            attempt=item.attempt,
            epoch=item.first_epoch - 1,
            decision="promote",
            evidence=item.evidence,
            at=item.started_at,
        )
        for item in attempts
        if item.evidence is not None
    ]
    found += [
        DecisionView(
            attempt=row.attempt, epoch=row.epoch, decision=row.decision, evidence=row.evidence or {}, at=row.reported_at
        )
        for row in measurement_rows.of_trial(tx, trial_id, is_current=False)
        if row.decision is not None
    ]
    return sorted(found, key=lambda decision: (decision.attempt, decision.epoch))


def measurements(tx: Transaction, trial_id: int, *, is_current: bool = True) -> Measurements:
    """Epochs of a trial: its curve, or those of all attempts.

    Raises:
        NotFound: There is no such trial (404).
    """
    access.trial(tx, trial_id)
    items = [
        MeasurementView(
            attempt=row.attempt,
            epoch=row.epoch,
            metrics=row.metrics,
            elapsed_s=row.elapsed_s,
            reported_at=row.reported_at,
        )
        for row in measurement_rows.of_trial(tx, trial_id, is_current=is_current)
    ]
    return Measurements(trial_id=trial_id, items=items)


def curves(tx: Transaction, name: str, *, limit: int = 500, after: int | None = None) -> Curves:
    """Learning curves of the study's metric in the order of trial numbers.

    Args:
        limit: At most this many trials.
        after: Number of the last trial of the page before.
    """
    row = access.study(tx, name)
    metric = Metric.model_validate(row.spec["metric"])
    found = trials.page(tx, row.id, limit=limit + 1, after=after)
    shown = found[:limit]
    points: dict[int, tuple[list[int], list[float]]] = {item.id: ([], []) for item in shown}
    if shown:
        stored = measurement_rows.curves(tx, row.id, first=shown[0].number, last=shown[-1].number)
        for point in stored:
            points[point.trial_id][0].append(point.epoch)
            points[point.trial_id][1].append(point.value)
    items = [
        Curve(
            trial_id=item.id,
            number=item.number,
            state=item.state,
            stop_reason=item.stop_reason,
            epochs=points[item.id][0],
            values=points[item.id][1],
        )
        for item in shown
    ]
    next_after = shown[-1].number if len(found) > limit else None
    return Curves(study=name, metric=metric, items=items, next_after=next_after)


def rounds(tx: Transaction, name: str) -> Rounds:
    """Rounds of a study's strategy, the oldest first."""
    row = access.study(tx, name)
    items = [RoundView.model_validate(dict(stored._mapping)) for stored in round_rows.of_study(tx, row.id)]
    return Rounds(study=name, items=items)


def history(tx: Transaction, name: str) -> History:
    """How the best value of a study came about.

    Raises:
        NotFound: There is no such study (404).
    """
    row = access.study(tx, name)
    items = [overview.improvement(stored) for stored in improvements.of_study(tx, row.id)]
    return History(
        study=name,
        metric=Metric.model_validate(row.spec["metric"]),
        num_epochs=row.num_epochs,
        created_at=row.created_at,
        ended_at=row.ended_at,
        items=items,
    )


def spaces(tx: Transaction, name: str) -> Spaces:
    """Search spaces of a study, and how many of its trials fit the one in force."""
    row = access.study(tx, name)
    replaced = space_rows.of_study(tx, row.id)
    # A row is written when its space is replaced, which is when the next one comes into force.
    since = [row.created_at, *(stored.created_at for stored in replaced)]
    bodies = [*(stored.space for stored in replaced), row.spec["space"]]
    items = [
        SpaceVersion(version=version, space=body, created_at=at)
        for version, (body, at) in enumerate(zip(bodies, since, strict=True), start=1)
    ]
    known = imports.params(tx, row.id, first=0)
    num_fitting = sum(items[-1].space.fits(params) for params in known)
    return Spaces(study=name, num_trials=len(known), num_fitting=num_fitting, items=items)


def event(stored: Event) -> EventView:
    """An event as people see it."""
    return EventView(seq=stored.seq, kind=stored.kind, at=stored.at, data=dict(stored.data))


def objectives(tx: Transaction, offered: dict[str, Space | None]) -> Objectives:
    """All objectives, by name.

    Args:
        offered: Default space, if any, of each.
    """
    access.check(tx, Right.OVERSEE)
    counts: dict[str, int] = {}
    for row in worker_rows.offers(tx):
        for offer in row.objectives:
            counts[offer["name"]] = counts.get(offer["name"], 0) + 1
    items = [
        ObjectiveView(name=name, built_in=name in BUILT_IN, space=space, workers=counts.get(name, 0))
        for name, space in sorted(offered.items())
    ]
    return Objectives(items=items)
