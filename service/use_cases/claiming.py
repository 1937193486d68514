"""Handing out trials: what the worker holds already, then lost, released and enqueued ones, then new ones."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from caviar.contract.messages import Assignment, Claim, Claimed
from caviar.contract.states import StudyState, TrialState
from caviar.contract.study import StudySpec
from service.domain import rules
from service.search.sampler import Proposal
from service.store import leases, measurements, rounds, studies, trials, workers
from service.store.transaction import Record, Transaction
from service.use_cases import ending
from service.use_cases.creating import create_trial
from service.use_cases.service import Service

_IDLE_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Claimant:
    """Who claims, for how many slots, on which request."""

    worker_id: str
    request_id: str
    objectives: frozenset[str]
    lease_ttl_s: float


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the stored rows alone could answer.

    Attributes:
        assigned: Trials handed out.
        claimant: Who they went to.
        hungry: Ids of studies that want a new configuration.
        is_repeat: The request was answered before; nothing new is to be added.
    """

    assigned: list[Assignment]
    claimant: _Claimant
    hungry: list[int]
    is_repeat: bool = False


async def claim(service: Service, worker_id: str, body: Claim) -> Claimed:
    """Hand out trials to a worker, waiting for work if it asks to.

    Args:
        worker_id: From its registration.
        body: How many, how long to wait, and the idempotency key: the same `request_id` gets the same answer.
    Returns:
        At most `max_trials` assignments; none when there is no work.
    Raises:
        NotFound: The worker never registered here.
    """
    request_id, task = service.claims.get(worker_id, (None, None))
    if task is None or request_id != body.request_id:
        task = asyncio.create_task(_claim(service, worker_id, body))
        service.claims[worker_id] = (body.request_id, task)
        task.add_done_callback(partial(_forget, service, worker_id))
    # A worker that hung up may ask again while it is still being answered: it then waits for the same answer.
    return await asyncio.shield(task)


def _forget(service: Service, worker_id: str, task: asyncio.Task[Claimed]) -> None:
    if service.claims.get(worker_id, (None, None))[1] is task:
        del service.claims[worker_id]


async def _claim(service: Service, worker_id: str, body: Claim) -> Claimed:
    deadline = asyncio.get_running_loop().time() + body.wait_s
    is_first = True
    while True:
        num_openings = service.feed.num_openings
        # What it is granted while this claim waits is unknown to its list of leases, but not lost.
        take = partial(_from_store, worker_id=worker_id, body=body, lease_ttl_s=service.lease_ttl_s, may_lose=is_first)
        stored = await service.submit(take)
        is_first = False
        assigned = list(stored.assigned)
        for study_id in stored.hungry:
            while len(assigned) < body.max_trials:
                assignment = await _propose(service, study_id, stored.claimant)
                if assignment is None:
                    break
                assigned.append(assignment)
        remaining_s = deadline - asyncio.get_running_loop().time()
        if assigned or stored.is_repeat or remaining_s <= 0 or service.feed.is_closed:
            return Claimed(assigned=assigned, retry_after_s=0.0 if assigned else _IDLE_RETRY_S)
        await service.feed.wait_for_work(num_openings, remaining_s)
        if service.claims.get(worker_id, (None, None))[0] != body.request_id:
            # The worker has asked anew, so nobody waits for this answer any more.
            return Claimed(assigned=[], retry_after_s=_IDLE_RETRY_S)


def _from_store(tx: Transaction, worker_id: str, body: Claim, lease_ttl_s: float, *, may_lose: bool) -> _Stored:
    worker = workers.get(tx, worker_id)
    workers.seen(tx, worker_id)
    objectives = frozenset(offer["name"] for offer in worker.objectives)
    claimant = _Claimant(worker_id, body.request_id, objectives, lease_ttl_s)
    answered = leases.tokens_of_request(tx, worker_id, body.request_id)
    held = leases.held_by(tx, worker_id)
    if answered:
        return _Stored(
            [_again(tx, row, claimant) for row in held if row.token in answered], claimant, [], is_repeat=True
        )
    known = set(body.leases)
    unknown = [row for row in held if row.token not in known] if may_lose else []
    for row in unknown:
        # The worker has no such run (any more): whoever still has the old token is fenced off by a new attempt.
        ending.lose_trial(tx, row, StudySpec.model_validate(row.spec), detail="its worker did not know it any more")
        ending.settle_study(tx, row.study_id)
    return _hand_out(tx, claimant, body.max_trials, own=[(row.study_id, row.id) for row in unknown])


def _hand_out(tx: Transaction, claimant: _Claimant, max_trials: int, own: Sequence[tuple[int, int]]) -> _Stored:
    assigned: list[Assignment] = []
    hungry: list[int] = []
    own_studies, own_trials = {study_id for study_id, _ in own}, [trial_id for _, trial_id in own]
    open_studies = _open_studies(tx, claimant.objectives)
    for study, spec, num_running in sorted(open_studies, key=lambda entry: entry[0].id not in own_studies):
        room = max_trials - len(assigned)
        if spec.budget.max_parallel is not None:
            room = min(room, spec.budget.max_parallel - num_running)
        while room > 0 and (trial := trials.next_waiting(tx, study.id, own_trials)) is not None:
            assigned.append(_grant(tx, claimant, spec, trial))
            room -= 1
        if room > 0 and ending.limit_reached(tx, study, spec) is None:
            hungry.append(study.id)
        if len(assigned) == max_trials:
            break
    return _Stored(assigned, claimant, hungry)


