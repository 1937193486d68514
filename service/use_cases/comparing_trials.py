"""Trials of one study side by side."""

from __future__ import annotations

from collections.abc import Sequence

from caviar.contract.errors import FieldError, InvalidRequest, NotFound
from caviar.contract.ranking import MAX_COMPARED, MIN_COMPARED, ComparedTrial, Comparison
from caviar.contract.study import StudySpec
from service.store import measurements
from service.store import ranking as ranking_rows
from service.store.transaction import Transaction
from service.use_cases import access
from service.use_cases.ranking import ranked_rows


def compare(tx: Transaction, name: str, numbers: Sequence[int]) -> Comparison:
    """Trials with their curves, in the order that they were asked for.

    Args:
        numbers: Of two to six different trials of the study.
    Raises:
        NotFound: There is no such study, or no trial of one of these numbers (404).
        InvalidRequest: Too few or too many trials (422).
    """
    study = access.study(tx, name)
    wanted = list(dict.fromkeys(numbers))
    if not MIN_COMPARED <= len(wanted) <= MAX_COMPARED:
        came = ", ".join(map(str, wanted[:20])) or "nothing"
        field = FieldError(
            field="trial",
            received=came,
            expected=f"the numbers of {MIN_COMPARED} to {MAX_COMPARED} different trials, such as trial=3&trial=7",
        )
        raise InvalidRequest(f"{len(wanted)} trials cannot be compared", errors=[field])
    spec = StudySpec.model_validate(study.spec)
    found = ranking_rows.numbered(tx, study.id, wanted)
    if len(found) < len(wanted):
        missing = set(wanted) - {row.number for row in found}
        raise NotFound(f"study {name!r} has no trial {', '.join(map(str, sorted(missing)))}")
    rows, noise = ranked_rows(tx, study, spec, found)
    items = []
    for row in rows:
        curve = measurements.curve(tx, row.trial_id)
        items.append(ComparedTrial(**dict(row), epochs=list(curve), values=list(curve.values())))
    known = list(spec.space.names) if spec.space else []
    names = list(dict.fromkeys([*known, *(name for row in rows for name in row.params)]))
    differing = [one for one in names if len({_told(row.params.get(one)) for row in rows}) > 1]
    return Comparison(study=name, metric=spec.metric, differing=differing, items=items, noise=noise)


def _told(value: object) -> tuple[bool, object]:
    # True equals 1 in Python, but not for people.
    return isinstance(value, bool), value
