"""Trials that are offered for an import: another study's, or those that a request holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import ImportedTrial, ImportTrials, StudySpec
from service.domain import transfer
from service.store import imports, measurements, studies
from service.store.transaction import Record, Transaction
from service.use_cases import access

# Of one transaction: other writes wait no longer than these take.
_MAX_TRIALS = 500
_MAX_EPOCHS = 10_000

Reading = Callable[[], AbstractContextManager[Transaction]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trial that is offered.

    Attributes:
        position: Its place among all that are offered.
        number: Its number where it comes from.
        config: Fixed options that it was trained with; None if they are not known.
        curve: Its values by epoch, epochs rising.
        elapsed_s: Seconds that it was trained for; None if that is not known.
        trial_id: Where its metrics are stored; None if the curve is all.
        refusal: Why it is out of the question; None if it is not.
    """

    position: int
    number: int | None
    params: Mapping[str, Any]
    config: Mapping[str, Any] | None
    state: TrialState
    stop_reason: StopReason | None
    num_epochs: int
    curve: Mapping[int, float]
    elapsed_s: float | None = None
    trial_id: int | None = None
    refusal: str | None = None


def portions(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """Candidates in portions, each small enough for one transaction."""
    portion: list[Candidate] = []
    num_epochs = 0
    for candidate in candidates:
        portion.append(candidate)
        num_epochs += len(candidate.curve)
        if len(portion) == _MAX_TRIALS or num_epochs >= _MAX_EPOCHS:
            yield portion
            portion, num_epochs = [], 0
    if portion:
        yield portion


def find_source(tx: Transaction, spec: StudySpec, name: str, *, field: str) -> Record:
    """The study that another one takes trials from.

    Args:
        tx: Reads it.
        spec: The study that takes them.
        name: Of the source.
        field: What names the source in the request.
    Raises:
        InvalidRequest: There is no such study, or it compares or trains something else (422).
    """
    row = studies.find(tx, name) if access.sees(tx, name) else None
    if row is None or name == spec.name:
        error = FieldError(field=field, received=name, expected="the name of another study of this service")
        raise InvalidRequest(f"there is no other study named {name!r} to import from", errors=[error])
    other = StudySpec.model_validate(row.spec)
    errors = transfer.disagreements(
        spec, metric=other.metric, objective=other.objective, space=other.space, field=field
    )
    if errors:
        raise InvalidRequest(f"study {name!r} compares or trains something else", errors=errors)
    return row


def require_agreement(spec: StudySpec, body: ImportTrials, *, field: str) -> None:
    """Refuse trials of a study that compares or trains something else.

    Raises:
        InvalidRequest: They are (422).
    """
    errors = transfer.disagreements(spec, metric=body.metric, objective=body.objective, space=None, field=field)
    if errors:
        raise InvalidRequest("the trials come from a study that compares or trains something else", errors=errors)


def from_study(reading: Reading, source: Record) -> Iterator[Candidate]:
    """All trials of a study, in the order of their numbers.

    Args:
        reading: Opens a transaction to read with.
        source: The study's row.
    """
    config, first = source.spec["objective"]["config"], 0
    while True:
        with reading() as tx:
            rows = imports.portion(tx, source.id, first=first, limit=_MAX_TRIALS)
            if not rows:
                return
            curves: dict[int, dict[int, float]] = {}
            for point in measurements.curves(tx, source.id, first=first, last=rows[-1].number):
                curves.setdefault(point.trial_id, {})[point.epoch] = point.value
        for row in rows:
            yield Candidate(
                position=row.number,
                number=row.number,
                params=row.params,
                config=config,
                state=TrialState(row.state),
                stop_reason=StopReason(row.stop_reason) if row.stop_reason else None,
                num_epochs=row.num_epochs,
                curve=curves.get(row.id, {}),
                elapsed_s=row.elapsed_s,
                trial_id=row.id,
            )
        first = rows[-1].number + 1


def from_items(spec: StudySpec, body: ImportTrials) -> Iterator[Candidate]:
    """The trials that a request holds, in its order."""
    config = None if body.objective is None else body.objective.config
    for position, item in enumerate(body.items or ()):
        curve = _curve(spec, item)
        yield Candidate(
            position=position,
            number=item.number,
            params=item.params,
            config=config,
            state=item.state,
            stop_reason=item.stop_reason,
            num_epochs=max(item.num_epochs or 0, *curve, 0),
            curve=curve,
            refusal=_contradiction(spec, item),
        )


def _curve(spec: StudySpec, item: ImportedTrial) -> dict[int, float]:
    values = dict(sorted((int(epoch), value) for epoch, value in item.epochs.items()))
    if not values and item.value is not None:
        # A result of unknown age must not pass for one of the first epochs: all rungs would be measured by it.
        return {item.best_epoch or item.num_epochs or spec.budget.max_epochs: item.value}
    return values


def _contradiction(spec: StudySpec, item: ImportedTrial) -> str | None:
    if item.value is None or not item.epochs:
        return None
    best = min(item.epochs.values()) if spec.metric.direction == "minimize" else max(item.epochs.values())
    return None if best == item.value else f"value: received {item.value!r}, but the best of its epochs is {best!r}"