def _open_studies(tx: Transaction, objectives: frozenset[str]) -> list[tuple[Record, StudySpec, int]]:
    # Those with the fewest running trials first, so that studies share the workers.
    found = []
    for study in studies.in_state(tx, StudyState.RUNNING):
        if study.spec["objective"]["name"] in objectives:
            num_running = trials.num_in_state(tx, study.id, TrialState.RUNNING)
            found.append((study, StudySpec.model_validate(study.spec), num_running))
    return sorted(found, key=lambda entry: (entry[2], entry[0].id))


async def _propose(service: Service, study_id: int, claimant: _Claimant) -> Assignment | None:
    try:
        search = await asyncio.to_thread(service.searches.of, study_id)
    except LookupError:  # Deleted since it was seen.
        return None
    async with search.proposing:
        for _ in range(3):
            # The sampler computes on a thread of its own: reports go on meanwhile.
            number, proposal = await asyncio.to_thread(search.propose)
            add = partial(_add, study_id=study_id, number=number, proposal=proposal, claimant=claimant)
            added = await service.submit(add)
            if not added.is_behind:
                return added.assignment
            service.searches.forget(study_id)
            search = await asyncio.to_thread(service.searches.of, study_id)
    return None


@dataclass(frozen=True, slots=True)
class _Added:
    """What became of a proposal.

    Attributes:
        assignment: The trial, handed out; None if the study takes no more trials now.
        is_behind: The mirror lacked trials that the database has, so another proposal is needed.
    """

    assignment: Assignment | None = None
    is_behind: bool = False


def _add(tx: Transaction, study_id: int, number: int, proposal: Proposal, claimant: _Claimant) -> _Added:
    study = studies.by_id(tx, study_id, is_locked=True)
    if study is None or study.state != StudyState.RUNNING:
        return _Added()
    spec = StudySpec.model_validate(study.spec)
    limit = spec.budget.max_parallel
    is_full = limit is not None and trials.num_in_state(tx, study_id, TrialState.RUNNING) >= limit
    if is_full or ending.limit_reached(tx, study, spec) is not None:
        return _Added()
    if number != study.num_trials:
        return _Added(is_behind=True)
    if proposal.opened is not None:
        opened = proposal.opened.model_copy(update={"opened_at": tx.now}).model_dump(mode="json")
        rounds.add(
            tx,
            study_id,
            number=proposal.opened.number,
            first_trial=proposal.opened.first_trial,
            elite=proposal.opened.elite,
            windows=opened["windows"],
        )
        tx.emit(study_id, "round_opened", **opened)
    trial_id = create_trial(tx, study_id, number, proposal.params, origin="sampler", round_number=proposal.round)
    return _Added(_grant(tx, claimant, spec, trials.get(tx, trial_id)))


def _grant(tx: Transaction, claimant: _Claimant, spec: StudySpec, trial: Record) -> Assignment:
    attempt, first_epoch, token = trial.attempt + 1, 1, secrets.token_urlsafe(24)
    if attempt > 1:
        measurements.supersede(tx, trial.id, first_epoch)
    leases.grant(
        tx,
        trial_id=trial.id,
        study_id=trial.study_id,
        attempt=attempt,
        token=token,
        worker_id=claimant.worker_id,
        request_id=claimant.request_id,
        first_epoch=first_epoch,
        expires_at=tx.now + timedelta(seconds=claimant.lease_ttl_s),
    )
    trials.change(
        tx,
        trial.id,
        state=TrialState.RUNNING,
        attempt=attempt,
        worker_id=claimant.worker_id,
        started_at=tx.now,
        ended_at=None,
        value=None,
        best_epoch=None,
        num_epochs=first_epoch - 1,
        elapsed_s=None,
    )
    tx.emit(
        trial.study_id,
        "trial_started",
        trial_id=trial.id,
        number=trial.number,
        attempt=attempt,
        worker_id=claimant.worker_id,
        first_epoch=first_epoch,
    )
    return _assignment(trial, spec, attempt=attempt, token=token, first_epoch=first_epoch, ttl_s=claimant.lease_ttl_s)


def _again(tx: Transaction, row: Record, claimant: _Claimant) -> Assignment:
    leases.renew(tx, row.id, tx.now + timedelta(seconds=claimant.lease_ttl_s))
    return _assignment(
        row,
        StudySpec.model_validate(row.spec),
        attempt=row.attempt,
        token=row.token,
        first_epoch=row.first_epoch,
        ttl_s=claimant.lease_ttl_s,
    )


def _assignment(
    trial: Record, spec: StudySpec, *, attempt: int, token: str, first_epoch: int, ttl_s: float
) -> Assignment:
    return Assignment(
        trial_id=trial.id,
        study=spec.name,
        number=trial.number,
        attempt=attempt,
        lease=token,
        lease_ttl_s=ttl_s,
        params=trial.params,
        seed=rules.derived_seed(spec.seed, "training", trial.number),
        data_seed=rules.derived_seed(spec.seed, "data"),
        objective=spec.objective,
        metric=spec.metric,
        first_epoch=first_epoch,
        max_epochs=spec.budget.max_epochs,
        max_trial_seconds=spec.budget.max_trial_seconds,
        early_stopping=spec.early_stopping,
    )
