"""The worker wire: what workers send and what they are told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from caviar.contract.fleet import Device, Labels, RunFacts, SlotFacts
from caviar.contract.model import STORABLE, Label, Model, View
from caviar.contract.space import Params, Space
from caviar.contract.states import Decision, Outcome, TrialState, WorkerMode
from caviar.contract.study import EarlyStopping, Metric, MetricName, ObjectiveName, ObjectiveRef, Requires
from caviar.contract.wording import patterned

_VISIBLE = patterned(r"^[!-~]{1,100}$", "1–100 visible ASCII characters without a blank")
LeaseToken = Annotated[str, _VISIBLE]
RequestId = Annotated[str, _VISIBLE]
TrialId = Annotated[int, Field(ge=1, lt=2**53)]

MAX_LEASES = 10_000
MAX_CHECKPOINTS = 100_000


class OfferedObjective(Model):
    """An objective that a worker can train.

    Attributes:
        name: Its name in studies.
        space: Search space of a study that gives none.
    """

    name: ObjectiveName
    space: Space | None = None


class RegisterWorker(Model):
    """`POST /workers`.

    Attributes:
        name: Name for people; workers may share one.
        host: Machine that the worker runs on.
        slots: Trainings that it runs at the same time.
        devices: What it trains on.
        labels: What its operator says of it; a study may require some of them.
        objectives: What it can train.
    """

    name: Label
    host: Label
    slots: Annotated[int, Field(ge=1, le=10_000)] = 1
    devices: Annotated[list[Device], Field(max_length=1000)] = Field(default_factory=list)
    labels: Labels = Field(default_factory=dict)
    objectives: Annotated[list[OfferedObjective], Field(min_length=1, max_length=1000)]


class WorkerRegistered(View):
    """Answer to `POST /workers`.

    Attributes:
        worker_id: Key of the worker in paths.
        lease_ttl_s: Seconds without a sign of life after which a trial is given to another worker.
    """

    worker_id: str
    lease_ttl_s: float


class Claim(Model):
    """`POST /workers/{worker_id}:claim`.

    Attributes:
        request_id: Made by the worker; the same one gets the same answer again.
        max_trials: How many trials at most.
        wait_s: Seconds to wait for work, at most 30.
        leases: The leases that the worker knows it holds. What the service believes it to hold beyond them (the answer
            to a claim was lost, or the worker was restarted under its id) is handed out first.
    """

    request_id: RequestId
    max_trials: Annotated[int, Field(ge=1, le=1000)] = 1
    wait_s: Annotated[float, Field(ge=0, le=30)] = 0.0
    leases: Annotated[list[LeaseToken], Field(max_length=MAX_LEASES)] = Field(default_factory=list)


class Checkpoint(View):
    """Where a training goes on from.

    Attributes:
        epoch: The last epoch that it holds.
        size_bytes: Size of the file that the service keeps; None if only a worker keeps it.
        sha256: Digest of that file, in hexadecimal digits; None as for the size.
    """

    epoch: int
    size_bytes: int | None = None
    sha256: str | None = None


class Assignment(View):
    """A trial to train, and the exclusive right to it.

    Attributes:
        trial_id: Global id of the trial.
        study: Name of its study.
        number: Its number within the study, from 0.
        attempt: The n-th execution, from 1.
        lease: Secret token that goes with every write.
        lease_ttl_s: Seconds that the lease lasts without a renewal.
        params: The configuration.
        seed: Seed of initial weights, shuffling and dropout; the same for every attempt.
        data_seed: Seed of the split into train, validation and test; the same for every trial of the study.
        objective: What to train, with its fixed options.
        metric: What the study compares.
        first_epoch: The epoch to begin with, from 1.
        checkpoint: What the training goes on from, made by an earlier attempt; None to begin at epoch 1.
        checkpoint_epochs: Epochs, absolute, after which to keep a checkpoint: the trial may be paused there.
        checkpoint_every_epochs: Keep one also after so many epochs since the last one; None for no such rule.
        checkpoint_every_s: Keep one also after an epoch that ends so many seconds after the last one; None for no such
            rule.
        keep_weights: Whether the service may ask for the weights of the best epoch.
        is_alone: Whether no other training may share its device: a former attempt ran out of memory.
        requires: What its device must have, where a worker has several kinds.
        max_epochs: The last epoch, absolute.
        max_trial_seconds: Seconds after which to stop; None for no limit.
        early_stopping: When to stop by the trial's own curve; None for never.
    """

    trial_id: int
    study: str
    number: int
    attempt: int
    lease: str
    lease_ttl_s: float
    params: Params
    seed: int
    data_seed: int
    objective: ObjectiveRef
    metric: Metric
    first_epoch: int
    checkpoint: Checkpoint | None = None
    checkpoint_epochs: list[int] = Field(default_factory=list)
    checkpoint_every_epochs: int | None = None
    checkpoint_every_s: float | None = None
    keep_weights: bool = False
    is_alone: bool = False
    requires: Requires = Requires()
    max_epochs: int
    max_trial_seconds: float | None = None
    early_stopping: EarlyStopping | None = None


class Claimed(View):
    """Answer to a claim.

    Attributes:
        assigned: The trials to train now.
        retry_after_s: Seconds after which to claim again when slots are still free.
        mode: What the operator wants of the worker.
    """

    assigned: list[Assignment]
    retry_after_s: float
    mode: WorkerMode = WorkerMode.WORKING


class Heartbeat(Model):
    """`POST /workers/{worker_id}:heartbeat`; renews the leases.

    Attributes:
        leases: Tokens of the trials that are still being trained.
        devices: Fresh facts per device; None if nothing new is known.
        slots: What each slot does now; None if nothing new is known.
        checkpoints: Trials of which the worker keeps checkpoints.
    """

    leases: Annotated[list[LeaseToken], Field(max_length=MAX_LEASES)] = Field(default_factory=list)
    devices: Annotated[list[Device], Field(max_length=1000)] | None = None
    slots: Annotated[list[SlotFacts], Field(max_length=10_000)] | None = None
    checkpoints: Annotated[list[TrialId], Field(max_length=MAX_CHECKPOINTS)] = Field(default_factory=list)


class HeartbeatAnswer(View):
    """Answer to a heartbeat.

    Attributes:
        lost: Tokens whose runs are to be dropped.
        discard: Those of the trials in `checkpoints` whose checkpoints nobody needs any more.
        mode: What the operator wants of the worker.
    """

    lost: list[str]
    discard: list[int] = Field(default_factory=list)
    mode: WorkerMode = WorkerMode.WORKING


class Measurement(Model):
    """One epoch of one leased trial.

    Attributes:
        trial_id: The trial.
        lease: Its token.
        epoch: Completed epochs, from 1, absolute.
        metrics: Finite numbers by name; must hold the study's metric.
        elapsed_s: Seconds of training in this attempt so far.
        checkpoint: Whether there is a checkpoint of exactly this epoch: on its way to the service no more, but there.
        is_last: Whether the training ends by itself with this epoch: it is then not paused, and its finish follows.
        facts: Circumstances of the attempt; sent with its first epoch.
    """

    trial_id: TrialId
    lease: LeaseToken
    epoch: Annotated[int, Field(ge=1, le=1_000_000)]
    metrics: Annotated[dict[MetricName, float], Field(min_length=1, max_length=100)]
    elapsed_s: Annotated[float, Field(ge=0)]
    checkpoint: bool = False
    is_last: bool = False
    facts: RunFacts | None = None


class Report(Model):
    """`POST /measurements`: epochs of any number of trials, those of one trial in the order of their epochs."""

    items: Annotated[list[Measurement], Field(min_length=1, max_length=10_000)]


class TrialDecision(View):
    """What to do with a trial after its last reported epoch.

    Attributes:
        trial_id: The trial.
        decision: Go on, pause or stop.
        reason: Why it is paused or stopped; None to go on. `lease_lost` means that the run is to be dropped.
        keep_weights: Whether the service wants the weights of its best epoch.
    """

    trial_id: int
    decision: Decision
    reason: str | None = None
    keep_weights: bool = False


class Rejected(View):
    """A measurement that was not stored although others of the same request were.

    Attributes:
        trial_id: The trial.
        epoch: The epoch.
        code: `lease_lost`, `report_conflict`, `not_found` or `invalid_request`.
        detail: Why, for people.
    """

    trial_id: int
    epoch: int
    code: str
    detail: str


class ReportAnswer(View):
    """Answer to a report: one decision per trial, and what was not stored."""

    decisions: list[TrialDecision]
    rejected: list[Rejected] = Field(default_factory=list)


class TrainingError(Model):
    """Why a training failed.

    Attributes:
        kind: Class of the exception, or `killed`, `exited`.
        message: One line.
        traceback: The last lines, for people.
    """

    kind: Annotated[str, StringConstraints(max_length=200), STORABLE]
    message: Annotated[str, StringConstraints(max_length=2000), STORABLE]
    traceback: Annotated[str, StringConstraints(max_length=20_000), STORABLE] = ""


class Finish(Model):
    """`POST /trials/{trial_id}:finish`.

    Attributes:
        lease: Token of the trial.
        outcome: How the training ended.
        error: What went wrong, unless the outcome is `complete`.
        facts: Circumstances of the attempt, as far as they are known at its end.
        log_tail: The last lines that the training wrote to its standard output and error.
    """

    lease: LeaseToken
    outcome: Annotated[Outcome, Field(strict=False)]
    error: TrainingError | None = None
    facts: RunFacts | None = None
    log_tail: Annotated[str, StringConstraints(max_length=20_000), STORABLE] | None = None


class Release(Model):
    """`POST /trials/{trial_id}:release`: a graceful shutdown; the attempt is not charged.

    Attributes:
        lease: Token of the trial.
        is_checkpoint_missing: The worker cannot get at the checkpoint of the assignment: the next attempt goes on from
            an older one that the service keeps, or begins at epoch 1.
    """

    lease: LeaseToken
    is_checkpoint_missing: bool = False


class TrialStatus(View):
    """Answer to a finish or a release.

    Attributes:
        trial_id: The trial.
        state: Its state now.
        stop_reason: Why it ended, if it has.
        keep_weights: Whether the service wants the weights of its best epoch.
    """

    trial_id: int
    state: TrialState
    stop_reason: str | None = None
    keep_weights: bool = False
