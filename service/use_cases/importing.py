"""Importing: trials that were trained elsewhere become trials of a study, which its strategy learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from caviar.contract.errors import NotFound
from caviar.contract.states import EndReason, StudyState, TrialState
from caviar.contract.study import ImportTrials, StudySpec
from caviar.contract.views import Imported, Skipped
from service.domain import rules, transfer
from service.domain.principal import Right
from service.store import imports, improvements, studies
from service.store.transaction import Record, Transaction
from service.use_cases import access, auditing, ending
from service.use_cases.candidates import (
    Candidate,
    find_source,
    from_items,
    from_study,
    portions,
    require_agreement,
)
from service.use_cases.service import Service
from service.use_cases.specs import parsed
from service.use_cases.standing import require_live

_TAKEN = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.PAUSED)


@dataclass(frozen=True, slots=True)
class _Added:
    """What one portion came to.

    Attributes:
        num_known: Trials of the study whose configurations are known to be taken now.
        taken: Their keys, those known before left out.
    """

    num_imported: int
    skipped: list[Skipped]
    num_known: int
    taken: set[Any]


@dataclass(slots=True)
class _Sum:
    """What all portions so far came to; changed only once a portion is committed."""

    num_imported: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    num_known: int = 0
    taken: set[Any] = field(default_factory=set)

    def add(self, added: _Added) -> None:
        self.num_imported += added.num_imported
        self.skipped += added.skipped
        self.num_known = added.num_known
        self.taken |= added.taken


def import_trials(service: Service, name: str, body: ImportTrials) -> Imported:
    """Import another study's trials, or trials in full, portion by portion.

    It may be repeated: what the study has already is skipped.

    Raises:
        NotFound: There is no study of this name (404).
        StateConflict: It has ended (409).
        InvalidRequest: There is no other study of that name, or it compares or trains something else (422).
    """
    with service.reading() as tx:
        study = access.study(tx, name, Right.CONTROL)
        require_live(study)
        spec = StudySpec.model_validate(study.spec)
        if body.study is None:
            require_agreement(spec, body, field="items")
            candidates = from_items(spec, body)
        else:
            source = find_source(tx, spec, body.study, field="study")
            candidates = from_study(service.reading, source)
    total = _import(study.id, candidates, service.write)
    service.write(partial(_finish, name=name, study_id=study.id, total=total, source=body.study))
    return Imported(num_imported=total.num_imported, skipped=total.skipped)


def _finish(tx: Transaction, *, name: str, study_id: int, total: _Sum, source: str | None) -> None:
    _settle(tx, study_id)
    auditing.record(tx, "study.import", f"study:{name}", source=source, num_imported=total.num_imported)


def check_warm_start(tx: Transaction, spec: StudySpec) -> None:
    """Check the studies that a new one begins with.

    Raises:
        InvalidRequest: There is no such study, or it compares or trains something else (422).
    """
    for position, name in enumerate(spec.warm_start):
        find_source(tx, spec, name, field=f"warm_start.{position}")


def warm_start(tx: Transaction, study_id: int, spec: StudySpec) -> None:
    """Give a new study the results of those that it begins with, within the transaction that creates it.

    Raises:
        InvalidRequest: There is no such study, or it compares or trains something else (422).
    """
    sources = [
        find_source(tx, spec, name, field=f"warm_start.{position}") for position, name in enumerate(spec.warm_start)
    ]
    for source in sources:
        _import(study_id, from_study(lambda: nullcontext(tx), source), lambda operation: operation(tx))
    if sources:
        _settle(tx, study_id)


def _import(
    study_id: int, candidates: Iterable[Candidate], write: Callable[[Callable[[Transaction], _Added]], _Added]
) -> _Sum:
    total = _Sum()
    for portion in portions(candidates):
        total.add(write(partial(_add, study_id=study_id, portion=portion, known=total)))
    return total


def _add(tx: Transaction, study_id: int, portion: Sequence[Candidate], known: _Sum) -> _Added:
    study = studies.by_id(tx, study_id, is_locked=True)
    if study is None:
        raise NotFound("the study was deleted while trials were imported")
    require_live(study)
    spec = parsed(study.spec_text)
    # Configurations that came in between two portions count too.
    taken = {transfer.key(params) for params in imports.params(tx, study_id, first=known.num_known)}
    accepted: list[Candidate] = []
    skipped: list[Skipped] = []
    for candidate in portion:
        try:
            fitting = _accepted(candidate, spec)
            key = transfer.key(fitting.params)
            if key in taken or key in known.taken:
                raise transfer.Misfit("the study has a trial of exactly this configuration already")
        except transfer.Misfit as misfit:
            skipped.append(Skipped(position=candidate.position, number=candidate.number, reason=str(misfit)))
        else:
            taken.add(key)
            accepted.append(fitting)
    if accepted:
        _store(tx, study, spec, accepted)
    return _Added(len(accepted), skipped, study.num_trials + len(accepted), taken)


def _accepted(candidate: Candidate, spec: StudySpec) -> Candidate:
    if candidate.state not in _TAKEN:
        raise transfer.Misfit(f"it is {candidate.state}; only complete, pruned and paused trials are imported")
    if not candidate.curve:
        raise transfer.Misfit("it has no value")
    if candidate.refusal is not None:
        raise transfer.Misfit(candidate.refusal)
    return replace(candidate, params=transfer.carried(candidate.params, candidate.config, spec))


def _store(tx: Transaction, study: Record, spec: StudySpec, accepted: Sequence[Candidate]) -> None:
    rows = [_row(tx, study, spec, candidate) for candidate in accepted]
    for number, row in enumerate(rows, start=study.num_trials):
        row["number"] = number
    ids = imports.add_trials(tx, rows)
    _store_curves(tx, spec, [(ids[row["number"]], candidate) for row, candidate in zip(rows, accepted, strict=True)])
    imports.count(tx, study.id, len(rows))
    _gain(tx, study, spec, rows, ids)
    for row, candidate in zip(rows, accepted, strict=True):
        tx.emit(
            study.id,
            "trial_imported",
            trial_id=ids[row["number"]],
            number=row["number"],
            params=row["params"],
            values={str(epoch): value for epoch, value in candidate.curve.items()},
            state=row["state"],
            stop_reason=row["stop_reason"],
        )


def _store_curves(tx: Transaction, spec: StudySpec, taken: Sequence[tuple[int, Candidate]]) -> None:
    stored = [
        {"old_id": candidate.trial_id, "new_id": trial_id, "last_epoch": max(candidate.curve)}
        for trial_id, candidate in taken
        if candidate.trial_id is not None
    ]
    if stored:
        imports.copy_curves(tx, stored)
    told = [
        {
            "trial_id": trial_id,
            "attempt": 0,
            "epoch": epoch,
            "value": value,
            "metrics": {spec.metric.name: value},
            "elapsed_s": 0.0,
            "reported_at": tx.now,
        }
        for trial_id, candidate in taken
        if candidate.trial_id is None
        for epoch, value in candidate.curve.items()
    ]
    if told:
        imports.add_measurements(tx, told)


def _row(tx: Transaction, study: Record, spec: StudySpec, candidate: Candidate) -> dict[str, Any]:
    value, best_epoch = rules.best_of(spec.metric, candidate.curve)
    return {
        "study_id": study.id,
        # A paused trial has no checkpoint here, so it cannot go on: what it has reached is all.
        "state": TrialState.PRUNED if candidate.state is TrialState.PAUSED else candidate.state,
        "stop_reason": candidate.stop_reason,
        "origin": "imported",
        "params": candidate.params,
        "value": value,
        "best_epoch": best_epoch,
        "num_epochs": candidate.num_epochs,
        "space_version": study.space_version,
        "elapsed_s": candidate.elapsed_s,
        "created_at": tx.now,
        "ended_at": tx.now,
    }


def _gain(
    tx: Transaction, study: Record, spec: StudySpec, rows: Sequence[Mapping[str, Any]], ids: Mapping[int, int]
) -> None:
    best, gains = study.best_value, []
    for row in rows:
        if best is None or spec.metric.better(row["value"], best):
            best = row["value"]
            gains.append(
                {
                    "study_id": study.id,
                    "num_epochs": study.num_epochs,
                    "trial_id": ids[row["number"]],
                    "number": row["number"],
                    "attempt": 0,
                    "epoch": row["best_epoch"],
                    "value": best,
                }
            )
    if best is not None and gains:
        studies.gained(tx, study.id, gains[-1]["trial_id"], best)
        improvements.add(tx, gains)


def _settle(tx: Transaction, study_id: int) -> None:
    study = studies.by_id(tx, study_id, is_locked=True)
    if study is None or study.best_value is None or StudyState(study.state).is_finished:
        return
    spec = parsed(study.spec_text)
    if rules.reaches(spec.metric, study.best_value, spec.budget.target):
        ending.end_study(tx, study_id, EndReason.TARGET)
