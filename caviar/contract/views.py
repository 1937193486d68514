"""What the service tells people and scripts: studies, trials, curves, rounds, events."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from caviar.contract.fleet import Device, RunFacts, SlotFacts
from caviar.contract.model import View
from caviar.contract.space import Params, Space
from caviar.contract.states import AttemptEnd, EndReason, Outcome, StopReason, StudyState, TrialState, WorkerMode
from caviar.contract.study import Budget, Checkpoints, EarlyStopping, Metric, ObjectiveRef, Plugin, Requires


class BestTrial(View):
    """The leader of a study."""

    trial_id: int
    number: int
    value: float
    epoch: int
    params: Params


class StudyView(View):
    """A study and where it stands.

    Attributes:
        counts: Number of trials by state; states without trials are left out.
        num_trials: Trials so far, imported ones included.
        num_imported: Trials that were not trained here but imported.
        num_epochs: Epochs reported so far, those of lost attempts included.
        slot_s: Seconds of slots that its trials have taken so far, those in training now included.
        round: Number of the newest round; None for strategies without rounds.
        space_version: 1, and one more with every edit of the search space.
        seconds_left: Estimated seconds until the study ends, from its pace so far; None while nothing is known.
        archived_at: Since when it is kept and changes no more; None while it is in use.
        num_able_workers: Connected workers that offer its objective, have what it requires and take new trials. Told
            when studies are read or listed and have not ended; else None.
    """

    name: str
    state: StudyState
    end_reason: EndReason | None = None
    objective: ObjectiveRef
    metric: Metric
    space: Space
    strategy: Plugin
    pruner: Plugin
    early_stopping: EarlyStopping | None
    budget: Budget
    retries: int
    checkpoints: Checkpoints = Checkpoints()
    requires: Requires = Requires()
    priority: int = 0
    seed: int
    warm_start: list[str] = Field(default_factory=list)
    tags: dict[str, str]
    counts: dict[TrialState, int]
    num_trials: int
    num_imported: int = 0
    num_epochs: int
    slot_s: float = 0.0
    round: int | None = None
    space_version: int = 1
    seconds_left: float | None = None
    num_able_workers: int | None = None
    best: BestTrial | None = None
    last_event_seq: int
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    archived_at: datetime | None = None


class StudyPage(View):
    """A page of studies; `next_after` goes into `after` for the next one, None on the last. `total` is of all pages."""

    items: list[StudyView]
    next_after: str | None = None
    total: int = 0


class AttemptView(View):
    """One execution of a trial.

    Attributes:
        outcome: How the training ended, as its worker saw it; None if it did not say.
        evidence: Why a paused trial was promoted, for the attempt that this began.
        facts: Circumstances, as far as the worker told them.
        log_tail: The last lines that the training wrote to its standard output and error.
    """

    attempt: int
    worker_id: str
    worker: str
    first_epoch: int
    started_at: datetime
    ended_at: datetime | None = None
    end: AttemptEnd | None = None
    outcome: Outcome | None = None
    error: dict[str, Any] | None = None
    evidence: dict[str, Any] | None = None
    facts: RunFacts | None = None
    log_tail: str | None = None


class ArtifactView(View):
    """A file of a trial that the service keeps.

    Attributes:
        kind: `checkpoint` to go on from, or `weights` of the best epoch.
        epoch: The last epoch that it holds.
        size_bytes: Its size.
        sha256: Its digest, in hexadecimal digits.
    """

    kind: Literal["checkpoint", "weights"]
    epoch: int
    size_bytes: int
    sha256: str
    created_at: datetime


class DecisionView(View):
    """What the service decided about a trial, and on what grounds.

    Attributes:
        decision: `continue`, `pause` or `stop` after an epoch; `promote` before the attempt that goes on.
        epoch: The epoch that it followed.
        evidence: Rule, own value, threshold, number of peers compared.
    """

    attempt: int
    epoch: int
    decision: str
    evidence: dict[str, Any]
    at: datetime


class TrialView(View):
    """A trial and where it stands.

    Attributes:
        origin: `sampler`, `enqueued` for a hand-made configuration, or `imported` with its results.
        round: Round of the strategy that proposed it; None without rounds.
        value: Best value of the study's metric so far.
        best_epoch: Epoch of that value.
        num_epochs: Last reported epoch.
        checkpoint_epoch: Epoch of the checkpoint that it can go on from; None if there is none.
        space_version: Version of the search space that it was proposed in.
        tags: What people say of it, by name.
        note: What people say of it.
        evidence: What the stop reason rests on: rule, epoch, own value, threshold, peers compared.
        error: Kind, message and last lines of the traceback of the last failed attempt.
        worker: Name of the worker that holds it, or held it last.
        duration_s: Seconds of training of the last attempt.
    """

    trial_id: int
    study: str
    number: int
    state: TrialState
    stop_reason: StopReason | None = None
    evidence: dict[str, Any] | None = None
    origin: str
    round: int | None = None
    params: Params
    value: float | None = None
    best_epoch: int | None = None
    num_epochs: int
    max_epochs: int
    checkpoint_epoch: int | None = None
    space_version: int = 1
    attempt: int
    seed: int
    worker: str | None = None
    error: dict[str, Any] | None = None
    duration_s: float | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    note: str = ""
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


class TrialDetail(TrialView):
    """A trial with its attempts and the decisions about it, oldest first.

    Attributes:
        artifacts: Its files that the service keeps.
        as_of_seq: The last event of the study that its proposal was conditioned on; None if it was not proposed.
    """

    metric: Metric
    attempts: list[AttemptView]
    decisions: list[DecisionView] = Field(default_factory=list)
    artifacts: list[ArtifactView] = Field(default_factory=list)
    as_of_seq: int | None = None


class TrialPage(View):
    """A page of trials in the order of their numbers."""

    items: list[TrialView]
    next_after: int | None = None


class Curve(View):
    """A metric of one trial over its epochs: two lists of equal length, epochs rising."""

    trial_id: int
    number: int
    state: TrialState
    stop_reason: StopReason | None = None
    epochs: list[int]
    values: list[float]


class Curves(View):
    """Learning curves of a study in the order of trial numbers; `next_after` is the last number on this page.

    Attributes:
        num_trials: Trials that a sample was taken of; None for pages of all curves.
        how: Which of them are in the sample.
    """

    study: str
    metric: Metric
    items: list[Curve]
    next_after: int | None = None
    num_trials: int | None = None
    how: str | None = None


class MeasurementView(View):
    """One stored epoch."""

    attempt: int
    epoch: int
    metrics: dict[str, float]
    elapsed_s: float
    reported_at: datetime


class Measurements(View):
    """The epochs of a trial: its curve (each epoch once, from the latest attempt that trained it) or all attempts'."""

    trial_id: int
    items: list[MeasurementView]


