"""What the service tells people and scripts: studies, trials, leaderboards, curves, rounds, events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from caviar.contract.model import View
from caviar.contract.space import Params, Space
from caviar.contract.states import AttemptEnd, EndReason, StopReason, StudyState, TrialState
from caviar.contract.study import Budget, EarlyStopping, Metric, ObjectiveRef, Plugin


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
        num_trials: Trials created so far.
        num_epochs: Epochs reported so far, those of lost attempts included.
        round: Number of the newest round; None for strategies without rounds.
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
    seed: int
    tags: dict[str, str]
    counts: dict[TrialState, int]
    num_trials: int
    num_epochs: int
    round: int | None = None
    best: BestTrial | None = None
    last_event_seq: int
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None


class StudyPage(View):
    """A page of studies; `next_after` goes into `after` for the next one, None on the last."""

    items: list[StudyView]
    next_after: str | None = None


class AttemptView(View):
    """One execution of a trial."""

    attempt: int
    worker_id: str
    worker: str
    first_epoch: int
    started_at: datetime
    ended_at: datetime | None = None
    end: AttemptEnd | None = None
    error: dict[str, Any] | None = None


class TrialView(View):
    """A trial and where it stands.

    Attributes:
        origin: `sampler`, or `enqueued` for a hand-made configuration.
        round: Round of the strategy that proposed it; None without rounds.
        value: Best value of the study's metric so far.
        best_epoch: Epoch of that value.
        num_epochs: Last reported epoch.
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
    attempt: int
    seed: int
    worker: str | None = None
    error: dict[str, Any] | None = None
    duration_s: float | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


class TrialDetail(TrialView):
    """A trial with its attempts, oldest first."""

    metric: Metric
    attempts: list[AttemptView]


class TrialPage(View):
    """A page of trials in the order of their numbers."""

    items: list[TrialView]
    next_after: int | None = None


class LeaderboardRow(TrialView):
    """A trial with its rank, from 1; None while it has no value."""

    rank: int | None = None


class Leaderboard(View):
    """The trials of a study, best first; those without a value last, in the order of their numbers.

    Attributes:
        total: Trials in the study.
        next_after: Goes into `after` for the next page; None on the last.
    """

    study: str
    metric: Metric
    total: int
    items: list[LeaderboardRow]
    next_after: int | None = None


class Curve(View):
    """The study's metric of one trial over its epochs: two lists of equal length, epochs rising."""

    trial_id: int
    number: int
    state: TrialState
    epochs: list[int]
    values: list[float]


class Curves(View):
    """Learning curves of a study in the order of trial numbers; `next_after` is the last number on this page."""

    study: str
    metric: Metric
    items: list[Curve]
    next_after: int | None = None


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


class RoundView(View):
    """A round of the strategy.

    Attributes:
        number: From 0.
        first_trial: Number of the first trial that it proposed.
        elite: Numbers of the trials that it was made of, best first.
        windows: What it draws from, by parameter.
    """

    number: int
    first_trial: int
    elite: list[int] = Field(default_factory=list)
    windows: dict[str, WindowView]
    opened_at: datetime | None = None


class Rounds(View):
    """The rounds of a study, oldest first."""

    study: str
    items: list[RoundView]


class EventView(View):
    """Something that happened in a study.

    Attributes:
        seq: Rises by one with each event of the study.
        kind: `study_created`, `study_changed`, `trial_created`, `trial_started`, `measured`, `trial_requeued`,
            `trial_ended` or `round_opened`.
        data: Facts of that kind; those of a trial hold `trial_id` and `number`.
    """

    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]


class Histogram(View):
    """Distribution of one parameter over a preview.

    Attributes:
        edges: Natural values at the ends of bins that are equally wide in the scale's coordinate, one more than counts;
            empty for a categorical.
        choices: The choices of a categorical; empty for numbers.
        counts: Configurations per bin or choice.
    """

    edges: list[float] = Field(default_factory=list)
    choices: list[Any] = Field(default_factory=list)
    counts: list[int]


class Cost(View):
    """What a study can cost at most; None where no limit is set.

    Attributes:
        max_trials: Trials.
        max_total_epochs: Epochs of all trials together.
        max_seconds: Wall seconds.
    """

    max_trials: int | None
    max_total_epochs: int | None
    max_seconds: float | None


class Preview(View):
    """What a study would propose, from the code that will propose it; nothing is stored."""

    configurations: list[Params]
    histograms: dict[str, Histogram]
    cost: Cost


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
        running: Trials that it holds now.
        is_alive: Whether it gave a sign of life within the lease time.
    """

    worker_id: str
    name: str
    host: str
    slots: int
    devices: list[dict[str, Any]]
    objectives: list[str]
    running: list[int]
    is_alive: bool
    registered_at: datetime
    seen_at: datetime


class Workers(View):
    """Registered workers, the newest first."""

    items: list[WorkerView]


class Health(View):
    """Whether the service can work; `status` is `ok`, everything else comes as an error."""

    status: str
