"""Steering rounds: a person sets the windows that a strategy draws from next."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping

from caviar.contract.errors import FieldError, InvalidRequest, NotFound, StateConflict
from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter, Space
from caviar.contract.study import OpenRound, StudySpec, WindowEdit
from caviar.contract.views import RoundView, WindowView
from caviar.contract.wording import nearest
from service.domain.principal import Right
from service.search.carrying import carried_windows, natural_window
from service.search.samplers.coarse_to_fine import CoarseToFineSampler
from service.search.windows import whole_space
from service.store import rounds
from service.store.transaction import Record, Transaction
from service.use_cases import access, auditing
from service.use_cases.creating import open_round
from service.use_cases.service import Service
from service.use_cases.standing import require_live

_REASON = "set by hand"


async def open_by_hand(service: Service, name: str, body: OpenRound) -> RoundView:
    """Open the next round of a study with windows that a person has set.

    Raises:
        NotFound: There is no such study (404).
        StateConflict: It has ended, or its strategy knows no rounds (409).
        InvalidRequest: A window does not fit the search space (422).
    """
    study_id = await asyncio.to_thread(_study_id, service, name)
    try:
        search = await asyncio.to_thread(service.searches.of, study_id)
    except LookupError:
        raise NotFound(f"the study {name!r} was just deleted") from None
    # A proposal that is under way may open a round of the same number.
    async with search.steps.lock:
        return await service.submit(lambda tx: _open(tx, name, body))


def _study_id(service: Service, name: str) -> int:
    with service.reading() as tx:
        return int(access.study(tx, name, Right.CONTROL).id)


def _open(tx: Transaction, name: str, body: OpenRound) -> RoundView:
    study = access.study(tx, name, Right.CONTROL, is_locked=True)
    require_live(study)
    spec = StudySpec.model_validate(study.spec)
    earlier = rounds.of_study(tx, study.id)
    if spec.space is None or not (earlier or spec.strategy.kind == CoarseToFineSampler.kind):
        raise StateConflict(
            f"the strategy {spec.strategy.kind} of study {name!r} has no rounds; {CoarseToFineSampler.kind} has"
        )
    errors = list(_refused(spec.space, body.windows))
    if errors:
        raise InvalidRequest(f"{len(errors)} window(s) do not fit the search space", errors=errors)
    windows = _kept(spec.space, earlier[-1] if earlier else None)
    windows |= {name: _window(spec.space, name, edit) for name, edit in body.windows.items()}
    opened = RoundView(
        number=len(earlier),
        first_trial=study.num_trials,
        origin="manual",
        windows={name: windows[name] for name in spec.space.names},
        opened_at=tx.now,
    )
    open_round(tx, study.id, opened)
    auditing.record(tx, "round.open", f"study:{name}", number=opened.number)
    return opened


def _refused(space: Space, windows: Mapping[str, WindowEdit]) -> Iterator[FieldError]:
    for name, edit in windows.items():
        field = f"windows.{name}"
        if name not in space:
            expected = f"the name of a parameter of the search space{nearest(name, space.names)}"
            yield FieldError(field=field, received=name, expected=expected)
        elif isinstance(parameter := space[name], CategoricalParameter):
            yield from _refused_weights(field, parameter, edit)
        else:
            yield from _refused_range(field, parameter, edit)


def _refused_range(field: str, parameter: FloatParameter | IntParameter, edit: WindowEdit) -> Iterator[FieldError]:
    if edit.weights is not None or edit.low is None or edit.high is None:
        yield FieldError(field=field, received=edit.model_dump(exclude_none=True), expected="low and high, and no more")
        return
    for end, value in (("low", edit.low), ("high", edit.high)):
        if not parameter.low <= value <= parameter.high:
            expected = f"a number in [{parameter.low}, {parameter.high}]; edit the search space to go beyond it"
            yield FieldError(field=f"{field}.{end}", received=value, expected=expected)
    if edit.low >= edit.high:
        yield FieldError(field=f"{field}.low", received=edit.low, expected=f"a number below high ({edit.high})")


def _refused_weights(field: str, parameter: CategoricalParameter, edit: WindowEdit) -> Iterator[FieldError]:
    if edit.weights is None or edit.low is not None or edit.high is not None:
        yield FieldError(field=field, received=edit.model_dump(exclude_none=True), expected="weights, and no more")
        return
    known = [_text(choice) for choice in parameter.choices]
    for text, weight in edit.weights.items():
        if text not in known:
            yield FieldError(field=f"{field}.weights.{text}", received=weight, expected=f"one of {', '.join(known)}")
    if not any(edit.weights.values()):
        yield FieldError(field=f"{field}.weights", received=edit.weights, expected="at least one weight above 0")


def _text(choice: object) -> str:
    return choice if isinstance(choice, str) else json.dumps(choice)


def _window(space: Space, name: str, edit: WindowEdit) -> WindowView:
    parameter = space[name]
    if isinstance(parameter, CategoricalParameter):
        weights = [(edit.weights or {}).get(_text(choice), 0.0) for choice in parameter.choices]
        return WindowView(weights=[weight / sum(weights) for weight in weights], reason=_REASON)
    # Both ends are there: windows without them were refused.
    return natural_window(parameter, float(edit.low or 0.0), float(edit.high or 0.0), _REASON)


def _kept(space: Space, before: Record | None) -> dict[str, WindowView]:
    if before is None:
        return whole_space(space)
    stored = RoundView.model_validate(dict(before._mapping)).windows
    reason = f"kept from round {before.number}"
    return {
        name: window.model_copy(update={"reason": reason}) if name in stored else window
        for name, window in carried_windows(space, stored).items()
    }
