"""What the form's preview shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.preview import Cost
from caviar.contract.space import Params, Space
from caviar.contract.study import StudySpec
from service.domain.principal import Right
from service.search.preview import preview
from service.store.transaction import Transaction
from service.use_cases import access, drafting, importing, submitting
from service.use_cases.service import Service
from service.web.forms import texts
from service.web.forms.advice import Advice, advise
from service.web.forms.draft import Draft
from service.web.forms.pictures import Picture, pictures
from service.web.forms.places import Problem
from service.web.forms.reading import Read, read

NUM_EXAMPLES = 5
MAX_PICTURES = 60
_MAX_CHARACTERS = 30_000
_MAX_DRAWS = 400
_MAX_VALUES = 8000


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a study that can be submitted would do.

    Attributes:
        pictures: How the draws of each parameter are spread.
        examples: Some configurations.
        num_draws: How many were drawn.
        cost: What the study may spend.
        advice: What is worth knowing.
        num_workers: Connected workers that could train it now.
        texts: The study as YAML, JSON, a command and Python, by name.
        space: What it searches.
    """

    pictures: list[Picture]
    examples: list[Params]
    num_draws: int
    cost: Cost
    advice: list[Advice]
    num_workers: int
    texts: dict[str, str]
    space: Space


@dataclass(frozen=True, slots=True)
class Look:
    """The preview of a form.

    Attributes:
        problems: What is wrong.
        drawn: What the study would do; None while something is wrong.
        at: The first problem of each input.
    """

    problems: list[Problem]
    drawn: Drawn | None = None
    at: dict[str, Problem] = field(default_factory=dict)


def look(service: Service, draft: Draft) -> Look:
    """Preview a form."""
    found = read(draft)
    with service.reading() as tx:
        access.check(tx, Right.CONTROL)
        default_space = submitting.offered_objectives(tx).get(draft.text("objective.name"))
        checked = _checked(tx, draft, found)
        num_workers = drafting.num_able_workers(tx, checked, lease_ttl_s=service.lease_ttl_s) if checked else 0
    if checked is None or checked.space is None:
        return refused(found.problems)
    return refused(found.problems, _drawn(draft, checked, checked.space, default_space, num_workers))


def refused(problems: list[Problem], drawn: Drawn | None = None) -> Look:
    """A preview that tells what is wrong."""
    return Look(problems, drawn, {problem.at: problem for problem in reversed(problems) if problem.at})


def _checked(tx: Transaction, draft: Draft, found: Read) -> StudySpec | None:
    if found.spec is None:
        return None
    try:
        checked = submitting.check(tx, found.spec)
        importing.check_warm_start(tx, checked)
    except InvalidRequest as error:
        found.refuse(draft, error.errors)
        return None
    if drafting.is_taken(tx, found.spec.name):
        expected = "a name that no study has"
        found.refuse(draft, [FieldError(field="name", received=found.spec.name, expected=expected)])
        return None
    return checked


def _drawn(draft: Draft, spec: StudySpec, space: Space, default_space: Space | None, num_workers: int) -> Drawn:
    shown = preview(spec, min(_MAX_DRAWS, max(_MAX_VALUES // len(space), 2 * NUM_EXAMPLES)))
    return Drawn(
        pictures=pictures(space, shown.histograms, shown.configurations, MAX_PICTURES),
        examples=shown.configurations[:NUM_EXAMPLES],
        num_draws=len(shown.configurations),
        cost=shown.cost,
        advice=advise(draft, spec, shown.cost.num_configurations),
        num_workers=num_workers,
        texts=_texts(texts.minimal(spec, default_space)),
        space=space,
    )


def _texts(body: dict[str, Any]) -> dict[str, str]:
    written = texts.as_yaml(body)
    if len(written) > _MAX_CHARACTERS:  # Nobody copies that much by hand in four ways.
        return {"YAML": written}
    return {
        "YAML": written,
        "JSON": texts.as_json(body),
        "Command": texts.as_command(body),
        "Python": texts.as_python(body),
    }
