"""Handing out trials: what the worker holds already, then lost, released and enqueued ones, promotions, new ones."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from caviar.contract.errors import CaviarError
from caviar.contract.messages import Assignment, Claim, Claimed
from caviar.contract.states import AttemptEnd, EndReason, StopReason, StudyState, TrialState, WorkerMode
from caviar.contract.study import StudySpec
from service.domain import rules
from service.search.pruner import Promotion
from service.search.registry import build_pruner
from service.store import claims, leases, measurements, studies, trials, workers
from service.store.transaction import Record, Records, Transaction
from service.use_cases import access, ending, retention, rotation
from service.use_cases.creating import create_trial, open_round
from service.use_cases.rotation import Turn
from service.use_cases.searching import NothingLeft, Search, Suggestion, Wait
from service.use_cases.service import Service
from service.use_cases.specs import parsed

_IDLE_RETRY_S = 1.0
_RESTING_RETRY_S = 5.0
# Of all processes that propose for a study at the same moment, one is the first: even with dozens, each has its turn.
_MAX_PROPOSALS = 50


@dataclass(frozen=True, slots=True)
class _Claimant:
    """Who claims, on which request."""

    worker_id: str
    request_id: str
    lease_ttl_s: float


class _AnsweredElsewhere(CaviarError):
    """Another process is answering the same request, which was repeated there."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the stored rows alone could answer.

    Attributes:
        assigned: Trials handed out.
        claimant: Who they went to.
        turns: Studies that may be served next.
        mode: What the operator wants of the worker.
        is_repeat: The request was answered before; nothing new is to be added.
    """

    assigned: list[Assignment]
    claimant: _Claimant
    turns: list[Turn]
    mode: WorkerMode
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
    # By who asks as well: nobody hears the answer to another one's worker, or ends its wait.
    key = _key(service, worker_id)
    request_id, task = service.claims.get(key, (None, None))
    if task is None or request_id != body.request_id:
        task = asyncio.create_task(_claim(service, worker_id, body))
        service.claims[key] = (body.request_id, task)
        task.add_done_callback(partial(_forget, service, key))
    # A worker that hung up may ask again while it is still being answered: it then waits for the same answer.
    return await asyncio.shield(task)


def _key(service: Service, worker_id: str) -> tuple[str, int | None]:
    return worker_id, None if service.actor is None else service.actor.token_id


def _forget(service: Service, key: tuple[str, int | None], task: asyncio.Task[Claimed]) -> None:
    if service.claims.get(key, (None, None))[1] is task:
        del service.claims[key]


async def _claim(service: Service, worker_id: str, body: Claim) -> Claimed:
    deadline = asyncio.get_running_loop().time() + body.wait_s
    first_mode: WorkerMode | None = None
    while True:
        num_openings = service.feed.num_openings
        # What it is granted while this claim waits is unknown to its list of leases, but not lost.
        may_lose = first_mode is None
        stored = await service.submit(partial(_from_store, service, worker_id, body, may_lose=may_lose))
        first_mode = first_mode or stored.mode
        try:
            assigned = await _serve(service, stored, body.max_trials)
        except _AnsweredElsewhere:
            assigned = await service.submit(partial(_given, claimant=stored.claimant))
        remaining_s = deadline - asyncio.get_running_loop().time()
        is_over = assigned or stored.is_repeat or remaining_s <= 0 or service.feed.is_closed
        # Its mode is news to the worker if it has changed meanwhile; one that is drained waits for nothing.
        if is_over or stored.mode is not first_mode or stored.mode is WorkerMode.DRAINING:
            return _answer(assigned, stored.mode)
        await service.feed.wait_for_work(num_openings, remaining_s)
        if service.claims.get(_key(service, worker_id), (None, None))[0] != body.request_id:
            # The worker has asked anew, so nobody waits for this answer any more.
            return _answer([], stored.mode)


def _answer(assigned: list[Assignment], mode: WorkerMode) -> Claimed:
    idle_s = _IDLE_RETRY_S if mode is WorkerMode.WORKING else _RESTING_RETRY_S
    return Claimed(assigned=assigned, retry_after_s=0.0 if assigned else idle_s, mode=mode)


async def _serve(service: Service, stored: _Stored, max_trials: int) -> list[Assignment]:
    # Studies take turns trial by trial, so that a worker with many slots is shared as well.
    assigned, turns, claimant = list(stored.assigned), stored.turns, stored.claimant
    while len(assigned) < max_trials and (turn := rotation.next_turn(turns)) is not None:
        given = frozenset(assignment.lease for assignment in assigned)
        if turn.has_waiting:
            room = max_trials - len(assigned)
            step = partial(_hand_out_more, claimant=claimant, given=given, turns=turns, room=room)
            more, turns = await service.submit(step)
            assigned += more
            continue
        assignment = await _next(service, turn, claimant, given)
        if assignment is None:
            turn.close()
        else:
            assigned.append(assignment)
            turn.serve()
    return assigned


def _from_store(service: Service, worker_id: str, body: Claim, tx: Transaction, *, may_lose: bool) -> _Stored:
    standing = claims.standing(tx, worker_id, body.request_id)
    worker = access.own_worker(tx, worker_id, standing.worker)
    workers.seen(tx, worker_id)
    mode = WorkerMode(worker.mode)
    claimant = _Claimant(worker_id, body.request_id, service.lease_ttl_s)
    if standing.given:
        return _Stored(_given(tx, claimant), claimant, [], mode, is_repeat=True)
    known, running = set(body.leases), standing.running
    lost: list[Record] = []
    if may_lose and not standing.tokens <= known:
        lost = _lose_unknown(tx, worker_id, known)
        running = studies.running(tx)
    objectives = frozenset(offer["name"] for offer in worker.objectives)
    own = Counter(row.study_id for row in lost)
    turns = rotation.turns(tx, worker, objectives, service.shares, own, running=running)
    assigned, turns = _hand_out(tx, claimant, turns, body.max_trials, own=[row.id for row in lost])
    assigned += _from_stock(service, tx, claimant, turns, given=assigned, room=body.max_trials - len(assigned))
    return _Stored(assigned, claimant, turns, mode)


def _given(tx: Transaction, claimant: _Claimant) -> list[Assignment]:
    tokens = {row.token for row in leases.of_request(tx, claimant.worker_id, claimant.request_id)}
    held = [row for row in leases.held_by(tx, claimant.worker_id) if row.token in tokens]
    return [_again(tx, row, claimant) for row in held]


def _require_sole_answer(found: Records, claimant: _Claimant, given: Collection[str]) -> None:
    # Nobody knows of these leases before they are in an answer. So if there are more, or one of them was renewed or has
    # ended, the request was repeated at another process: two answers must not hand out twice as much as was asked for.
    term = timedelta(seconds=claimant.lease_ttl_s)
    untouched = {row.token for row in found if row.expires_at == row.started_at + term}
    if len(found) != len(given) or untouched != set(given):
        raise _AnsweredElsewhere("the request was repeated at another process, which answers it")


def _lose_unknown(tx: Transaction, worker_id: str, known: set[str]) -> list[Record]:
    waiting = []
    for row in leases.held_by(tx, worker_id):
        if row.token in known:
            continue
        # The worker has no such run (any more): whoever still has the old token is fenced off by a new attempt.
        state = ending.lose_trial(tx, row, parsed(row.spec_text), detail="its worker did not know it any more")
        ending.settle_study(tx, row.study_id)
        if state is TrialState.WAITING:
            waiting.append(row)
    return waiting


def _hand_out(
    tx: Transaction, claimant: _Claimant, turns: Sequence[Turn], room: int, own: Sequence[int] = ()
) -> tuple[list[Assignment], list[Turn]]:
    # Until it is the turn of a study that has to be asked for something new, which takes longer than a transaction may.
    assigned: list[Assignment] = []
    left = rotation.copied(turns)
    while len(assigned) < room and (turn := rotation.next_turn(left)) is not None and turn.has_waiting:
        trial = trials.next_waiting(tx, turn.study_id, own)
        if trial is None:
            turn.has_waiting = False
        elif not _is_trained(tx, turn.spec, trial):
            assigned.append(_grant(tx, claimant, turn.spec, trial))
            turn.serve()
    return assigned, left


def _from_stock(
    service: Service,
    tx: Transaction,
    claimant: _Claimant,
    turns: Sequence[Turn],
    *,
    given: Sequence[Assignment],
    room: int,
) -> list[Assignment]:
    # As long as the studies whose turn it is have suggestions at hand; others are asked outside of the transaction.
    assigned: list[Assignment] = []
    while len(assigned) < room and (turn := rotation.next_turn(turns)) is not None:
        search = service.searches.loaded(turn.study_id)
        if turn.has_waiting or not turn.may_create or search is None or search.seq < turn.last_seq:
            break
        created = [data for study_id, _, data in tx.pending("trial_created") if study_id == turn.study_id]
        step = search.in_stock(created)
        if step is None:
            break
        tokens = frozenset(assignment.lease for assignment in (*given, *assigned))
        taken = _take(tx, turn.study_id, step, claimant, tokens)
        if taken.assignment is None:
            break
        assigned.append(taken.assignment)
        turn.serve()
    return assigned


def _hand_out_more(
    tx: Transaction, claimant: _Claimant, given: Collection[str], turns: Sequence[Turn], room: int
) -> tuple[list[Assignment], list[Turn]]:
    _require_sole_answer(leases.of_request(tx, claimant.worker_id, claimant.request_id), claimant, given)
    # Since they were looked at, other claims were served, and people have edited and paused.
    return _hand_out(tx, claimant, rotation.renewed(tx, turns), room)


async def _next(service: Service, turn: Turn, claimant: _Claimant, given: Collection[str]) -> Assignment | None:
    study_id = turn.study_id
    try:
        search = await _search(service, study_id, turn.last_seq)
        for _ in range(_MAX_PROPOSALS):
            seen = search.seq
            # The sampler computes on a thread of its own: reports go on meanwhile.
            async with search.steps.next(may_create=turn.may_create) as step:
                if isinstance(step, Wait):
                    return None
                take = partial(_take, study_id=study_id, step=step, claimant=claimant, given=given)
                taken = await service.submit(take)
            if taken.behind is None:
                return taken.assignment
            # One that came after others is refused with the first of them.
            if not (isinstance(step, Suggestion) and step.num_ahead):
                search = await _newer(service, study_id, search, seen, taken.behind)
    except LookupError:  # Deleted since it was seen.
        pass
    return None


async def _search(service: Service, study_id: int, seq: int) -> Search:
    loaded = service.searches.loaded(study_id)
    if loaded is not None and loaded.seq >= seq:
        return loaded
    return await asyncio.to_thread(service.searches.up_to, study_id, seq)


async def _newer(service: Service, study_id: int, search: Search, seen: int, seq: int) -> Search:
    """The search that knows what one that was refused did not."""
    newer = await _search(service, study_id, seq)
    if newer is search and newer.seq == seen:
        # It lacked nothing, and yet the rows are not what it holds: they are right.
        service.searches.forget(study_id)
        newer = await _search(service, study_id, seq)
    return newer


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of the next step of a search.

    Attributes:
        assignment: The trial, handed out; None if there is none to hand out now.
        behind: The study's last event, if the mirror lacked something that the database has, so that the search must be
            asked again; else None.
    """

    assignment: Assignment | None = None
    behind: int | None = None


