"""Handing out trials: what the worker holds already, then lost, released and enqueued ones, promotions, new ones."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from caviar.contract.messages import Assignment, Checkpoint, Claim, Claimed
from caviar.contract.states import AttemptEnd, EndReason, StopReason, StudyState, TrialState
from caviar.contract.study import StudySpec
from service.domain import rules
from service.search.pruner import Promotion
from service.search.registry import build_pruner
from service.store import leases, measurements, studies, trials, workers
from service.store.transaction import Record, Transaction
from service.use_cases import ending
from service.use_cases.creating import create_trial, open_round
from service.use_cases.searching import NothingLeft, Search, Suggestion, Wait
from service.use_cases.service import Service
from service.use_cases.specs import parsed

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
        hungry: Ids of studies in which a paused trial may be promoted or, if the flag is set, a new one begin.
        is_repeat: The request was answered before; nothing new is to be added.
    """

    assigned: list[Assignment]
    claimant: _Claimant
    hungry: list[tuple[int, bool]]
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
        for study_id, may_create in stored.hungry:
            while len(assigned) < body.max_trials:
                assignment = await _next(service, study_id, stored.claimant, may_create=may_create)
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
    if answered:
        held = [row for row in leases.held_by(tx, worker_id) if row.token in answered]
        return _Stored([_again(tx, row, claimant) for row in held], claimant, [], is_repeat=True)
    unknown = _lose_unknown(tx, worker_id, set(body.leases)) if may_lose else []
    return _hand_out(tx, claimant, body.max_trials, own=[(row.study_id, row.id) for row in unknown])


def _lose_unknown(tx: Transaction, worker_id: str, known: set[str]) -> list[Record]:
    if leases.tokens_of_worker(tx, worker_id) <= known:
        return []
    unknown = [row for row in leases.held_by(tx, worker_id) if row.token not in known]
    for row in unknown:
        # The worker has no such run (any more): whoever still has the old token is fenced off by a new attempt.
        ending.lose_trial(tx, row, parsed(row.spec_text), detail="its worker did not know it any more")
        ending.settle_study(tx, row.study_id)
    return unknown


def _hand_out(tx: Transaction, claimant: _Claimant, max_trials: int, own: Sequence[tuple[int, int]]) -> _Stored:
    assigned: list[Assignment] = []
    hungry: list[tuple[int, bool]] = []
    own_studies, own_trials = {study_id for study_id, _ in own}, [trial_id for _, trial_id in own]
    open_studies = _open_studies(tx, claimant.objectives)
    for study, spec in sorted(open_studies, key=lambda entry: entry[0].id not in own_studies):
        room = max_trials - len(assigned)
        if spec.budget.max_parallel is not None:
            room = min(room, spec.budget.max_parallel - study.num_running)
        while study.has_waiting and room > 0:
            trial = trials.next_waiting(tx, study.id, own_trials)
            if trial is None:
                break
            if _is_trained(tx, spec, trial):
                continue
            assigned.append(_grant(tx, claimant, spec, trial))
            room -= 1
        if room > 0:
            may_create = ending.limit_reached(tx, study, spec) is None
            if may_create or study.has_paused:
                hungry.append((study.id, may_create))
        if len(assigned) == max_trials:
            break
    return _Stored(assigned, claimant, hungry)


def _open_studies(tx: Transaction, objectives: frozenset[str]) -> list[tuple[Record, StudySpec]]:
    # Those with the fewest running trials first, so that studies share the workers.
    found = [(study, parsed(study.spec_text)) for study in studies.running(tx)]
    served = [(study, spec) for study, spec in found if spec.objective.name in objectives]
    return sorted(served, key=lambda entry: (entry[0].num_running, entry[0].id))


async def _next(service: Service, study_id: int, claimant: _Claimant, *, may_create: bool) -> Assignment | None:
    try:
        search = await _search(service, study_id)
    except LookupError:  # Deleted since it was seen.
        return None
    async with search.proposing:
        for _ in range(3):
            # The sampler computes on a thread of its own: reports go on meanwhile.
            step = await asyncio.to_thread(search.next, may_create=may_create)
            if isinstance(step, Wait):
                return None
            taken = await service.submit(partial(_take, study_id=study_id, step=step, claimant=claimant))
            if not taken.is_behind:
                return taken.assignment
            service.searches.forget(study_id)
            search = await _search(service, study_id)
    return None


