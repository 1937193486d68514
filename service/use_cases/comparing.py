"""Several studies side by side: how they came to their best values, and what differs in their set-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caviar.contract.catalogue import (
    MAX_COMPARED,
    ComparedStudy,
    Distribution,
    SetupDifference,
    StudyComparison,
)
from caviar.contract.errors import FieldError, InvalidRequest, NotFound
from caviar.contract.study import StudySpec
from caviar.contract.views import StudyView
from service.domain.principal import Right
from service.store import catalogue, improvements
from service.store.transaction import Transaction
from service.use_cases import access, overview
from service.use_cases.specs import parsed

_MAX_POINTS = 200
# What says nothing about how a study searches.
_PASSED_OVER = frozenset({"name", "tags"})


def compare(tx: Transaction, names: Sequence[str]) -> StudyComparison:
    """Studies side by side, in the order of their names here.

    Args:
        names: 2 to 6 different ones.
    Raises:
        InvalidRequest: There are fewer or more names, or one comes twice (422).
        NotFound: There is no study of one of the names (404).
    """
    access.check(tx, Right.READ)
    _check(names)
    rows = {row.name: row for row in catalogue.named(tx, names)}
    if missing := [name for name in names if name not in rows]:
        raise NotFound(f"received the study name {missing[0]!r}, but no study has this name")
    specs = [parsed(rows[name].spec_text) for name in names]
    views = overview.views(tx, [(rows[name], spec) for name, spec in zip(names, specs, strict=True)])
    gains = improvements.of_studies(tx, [row.id for row in rows.values()])
    items = [
        ComparedStudy(
            **{field: getattr(view, field) for field in ComparedStudy.model_fields if field in StudyView.model_fields},
            history=[overview.improvement(stored) for stored in gains.get(rows[view.name].id, [])],
            distribution=_distribution(tx, rows[view.name].id),
        )
        for view in views
    ]
    return StudyComparison(items=items, differences=differences(specs))


def differences(specs: Sequence[StudySpec]) -> list[SetupDifference]:
    """What is not the same in all of these studies, in the order of their bodies."""
    flat = [_flat(spec.model_dump(mode="json", exclude=set(_PASSED_OVER))) for spec in specs]
    fields = list(dict.fromkeys(field for body in flat for field in body))
    rows = {field: [body.get(field) for body in flat] for field in fields}
    return [
        SetupDifference(field=field, values=values)
        for field, values in rows.items()
        if len({_key(value) for value in values}) > 1
    ]


def _check(names: Sequence[str]) -> None:
    expected = f"the names of 2 to {MAX_COMPARED} different studies, each as `study=NAME`"
    if not 2 <= len(names) <= MAX_COMPARED:
        received = f"{len(names)} {'name' if len(names) == 1 else 'names'}"
        field = FieldError(field="study", received=received, expected=expected)
        raise InvalidRequest(f"between 2 and {MAX_COMPARED} studies can be compared", errors=[field])
    if twice := [name for name in names if names.count(name) > 1]:
        field = FieldError(field="study", received=f"{twice[0]!r} twice", expected=expected)
        raise InvalidRequest("a study cannot be compared with itself", errors=[field])


def _distribution(tx: Transaction, study_id: int) -> Distribution:
    amount = catalogue.num_values(tx, study_id)
    taken = catalogue.sorted_values(tx, study_id, stride=-(-amount // _MAX_POINTS) or 1)
    return Distribution(
        num_trials=amount, values=[value for value, _ in taken], shares=[place / amount for _, place in taken]
    )


def _flat(body: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in body.items():
        # A parameter is one thing: its type, range and scale say little apart from each other.
        if isinstance(value, dict) and value and prefix != "space.":
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _key(value: object) -> str:
    # In Python 1, 1.0 and true are equal; as choices of a parameter 1 and true are two.
    return repr(value)
