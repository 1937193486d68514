"""What the form is filled in with at first."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from pydantic import ValidationError

from caviar.contract import study_text
from caviar.contract.errors import FieldError, InvalidRequest, field_errors
from caviar.contract.space import Space
from caviar.contract.study import ObjectiveRef, StudySpec
from service.store.transaction import Transaction
from service.use_cases import drafting, submitting
from service.web.forms.draft import Draft
from service.web.forms.filling import filled, space_rows
from service.web.forms.offers import SUGGESTED_CONFIG

_NO_LETTERS = re.compile(r"[^a-z0-9]+")
_NUMBERED = re.compile(r"-[0-9]+$")


def from_objective(tx: Transaction, name: str) -> Draft:
    """A first study of an objective: its default space, and what studies do unless told otherwise.

    Raises:
        InvalidRequest: Nobody offers the objective (422).
    """
    offered = submitting.offered_objectives(tx)
    if name not in offered:
        expected = f"one of {', '.join(sorted(offered))}"
        error = FieldError(field="objective", received=name, expected=expected)
        raise InvalidRequest(f"no worker offers the objective {name[:100]!r}", errors=[error])
    objective = ObjectiveRef(name=name, config=dict(SUGGESTED_CONFIG.get(name, {})))
    return filled(StudySpec(name=drafting.free_name(tx, _stem(name)), objective=objective), offered[name])


def from_study(tx: Transaction, name: str) -> Draft:
    """Another study with the same fields, under a name that is free.

    Raises:
        NotFound: There is no such study (404).
    """
    spec = drafting.spec_of(tx, name)
    # A copy of digits-2 becomes digits-3, if there is a study digits; one of digits-2026 becomes digits-2026-2.
    whole = _NUMBERED.sub("", name)
    stem = whole if drafting.is_taken(tx, whole) else name
    return filled(spec.model_copy(update={"name": drafting.free_name(tx, stem)}))


def from_text(tx: Transaction, text: str) -> Draft:
    """The study that a text in YAML or JSON holds; a name is found for one that has none.

    Raises:
        InvalidRequest: It is neither, or no study (422).
    """
    body = _parsed(text)
    objective = body.get("objective")
    kind = objective.get("name") if isinstance(objective, dict) else None
    if "name" not in body:
        body["name"] = drafting.free_name(tx, _stem(kind if isinstance(kind, str) else "study"))
    try:
        spec = StudySpec.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest("this study cannot be accepted as it is", errors=field_errors(error, body)) from None
    return filled(spec, submitting.offered_objectives(tx).get(spec.objective.name))


def _parsed(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text) if text.lstrip().startswith("{") else study_text.load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        words = " ".join(str(error).replace('in "<unicode string>", ', "").split())[:300]
        raise InvalidRequest(f"the text is neither YAML nor JSON: {words}") from None
    if not isinstance(body, dict):
        what = "nothing" if body is None else f"a {type(body).__name__}"
        raise InvalidRequest(f"the text holds {what}, expected the fields of a study, at least objective")
    return body


def change_objective(tx: Transaction, draft: Draft) -> None:
    """Follow another choice of the objective: what was suggested for the old one makes room, what was typed stays."""
    offered = submitting.offered_objectives(tx)
    name = draft.text("objective.name")
    stems = {_stem(other) for other in offered}
    if _NUMBERED.sub("", draft.text("name")) in stems:
        draft.texts["name"] = drafting.free_name(tx, _stem(name))
    if _rows(draft, "config") in [[], *(_config_rows(other) for other in offered)]:
        draft.replace("config", _config_rows(name))
    if _rows(draft, "space") in [[], *(_space_rows(space) for space in offered.values())]:
        draft.replace("space", _space_rows(offered.get(name)))


def use_default_space(tx: Transaction, draft: Draft) -> None:
    """Put the default space of the objective in place of the parameters."""
    draft.replace("space", _space_rows(submitting.offered_objectives(tx).get(draft.text("objective.name"))))


def _rows(draft: Draft, table: str) -> list[dict[str, str]]:
    return list(draft.rows[table].values())


def _config_rows(objective: str) -> list[dict[str, str]]:
    blank = Draft()
    blank.replace("config", ({"name": key, "value": str(value)} for key, value in _suggested(objective).items()))
    return _rows(blank, "config")


def _suggested(objective: str) -> dict[str, Any]:
    return dict(SUGGESTED_CONFIG.get(objective, {}))


def _space_rows(space: Space | None) -> list[dict[str, str]]:
    blank = Draft()
    blank.replace("space", space_rows(space) if space else ())
    return _rows(blank, "space")


def _stem(objective: str) -> str:
    """A slug for a first study: the objective, and the data that it begins with."""
    words = [objective, *map(str, _suggested(objective).values())]
    return _NO_LETTERS.sub("-", "-".join(words).lower()).strip("-")[:60] or "study"