def _take(
    tx: Transaction,
    study_id: int,
    step: Promotion | Suggestion | NothingLeft,
    claimant: _Claimant,
    given: Collection[str],
) -> _Taken:
    opening = claims.opening(tx, study_id, claimant.worker_id, claimant.request_id)
    _require_sole_answer(opening.given, claimant, given)
    study = opening.study
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
    return _add(tx, study, opening.num_rounds, step, claimant)


def _end(tx: Transaction, study: Record, spec: StudySpec, step: NothingLeft) -> _Taken:
    if step.as_of < study.last_event_seq:
        # Perhaps a trial has paused since then that is to be promoted.
        return _Taken(behind=study.last_event_seq)
    reason = ending.limit_reached(tx, study, spec) or (EndReason.SPACE_EXHAUSTED if step.is_exhausted else None)
    is_idle = not trials.num_in_state(tx, study.id, TrialState.WAITING, TrialState.RUNNING)
    if reason is not None and is_idle:
        ending.end_study(tx, study.id, reason)
    return _Taken()


def _promote(tx: Transaction, study: Record, spec: StudySpec, step: Promotion, claimant: _Claimant) -> _Taken:
    trial = trials.by_number(tx, study.id, step.number)
    if trial.state != TrialState.PAUSED:
        return _Taken(behind=study.last_event_seq)
    if _is_trained(tx, spec, trial):
        return _Taken()
    trials.change(tx, trial.id, promoted_epoch=step.epoch, evidence=None)
    promoted = trials.get(tx, trial.id)
    return _Taken(_grant(tx, claimant, spec, promoted, evidence=step.evidence))


