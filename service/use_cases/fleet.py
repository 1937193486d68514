"""The workers as people and programs see them: what they do, whom they can serve, how many more are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from caviar.contract.states import TrialState, WorkerMode
from caviar.contract.views import Demand, StudyView, Workers, WorkerView
from service.domain.demand import num_wanted
from service.domain.principal import Right
from service.store import leases, studies, trials
from service.store import workers as rows
from service.store.transaction import Record, Transaction
from service.use_cases import access, ending
from service.use_cases.rotation import is_able
from service.use_cases.specs import parsed

_SHOWN_WORKERS = 1000


def workers(tx: Transaction, *, lease_ttl_s: float) -> Workers:
    """Registered workers, those seen last first."""
    access.check(tx, Right.OVERSEE)
    held = rows.held_trials(tx)
    items = [_view(tx, row, held.get(row.id, []), lease_ttl_s) for row in rows.page(tx, _SHOWN_WORKERS)]
    return Workers(items=_as_seen(tx, items))


def num_alive(tx: Transaction, *, lease_ttl_s: float) -> int:
    """How many workers gave a sign of life within the lease time."""
    return len(rows.seen_since(tx, tx.now - timedelta(seconds=lease_ttl_s)))


def worker(tx: Transaction, worker_id: str, *, lease_ttl_s: float) -> WorkerView:
    """A worker by its id.

    Raises:
        NotFound: It never registered here (404).
    """
    access.check(tx, Right.OVERSEE)
    held = rows.held_trials(tx, worker_id).get(worker_id, [])
    return _as_seen(tx, [_view(tx, rows.get(tx, worker_id), held, lease_ttl_s)])[0]


def _as_seen(tx: Transaction, views: list[WorkerView]) -> list[WorkerView]:
    """Workers without the trials that do not exist for the one who acts."""
    if tx.actor is None or tx.actor.scope is None:
        return views
    seen = {trial_id for trial_id, (study, _) in trial_names(tx, views).items() if access.sees(tx, study)}
    return [
        view.model_copy(
            update={
                "running": [trial_id for trial_id in view.running if trial_id in seen],
                "slot_facts": [fact for fact in view.slot_facts if fact.trial_id is None or fact.trial_id in seen],
            }
        )
        for view in views
    ]


def _view(tx: Transaction, row: Record, held: list[int], lease_ttl_s: float) -> WorkerView:
    return WorkerView(
        worker_id=row.id,
        name=row.name,
        host=row.host,
        slots=row.slots,
        devices=row.devices,
        labels=row.labels,
        mode=row.mode,
        slot_facts=row.slot_facts or [],
        objectives=[offer["name"] for offer in row.objectives],
        running=held,
        is_alive=tx.now - row.seen_at <= timedelta(seconds=lease_ttl_s),
        registered_at=row.registered_at,
        seen_at=row.seen_at,
    )


def trial_names(tx: Transaction, views: Iterable[WorkerView]) -> dict[int, tuple[str, int]]:
    """Study and number of the trials that workers hold or speak of, by id."""
    told = {slot.trial_id for view in views for slot in view.slot_facts if slot.trial_id is not None}
    return trials.named(tx, sorted(told.union(*(view.running for view in views))))


def with_able_workers(tx: Transaction, views: Iterable[StudyView], *, lease_ttl_s: float) -> list[StudyView]:
    """Studies together with how many workers can take trials of theirs now; of those that have ended nobody asks."""
    connected = rows.seen_since(tx, tx.now - timedelta(seconds=lease_ttl_s))
    ready = [row for row in connected if row.mode == WorkerMode.WORKING]
    return [
        view if view.state.is_finished else view.model_copy(update={"num_able_workers": _num_able(ready, view)})
        for view in views
    ]


def _num_able(ready: Sequence[Record], view: StudyView) -> int:
    return sum(
        any(offer["name"] == view.objective.name for offer in row.objectives) and is_able(view.requires, row)
        for row in ready
    )


def demand(tx: Transaction) -> Demand:
    """How much work there is, whether or not a worker can do it."""
    access.check(tx, Right.OVERSEE)
    open_studies = [study for study in studies.running(tx) if access.sees(tx, study.name)]
    num_running = leases.count(tx)
    counts = studies.trial_counts(tx, [study.id for study in open_studies])
    # Trials of paused studies are trained to their end as well.
    wanted = num_running - sum(study.num_running for study in open_studies)
    for study in open_studies:
        spec, by_state = parsed(study.spec_text), counts[study.id]
        is_spent = ending.limit_reached(tx, study, spec) is not None
        wanted += num_wanted(
            spec.budget,
            num_running=study.num_running,
            num_waiting=by_state.get(TrialState.WAITING, 0),
            num_paused=by_state.get(TrialState.PAUSED, 0),
            num_trials=study.num_trials - study.num_imported,
            num_epochs=study.num_epochs,
            may_create=not is_spent,
        )
    return Demand(num_running=num_running, num_wanted=wanted)