class WindowView(View):
    """What a round draws of one parameter from.

    Attributes:
        low: Lower end in natural units; None for a categorical.
        high: Upper end in natural units; None for a categorical.
        unit_low: Lower end in the scale's coordinate, laid on [0, 1].
        unit_high: Upper end in the scale's coordinate, laid on [0, 1].
        weights: Probability of each choice; None for numbers.
        reason: Why, for people.
    """

    low: float | None = None
    high: float | None = None
    unit_low: float = 0.0
    unit_high: float = 1.0
    weights: list[float] | None = None
    reason: str


class Improvement(View):
    """A value that was better than all that its study had before.

    Attributes:
        number: Of the trial within its study.
        epoch: Of the trial.
        num_epochs: Epochs of the study by then, this one included.
    """

    trial_id: int
    number: int
    epoch: int
    value: float
    num_epochs: int
    at: datetime


class History(View):
    """How the best value of a study came about, the oldest improvement first.

    Attributes:
        num_epochs: Epochs of the study by now.
    """

    study: str
    metric: Metric
    num_epochs: int
    created_at: datetime
    ended_at: datetime | None = None
    items: list[Improvement]


class RoundView(View):
    """A round of the strategy.

    Attributes:
        number: From 0.
        first_trial: Number of the first trial that it proposed.
        origin: `sampler`, or `manual` if a person set its windows.
        elite: Numbers of the trials that it was made of, best first.
        windows: What it draws from, by parameter.
        model: What else the strategy keeps of it, for itself.
        num_epochs: Epochs of the study by then.
    """

    number: int
    first_trial: int
    origin: str = "sampler"
    elite: list[int] = Field(default_factory=list)
    windows: dict[str, WindowView]
    model: dict[str, Any] | None = None
    num_epochs: int = 0
    opened_at: datetime | None = None


