"""People steering studies, trials and workers: pause, resume, stop, drain, delete, retry."""

from __future__ import annotations

from caviar.contract.errors import StateConflict
from caviar.contract.messages import TrialStatus
from caviar.contract.states import AttemptEnd, EndReason, StopReason, StudyState, TrialState, WorkerMode
from caviar.contract.views import StudyView, WorkerView
from service.domain.principal import Right
from service.store import artifacts, studies, trials, workers
from service.store.transaction import Transaction
from service.use_cases import access, auditing, ending, finishing, fleet, issuing, reading, retention
from service.use_cases.service import Service
from service.use_cases.standing import require_in_use


def pause(tx: Transaction, name: str) -> StudyView:
    """Hand out no more trials; those that run go on to their end. Pausing a paused study changes nothing.

    Raises:
        NotFound: There is no such study (404).
        StateConflict: The study has ended (409).
    """
    return _switch(tx, name, StudyState.PAUSED)


def resume(tx: Transaction, name: str) -> StudyView:
    """Hand out trials again. Resuming a running study changes nothing.

    Raises:
        NotFound: There is no such study (404).
        StateConflict: The study has ended (409).
    """
    view = _switch(tx, name, StudyState.RUNNING)
    ending.settle_study(tx, studies.get(tx, name).id)
    return reading.study(tx, name) if view.state is StudyState.RUNNING else view


def _switch(tx: Transaction, name: str, state: StudyState) -> StudyView:
    study = access.study(tx, name, Right.CONTROL, is_locked=True)
    if StudyState(study.state).is_finished:
        raise StateConflict(
            f"study {name!r} has ended ({study.end_reason}) and cannot become {state}; clone it instead"
        )
    if study.state != state:
        studies.change(tx, study.id, state=state)
        tx.emit(study.id, "study_changed", state=state, end_reason=None)
        auditing.record(tx, f"study.{'pause' if state is StudyState.PAUSED else 'resume'}", f"study:{name}")
    return reading.study(tx, name)


def stop(tx: Transaction, name: str) -> StudyView:
    """End a study now: what waits or runs is cancelled, what was measured stays.

    Stopping an ended study changes nothing.

    Raises:
        NotFound: There is no such study (404).
    """
    study = access.study(tx, name, Right.CONTROL, is_locked=True)
    if not StudyState(study.state).is_finished:
        ending.end_study(tx, study.id, EndReason.STOPPED)
        auditing.record(tx, "study.stop", f"study:{name}")
    return reading.study(tx, name)


def delete(tx: Transaction, name: str) -> int:
    """Delete a study with everything that belongs to it; its running trials are lost to their workers.

    Returns:
        The id that it had.
    Raises:
        NotFound: There is no such study (404).
        StateConflict: It is archived (409).
    """
    study = access.study(tx, name, Right.CONTROL, is_locked=True)
    require_in_use(study)
    artifacts.doom_study(tx, study.id)
    issuing.revoke_shares(tx, name)
    auditing.record(tx, "study.delete", f"study:{name}", num_trials=study.num_trials)
    studies.remove(tx, study.id)
    return int(study.id)


def stop_trial(tx: Transaction, trial_id: int) -> TrialStatus:
    """Cancel a trial that waits or runs; what it measured stays. Stopping an ended trial changes nothing.

    Raises:
        NotFound: There is no such trial (404).
    """
    trial = access.trial(tx, trial_id, Right.CONTROL, find=trials.with_lease)
    if not TrialState(trial.state).is_finished:
        evidence = {"rule": "by_hand", "epoch": trial.num_epochs}
        how = AttemptEnd.STOPPED
        ending.end_trial(tx, trial, TrialState.CANCELLED, StopReason.CANCELLED, how=how, evidence=evidence)
        ending.settle_study_of(tx, trial)
        auditing.record(tx, "trial.stop", f"trial:{trial_id}", study=trial.study_name)
    return finishing.status(tx, trial_id)


def retry_trial(tx: Transaction, trial_id: int) -> TrialStatus:
    """Let an ended trial of a live study run once more from its first epoch, with its retries renewed.

    Raises:
        NotFound: There is no such trial (404).
        StateConflict: The trial has not ended, or its study has, or it was imported (409).
    """
    trial = access.trial(tx, trial_id, Right.CONTROL, find=trials.with_lease)
    if not TrialState(trial.state).is_finished:
        raise StateConflict(f"trial {trial_id} is {trial.state}; only an ended trial can be run again")
    if trial.origin == "imported":
        raise StateConflict(f"trial {trial_id} was imported; enqueue its configuration to have it trained here")
    if StudyState(trial.study_state).is_finished:
        raise StateConflict(f"study {trial.study_name!r} has ended; enqueue the configuration in a clone of it instead")
    values = {
        "state": TrialState.WAITING,
        "stop_reason": None,
        "evidence": None,
        "ended_at": None,
        "num_charged": 0,
        "checkpoint_epoch": None,
    }
    trials.change(tx, trial_id, **values)
    auditing.record(tx, "trial.retry", f"trial:{trial_id}", study=trial.study_name)
    retention.end_attempt(tx, trial_id)
    tx.emit(
        trial.study_id,
        "trial_requeued",
        trial_id=trial_id,
        number=trial.number,
        attempt=trial.attempt,
        reason="by_hand",
        is_charged=False,
    )
    return finishing.status(tx, trial_id)


def steer_worker(service: Service, worker_id: str, mode: WorkerMode) -> WorkerView:
    """Say what a worker is to do: work, take nothing new, or end once what it trains is done.

    A claim of it that waits is answered at once. Saying it again changes nothing.

    Raises:
        NotFound: It never registered here (404).
    """

    def operation(tx: Transaction) -> WorkerView:
        access.check(tx, Right.ADMINISTER)
        if workers.get(tx, worker_id).mode != mode:
            workers.set_mode(tx, worker_id, mode)
            tx.wake_claims()
            auditing.record(tx, "worker.steer", f"worker:{worker_id}", mode=mode)
        return fleet.worker(tx, worker_id, lease_ttl_s=service.lease_ttl_s)

    view = service.write(operation)
    service.feed.open_soon()
    return view