async def _search(service: Service, study_id: int) -> Search:
    loaded = service.searches.loaded(study_id)
    return loaded if loaded is not None else await asyncio.to_thread(service.searches.of, study_id)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of the next step of a search.

    Attributes:
        assignment: The trial, handed out; None if there is none to hand out now.
        is_behind: The mirror lacked something that the database has, so the search must be asked again.
    """

    assignment: Assignment | None = None
    is_behind: bool = False


def _take(tx: Transaction, study_id: int, step: Promotion | Suggestion | NothingLeft, claimant: _Claimant) -> _Taken:
    study = studies.by_id(tx, study_id, is_locked=True)
    if study is None or study.state != StudyState.RUNNING:
        return _Taken()
    spec = parsed(study.spec_text)
    if isinstance(step, NothingLeft):
        return _end(tx, study, spec, step)
    limit = spec.budget.max_parallel
    if limit is not None and trials.num_in_state(tx, study_id, TrialState.RUNNING) >= limit:
        return _Taken()
    if isinstance(step, Promotion):
        return _promote(tx, study, spec, step, claimant)
    return _add(tx, study, spec, step, claimant)


def _end(tx: Transaction, study: Record, spec: StudySpec, step: NothingLeft) -> _Taken:
    reason = ending.limit_reached(tx, study, spec) or (EndReason.SPACE_EXHAUSTED if step.is_exhausted else None)
    is_idle = not trials.num_in_state(tx, study.id, TrialState.WAITING, TrialState.RUNNING)
    if reason is not None and is_idle:
        ending.end_study(tx, study.id, reason)
    return _Taken()


def _promote(tx: Transaction, study: Record, spec: StudySpec, step: Promotion, claimant: _Claimant) -> _Taken:
    trial = trials.by_number(tx, study.id, step.number)
    if trial.state != TrialState.PAUSED:
        return _Taken(is_behind=True)
    if _is_trained(tx, spec, trial):
        return _Taken()
    trials.change(tx, trial.id, promoted_epoch=step.epoch, evidence=None)
    promoted = trials.get(tx, trial.id)
    return _Taken(_grant(tx, claimant, spec, promoted, evidence=step.evidence))


def _add(tx: Transaction, study: Record, spec: StudySpec, step: Suggestion, claimant: _Claimant) -> _Taken:
    if ending.limit_reached(tx, study, spec) is not None:
        return _Taken()
    if step.number != study.num_trials or step.space_version != study.space_version:
        return _Taken(is_behind=True)
    proposal = step.proposal
    if proposal.opened is not None:
        open_round(tx, study.id, proposal.opened)
    trial = create_trial(tx, study, proposal.params, origin="sampler", round_number=proposal.round, as_of=step.as_of)
    return _Taken(_grant(tx, claimant, spec, trial))


def _is_trained(tx: Transaction, spec: StudySpec, trial: Record) -> bool:
    # Since it was trained, the limit was lowered to where it stands.
    limit = spec.budget.max_epochs
    if trial.checkpoint_epoch is None or trial.checkpoint_epoch < limit:
        return False
    evidence = {"rule": "max_epochs", "epoch": trial.checkpoint_epoch, "threshold": limit}
    how = AttemptEnd.PAUSED
    ending.end_trial(tx, trial, TrialState.COMPLETE, StopReason.MAX_EPOCHS, how=how, evidence=evidence)
    return True


def _grant(tx: Transaction, claimant: _Claimant, spec: StudySpec, trial: Record, *, evidence: Any = None) -> Assignment:
    attempt, token = trial.attempt + 1, secrets.token_urlsafe(24)
    first_epoch = (trial.checkpoint_epoch or 0) + 1
    kept: dict[int, float] = {}
    if attempt > 1:
        measurements.supersede(tx, trial.id, first_epoch)
        kept = measurements.curve(tx, trial.id)
    value, best_epoch = rules.best_of(spec.metric, kept)
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
        evidence=evidence,
    )
    trials.change(
        tx,
        trial.id,
        state=TrialState.RUNNING,
        attempt=attempt,
        worker_id=claimant.worker_id,
        started_at=tx.now,
        ended_at=None,
        value=value,
        best_epoch=best_epoch,
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
        promoted_epoch=trial.promoted_epoch,
    )
    return _assignment(trial, spec, attempt=attempt, token=token, first_epoch=first_epoch, ttl_s=claimant.lease_ttl_s)


def _again(tx: Transaction, row: Record, claimant: _Claimant) -> Assignment:
    leases.renew(tx, row.id, tx.now + timedelta(seconds=claimant.lease_ttl_s))
    return _assignment(
        row,
        parsed(row.spec_text),
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
        checkpoint=Checkpoint(epoch=first_epoch - 1) if first_epoch > 1 else None,
        checkpoint_epochs=build_pruner(spec).pause_epochs(spec, trial.number, trial.promoted_epoch),
        max_epochs=spec.budget.max_epochs,
        max_trial_seconds=spec.budget.max_trial_seconds,
        early_stopping=spec.early_stopping,
    )
