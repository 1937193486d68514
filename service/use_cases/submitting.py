"""Creating, cloning and editing studies, and checking them before anything is stored."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import ValidationError

from caviar.contract.errors import (
    FieldError,
    InvalidRequest,
    StateConflict,
    StudyExists,
    UnknownObjective,
    field_errors,
)
from caviar.contract.objectives import BUILT_IN
from caviar.contract.space import Space
from caviar.contract.states import StudyState
from caviar.contract.study import Budget, StudyEdit, StudySpec
from caviar.contract.views import StudyView
from service.domain import rules
from service.search.registry import build_pruner, build_sampler
from service.store import studies, workers
from service.store.transaction import Record, Transaction
from service.use_cases import ending, reading
from service.use_cases.creating import create_trial


def create(tx: Transaction, spec: StudySpec) -> tuple[StudyView, bool]:
    """Store a study.

    Args:
        spec: As it was submitted.
    Returns:
        The study, and whether it is new: the same body again finds the study that it created before.
    Raises:
        StudyExists: Another body was submitted under this name (409).
        InvalidRequest: Options do not fit the objective, the strategy or the pruner (422).
        UnknownObjective: Nobody offers the objective (422).
    """
    digest = _digest(spec)
    if _submitted_before(tx, spec.name, digest):
        return reading.study(tx, spec.name), False
    checked = check(tx, spec)
    study_id = studies.add(tx, name=spec.name, spec=checked.model_dump(mode="json"), digest=digest)
    if study_id is None:  # Another process was faster.
        _submitted_before(tx, spec.name, digest)
        return reading.study(tx, spec.name), False
    tx.emit(study_id, "study_created", name=spec.name, state=StudyState.RUNNING)
    return reading.study(tx, spec.name), True


def _submitted_before(tx: Transaction, name: str, digest: str) -> bool:
    existing = studies.find(tx, name)
    if existing is not None and existing.submitted_digest != digest:
        raise StudyExists(
            f"received a study named {name!r}, but another study has this name; "
            "choose another name, or delete the old study first"
        )
    return existing is not None


def _digest(spec: StudySpec) -> str:
    canonical = json.dumps(spec.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def check(tx: Transaction, spec: StudySpec) -> StudySpec:
    """Check a study against the objective, the sampler and the pruner that it names.

    Returns:
        The study with its search space filled in.
    Raises:
        InvalidRequest: Options do not fit (422).
        UnknownObjective: Nobody offers the objective (422).
    """
    name = spec.objective.name
    offered = offered_objectives(tx)
    if name not in offered:
        field = FieldError(
            field="objective.name",
            received=name,
            expected=f"one of {', '.join(sorted(offered))}; start a worker that offers it, then submit again",
        )
        raise UnknownObjective(f"no worker offers the objective {name!r}", errors=[field])
    space = spec.space or offered[name]
    if space is None:
        field = FieldError(
            field="space", received="nothing", expected=f"a search space, because {name} has no default one"
        )
        raise InvalidRequest("the study has no search space", errors=[field])
    built_in = BUILT_IN.get(name)
    errors = [] if built_in is None else built_in.check(spec.objective.config, space)
    if errors:
        raise InvalidRequest(f"the study does not fit the objective {name!r}", errors=errors)
    checked = spec.model_copy(update={"space": space})
    build_sampler(checked)
    build_pruner(checked)
    return checked


def offered_objectives(tx: Transaction) -> dict[str, Space | None]:
    """Default space, if any, of every objective that is built in or that a registered worker offers."""
    offered: dict[str, Space | None] = {name: objective.space for name, objective in BUILT_IN.items()}
    for row in workers.offers(tx):
        for offer in row.objectives:
            # The newest worker comes first; what is built in is the same everywhere.
            if offered.get(offer["name"]) is None:
                space = offer.get("space")
                offered[offer["name"]] = None if space is None else Space.model_validate(space)
    return offered


def edit(tx: Transaction, name: str, body: StudyEdit) -> StudyView:
    """Change limits and tags of a study that is still running or paused.

    Raises:
        NotFound: There is no such study (404).
        StateConflict: The study has ended (409).
        InvalidRequest: The new limits are none (422).
    """
    study = studies.get(tx, name, is_locked=True)
    require_live(study)
    spec = StudySpec.model_validate(study.spec)
    changes: dict[str, Any] = {}
    if body.budget is not None:
        # Only limits that were sent are changed; an explicit null lifts a limit.
        given = {field: getattr(body.budget, field) for field in body.budget.model_fields_set}
        limits = {**spec.budget.model_dump(), **given}
        try:
            changes["budget"] = Budget.model_validate(limits)
        except ValidationError as error:
            refused = field_errors(error, limits, prefix="budget")
            raise InvalidRequest("with these limits the study would never end", errors=refused) from None
    if body.tags is not None:
        changes["tags"] = body.tags
    edited = spec.model_copy(update=changes)
    studies.change(tx, study.id, spec=edited.model_dump(mode="json"))
    tx.emit(study.id, "study_edited", state=study.state)
    ending.settle_study(tx, study.id)
    return reading.study(tx, name)


def clone(tx: Transaction, name: str, new_name: str) -> StudyView:
    """Start a study afresh under another name.

    Raises:
        NotFound: There is no such study (404).
        StudyExists: The new name is taken by another study (409).
    """
    spec = StudySpec.model_validate(studies.get(tx, name).spec)
    return create(tx, spec.model_copy(update={"name": new_name}))[0]


def enqueue(tx: Transaction, name: str, params: dict[str, Any]) -> int:
    """Store a hand-made configuration, to be trained before new proposals.

    Returns:
        The id of its trial.
    Raises:
        NotFound: There is no such study (404).
        StateConflict: The study has ended, or its budget of trials is spent (409).
        InvalidRequest: The configuration does not fit the search space (422).
    """
    study = studies.get(tx, name, is_locked=True)
    require_live(study)
    spec = StudySpec.model_validate(study.spec)
    if spec.space is None:
        raise StateConflict(f"study {name!r} has no search space")
    checked = spec.space.check(params)
    limit = rules.exhausted(
        spec.budget,
        num_trials=study.num_trials,
        num_epochs=study.num_epochs,
        created_at=study.created_at,
        now=tx.now,
    )
    if limit is not None:
        raise StateConflict(f"the budget of study {name!r} is spent ({limit}); raise it first")
    return create_trial(tx, study.id, study.num_trials, checked, origin="enqueued", round_number=None)


def require_live(study: Record) -> None:
    """Refuse a study that has ended.

    Raises:
        StateConflict: It has (409).
    """
    if StudyState(study.state).is_finished:
        raise StateConflict(
            f"study {study.name!r} has ended ({study.end_reason}) and cannot be changed; clone it instead"
        )