class Rounds(View):
    """The rounds of a study, oldest first."""

    study: str
    items: list[RoundView]


class SpaceVersion(View):
    """A search space of a study.

    Attributes:
        version: 1, and one more with every edit.
        created_at: When it came into force.
    """

    version: int
    space: Space
    created_at: datetime


class Spaces(View):
    """The search spaces of a study, the oldest first; the last one is in force.

    Attributes:
        num_trials: Trials of the study.
        num_fitting: Those of them that fit the space in force: the strategy learns from them.
    """

    study: str
    num_trials: int
    num_fitting: int
    items: list[SpaceVersion]


class Skipped(View):
    """A trial that was not imported.

    Attributes:
        position: Its place among those that were offered, from 0.
        number: Its number where it comes from, if that is known.
        reason: Why, for people.
    """

    position: int
    number: int | None = None
    reason: str


class Imported(View):
    """What became of an import."""

    num_imported: int
    skipped: list[Skipped]


class EventView(View):
    """Something that happened in a study.

    Attributes:
        seq: Rises by one with each event of the study.
        kind: `study_created`, `study_changed`, `study_edited`, `trial_created`, `trial_imported`, `trial_started`,
            `measured`, `trial_paused`, `trial_requeued`, `trial_ended`, `trial_annotated` or `round_opened`.
        data: Facts of that kind; those of a trial hold `trial_id` and `number`.
    """

    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]


class ObjectiveView(View):
    """An objective that can be trained.

    Attributes:
        name: Its name in studies.
        built_in: Whether every worker offers it.
        space: Search space of a study that gives none.
        workers: How many registered workers offer it.
    """

    name: str
    built_in: bool
    space: Space | None = None
    workers: int


class Objectives(View):
    """All objectives, by name."""

    items: list[ObjectiveView]


class WorkerView(View):
    """A registered worker.

    Attributes:
        labels: What its operator says of it.
        mode: What the operator wants of it.
        slot_facts: What each of its slots does, as it said last.
        running: Trials that it holds now.
        is_alive: Whether it gave a sign of life within the lease time.
    """

    worker_id: str
    name: str
    host: str
    slots: int
    devices: list[Device]
    labels: dict[str, str] = Field(default_factory=dict)
    mode: WorkerMode = WorkerMode.WORKING
    slot_facts: list[SlotFacts] = Field(default_factory=list)
    objectives: list[str]
    running: list[int]
    is_alive: bool
    registered_at: datetime
    seen_at: datetime


class Workers(View):
    """Registered workers, the newest first."""

    items: list[WorkerView]


class Demand(View):
    """How much work there is, for programs that start and end workers.

    Attributes:
        num_running: Trials in training now.
        num_wanted: Trials that could be in training now if there were slots for all, those in training included.
    """

    num_running: int
    num_wanted: int


class HealthCheck(View):
    """One thing that must hold for the service to work.

    Attributes:
        name: `database`, `schema`, `writer` or `clockwork`.
        is_ok: Whether it holds.
        age_s: Seconds since that was looked at; None for those who are not told.
    """

    name: str
    is_ok: bool
    age_s: float | None = None


class Health(View):
    """Whether the service can work; `status` is `ok`, everything else comes as an error.

    Attributes:
        status: `ok`.
        checks: What was looked at.
    """

    status: str
    checks: list[HealthCheck] = Field(default_factory=list)