def _add(tx: Transaction, study: Record, num_rounds: int, step: Suggestion, claimant: _Claimant) -> _Taken:
    spec = parsed(study.spec_text)
    if ending.limit_reached(tx, study, spec) is not None:
        return _Taken()
    stored = (study.num_trials, study.space_version, num_rounds)
    if stored != (step.number, step.space_version, step.num_rounds):
        return _Taken(behind=study.last_event_seq)
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
    return _assignment(
        tx, trial, spec, attempt=attempt, token=token, first_epoch=first_epoch, ttl_s=claimant.lease_ttl_s
    )


def _again(tx: Transaction, row: Record, claimant: _Claimant) -> Assignment:
    leases.renew(tx, row.id, tx.now + timedelta(seconds=claimant.lease_ttl_s))
    return _assignment(
        tx,
        row,
        parsed(row.spec_text),
        attempt=row.attempt,
        token=row.token,
        first_epoch=row.first_epoch,
        ttl_s=claimant.lease_ttl_s,
    )


def _assignment(
    tx: Transaction, trial: Record, spec: StudySpec, *, attempt: int, token: str, first_epoch: int, ttl_s: float
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
        checkpoint=retention.checkpoint(tx, trial.id, first_epoch - 1) if first_epoch > 1 else None,
        checkpoint_epochs=build_pruner(spec).pause_epochs(spec, trial.number, trial.promoted_epoch),
        checkpoint_every_epochs=spec.checkpoints.every_epochs,
        checkpoint_every_s=spec.checkpoints.every_s,
        keep_weights=spec.checkpoints.keep_best > 0,
        max_epochs=spec.budget.max_epochs,
        max_trial_seconds=spec.budget.max_trial_seconds,
        is_alone=trial.is_alone,
        requires=spec.requires,
        early_stopping=spec.early_stopping,
    )
