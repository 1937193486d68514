"""Training the best configurations again, to tell luck from merit."""

from __future__ import annotations

from caviar.contract.errors import StateConflict
from caviar.contract.ranking import Retest, Retested
from caviar.contract.study import StudySpec
from service.domain.principal import Right
from service.store import ranking as ranking_rows
from service.store import studies
from service.store.transaction import Record, Transaction
from service.use_cases import access, auditing, ending, finishing
from service.use_cases.creating import create_trial
from service.use_cases.standing import require_live

# Configurations from before an edit of the space are passed over; so many are looked at.
_MAX_LOOKED_AT = 1000


def retest(tx: Transaction, name: str, body: Retest) -> Retested:
    """Enqueue the best configurations again. The seed of a trial follows from its number, so each has another one.

    Raises:
        NotFound: There is no such study (404).
        StateConflict: It has ended, no trial of it has a value yet, or its budget has no room for them (409).
    """
    study = access.study(tx, name, Right.CONTROL, is_locked=True)
    require_live(study)
    spec = StudySpec.model_validate(study.spec)
    known = ranking_rows.best_params(
        tx, study.id, is_minimized=spec.metric.direction == "minimize", most=_MAX_LOOKED_AT
    )
    space = spec.space
    fitting = [params for params in known if space is not None and space.fits(params)][: body.top]
    if not fitting:
        raise StateConflict(
            f"study {name!r} has nothing to train again: no trial that fits its search space has a value yet"
        )
    _require_room(tx, study, spec, len(fitting) * body.repeats)
    created = []
    for params in fitting:
        for _ in range(body.repeats):
            current = studies.get(tx, name)
            created.append(int(create_trial(tx, current, params, origin="enqueued").id))
    auditing.record(tx, "study.retest", f"study:{name}", **body.model_dump(mode="json"))
    return Retested(items=[finishing.status(tx, trial_id) for trial_id in created])


def _require_room(tx: Transaction, study: Record, spec: StudySpec, num_wanted: int) -> None:
    limit = ending.limit_reached(tx, study, spec)
    if limit is not None:
        raise StateConflict(f"the budget of study {study.name!r} is spent ({limit}); raise it first")
    most = spec.budget.max_trials
    num_left = num_wanted if most is None else most - (study.num_trials - study.num_imported)
    if num_wanted > num_left:
        raise StateConflict(
            f"{num_wanted} trials are wanted, but the budget of study {study.name!r} has room for {num_left}; "
            f"raise max_trials to {most + num_wanted - num_left if most else num_wanted}, or ask for fewer"
        )
