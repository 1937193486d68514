"""Creating, cloning and editing studies, and checking them before anything is stored."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import JsonValue, ValidationError

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
from caviar.contract.study import Budget, BudgetEdit, StudyEdit, StudySpec
from caviar.contract.views import StudyView
from service.domain.principal import Right
from service.search.registry import build_pruner, build_sampler
from service.store import spaces, studies, workers
from service.store.transaction import Record, Transaction
from service.use_cases import access, auditing, ending, importing, reading
from service.use_cases.creating import create_trial
from service.use_cases.standing import require_live

_LATER = {name: StudySpec.model_fields[name].default for name in ("checkpoints", "requires", "priority")}


def create(tx: Transaction, spec: StudySpec, *, source: str | None = None) -> tuple[StudyView, bool]:
    """Store a study.

    Args:
        tx: The transaction.
        spec: As it was submitted.
        source: Name of the study that it is a clone of.
    Returns:
        The study, and whether it is new: the same body again finds the study that it created before.
    Raises:
        StudyExists: Another body was submitted under this name (409).
        InvalidRequest: Options do not fit the objective, the strategy or the pruner, or a study to begin with is
            missing or of another kind (422).
        UnknownObjective: Nobody offers the objective (422).
        Forbidden: Who acts may create none of this name (403).
    """
    access.new_study(tx, spec.name)
    digest = _digest(spec)
    if _submitted_before(tx, spec.name, digest):
        return reading.study(tx, spec.name), False
    checked = check(tx, spec)
    study_id = studies.add(tx, name=spec.name, spec=checked.model_dump(mode="json"), digest=digest)
    auditing.record(tx, "study.create", f"study:{spec.name}", **_told(source=source))
    tx.emit(study_id, "study_created", name=spec.name, state=StudyState.RUNNING, spec=checked.model_dump(mode="json"))
    importing.warm_start(tx, study_id, checked)
    return reading.study(tx, spec.name), True


def _told(*, source: str | None) -> dict[str, JsonValue]:
    return {} if source is None else {"source": source}


def _submitted_before(tx: Transaction, name: str, digest: str) -> bool:
    existing = studies.find(tx, name)
    if existing is not None and existing.submitted_digest != digest:
        raise StudyExists(
            f"received a study named {name!r}, but another study has this name; "
            "choose another name, or delete the old study first"
        )
    return existing is not None


def _digest(spec: StudySpec) -> str:
    body = spec.model_dump(mode="json")
    # What later versions added is left out while it says nothing: a body keeps its digest when the service is updated.
    if not body["warm_start"]:
        del body["warm_start"]
    if body["budget"]["max_stagnant_trials"] is None:
        del body["budget"]["max_stagnant_trials"]
    for name, default in _LATER.items():
        if getattr(spec, name) == default:
            del body[name]
    canonical = json.dumps(body, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def check(tx: Transaction, spec: StudySpec) -> StudySpec:
    """Check a study against the objective, the sampler and the pruner that it names.

    Returns:
        The study with its search space filled in.
    Raises:
        InvalidRequest: Options do not fit (422).
        UnknownObjective: Nobody offers the objective (422).
    """
    access.check(tx, Right.CONTROL)
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
    """Change limits, search space and tags of a study that is still running or paused.

    A new search space is a new version of it. Trials stay as they are, those that wait are trained; of those that do
    not fit the new space, the strategy learns nothing.

    Raises:
        NotFound: There is no such study (404).
        StateConflict: The study has ended (409).
        InvalidRequest: The new limits are none, or the new space does not fit the objective, the strategy or the
            pruner (422).
    """
    study = access.study(tx, name, Right.CONTROL, is_locked=True)
    require_live(study)
    spec = StudySpec.model_validate(study.spec)
    changes: dict[str, Any] = {}
    if body.budget is not None:
        changes["budget"] = _limits(spec, body.budget)
    if body.tags is not None:
        changes["tags"] = body.tags
    if body.space is not None:
        changes["space"] = body.space
    for field in ("priority", "requires", "checkpoints"):
        if getattr(body, field) is not None:
            changes[field] = getattr(body, field)
    edited = spec.model_copy(update=changes)
    version = _space_version(tx, study, edited)
    stored = edited.model_dump(mode="json")
    studies.change(tx, study.id, spec=stored, priority=edited.priority, space_version=version)
    auditing.record(tx, "study.edit", f"study:{name}", **body.model_dump(mode="json", exclude_unset=True))
    tx.emit(study.id, "study_edited", state=study.state, spec=stored, space_version=version)
    ending.settle_study(tx, study.id)
    return reading.study(tx, name)


def _limits(spec: StudySpec, edit: BudgetEdit) -> Budget:
    # Only limits that were sent are changed; an explicit null lifts a limit.
    given = {field: getattr(edit, field) for field in edit.model_fields_set}
    limits = {**spec.budget.model_dump(), **given}
    try:
        return Budget.model_validate(limits)
    except ValidationError as error:
        refused = field_errors(error, limits, prefix="budget")
        raise InvalidRequest("with these limits the study would never end", errors=refused) from None


def _space_version(tx: Transaction, study: Record, edited: StudySpec) -> int:
    old = study.spec["space"]
    new = edited.model_dump(mode="json")["space"]
    # As texts they also differ in the order of parameters, which coordinates follow, and in whether a choice is 1 or
    # true.
    if json.dumps(new) == json.dumps(old):
        return int(study.space_version)
    check(tx, edited)
    spaces.add(tx, study.id, version=study.space_version, space=old)
    return int(study.space_version) + 1


def clone(tx: Transaction, name: str, new_name: str) -> StudyView:
    """Start a study afresh under another name.

    Raises:
        NotFound: There is no such study (404).
        StudyExists: The new name is taken by another study (409).
    """
    spec = StudySpec.model_validate(access.study(tx, name).spec)
    return create(tx, spec.model_copy(update={"name": new_name}), source=name)[0]


def enqueue(tx: Transaction, name: str, params: dict[str, Any]) -> int:
    """Store a hand-made configuration, to be trained before new proposals.

    Returns:
        The id of its trial.
    Raises:
        NotFound: There is no such study (404).
        StateConflict: The study has ended, or its budget of trials is spent (409).
        InvalidRequest: The configuration does not fit the search space (422).
    """
    study = access.study(tx, name, Right.CONTROL, is_locked=True)
    require_live(study)
    spec = StudySpec.model_validate(study.spec)
    if spec.space is None:
        raise StateConflict(f"study {name!r} has no search space")
    checked = spec.space.check(params)
    limit = ending.limit_reached(tx, study, spec)
    if limit is not None:
        raise StateConflict(f"the budget of study {name!r} is spent ({limit}); raise it first")
    trial_id = int(create_trial(tx, study, checked, origin="enqueued").id)
    auditing.record(tx, "trial.enqueue", f"trial:{trial_id}", study=name)
    return trial_id
