"""The study body: what to train, what to search, how, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from caviar.contract.errors import refusal
from caviar.contract.fleet import Bytes, Labels
from caviar.contract.model import STORABLE, FiniteJson, JsonObject, Label, Model, Slug
from caviar.contract.space import ParamName, Params, Space
from caviar.contract.states import StopReason, TrialState
from caviar.contract.wording import patterned

Seed = Annotated[int, Field(ge=0, lt=2**53)]
MetricName = Annotated[
    str,
    patterned(
        r"^[A-Za-z_][A-Za-z0-9_./-]{0,127}$",
        "the name of a metric: a letter or '_', then at most 127 letters, digits, '_', '.', '/' and '-'",
    ),
]
ObjectiveName = Annotated[
    str,
    patterned(
        r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$",
        "the name of an objective: a letter or '_', then at most 63 letters, digits, '_', '.' and '-'",
    ),
]
Kind = Annotated[str, patterned(r"^[a-z_]{1,40}$", "the name of a strategy or pruner: 1–40 lower-case letters and '_'")]
Tags = Annotated[dict[Label, Annotated[str, StringConstraints(max_length=1000), STORABLE]], Field(max_length=100)]
Positive = Annotated[int, Field(ge=1, lt=2**53)]
Epoch = Annotated[int, Field(ge=1, le=1_000_000)]
EpochKey = Annotated[str, patterned(r"^[1-9][0-9]{0,5}$", "a completed epoch: a whole number from 1 to 999999")]
PositiveSeconds = Annotated[float, Field(gt=0)]


class ObjectiveRef(Model):
    """Which objective to train.

    Attributes:
        name: Name of an objective that a worker offers.
        config: Fixed options of the objective; an option is either fixed here or searched by the space, not both.
    """

    name: ObjectiveName
    config: JsonObject = Field(default_factory=dict)


class Metric(Model):
    """The number by which trials are compared.

    Attributes:
        name: A metric that the objective reports each epoch.
        direction: Whether lower or higher is better.
    """

    name: MetricName = "val_loss"
    direction: Literal["minimize", "maximize"] = "minimize"

    def better(self, a: float, b: float) -> bool:
        """Whether `a` is strictly better than `b`."""
        return a < b if self.direction == "minimize" else a > b


class Plugin(Model):
    """A sampler or pruner by kind, with its options; the service checks them against its registry."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Annotated[str, STORABLE], FiniteJson] = Field(init=False)

    kind: Kind

    @property
    def options(self) -> dict[str, object]:
        """The options, without the kind."""
        return dict(self.model_extra or {})


class EarlyStopping(Model):
    """Keras's `EarlyStopping`, argument by argument.

    Attributes:
        monitor: Metric to watch; None for the study's metric.
        min_delta: Least change that counts as a gain.
        patience: Epochs without a gain after which training stops.
        mode: Whether a gain is downwards or upwards; `auto` follows the study's metric, or the name as Keras does.
        baseline: Value that must be bettered at all.
        restore_best_weights: Whether the model ends with the weights of its best epoch.
        start_from_epoch: Epochs to wait before watching.
    """

    monitor: MetricName | None = None
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    patience: Annotated[int, Field(ge=0, lt=2**31)] = 5
    mode: Literal["auto", "min", "max"] = "auto"
    baseline: float | None = None
    restore_best_weights: bool = True
    start_from_epoch: Annotated[int, Field(ge=0, lt=2**31)] = 0


class Budget(Model):
    """What a study may spend; it completes when the first limit is reached. None means no limit.

    Attributes:
        max_trials: Trials to create.
        max_epochs: Epochs of one trial.
        max_total_epochs: Epochs of all trials together, those of lost attempts included.
        max_seconds: Seconds since the study was created, pauses included.
        max_trial_seconds: Seconds of one attempt of a trial.
        max_parallel: Trials that run at the same time.
        max_stagnant_trials: Trials that end or pause in a row without a new best value of the study.
        target: Value at which the study is done, reached or bettered.
    """

    max_trials: Positive | None = 60
    max_epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    max_total_epochs: Positive | None = None
    max_seconds: PositiveSeconds | None = None
    max_trial_seconds: PositiveSeconds | None = None
    max_parallel: Positive | None = None
    max_stagnant_trials: Positive | None = None
    target: float | None = None

    @model_validator(mode="after")
    def _check_end(self) -> Self:
        if self.max_trials is None and self.max_total_epochs is None and self.max_seconds is None:
            raise refusal(
                None,
                "at least one of max_trials, max_total_epochs and max_seconds",
                "a study without any would never end",
                field="max_trials",
            )
        return self


class Checkpoints(Model):
    """Which states of a training are kept: to go on after a loss, and to use the best models.

    A trial that may be paused is kept at that epoch in any case.

    Attributes:
        every_epochs: Keep one after so many epochs since the last one; None for no such rule.
        every_s: Keep one after an epoch that ends so many seconds after the last one; None for no such rule.
        keep_best: Of how many of the best trials the service keeps the weights of the best epoch.
    """

    every_epochs: Positive | None = None
    every_s: PositiveSeconds | None = 60.0
    keep_best: Annotated[int, Field(ge=0, le=1000)] = 3


class Requires(Model):
    """What a worker must have to train a study.

    Attributes:
        device: Kind of device; None for any.
        memory_bytes: Memory of one device, at least; of a CPU, the machine's.
        labels: Labels that its operator has given it, with these values.
    """

    device: Literal["gpu", "cpu"] | None = None
    memory_bytes: Annotated[Bytes, Field(ge=1)] | None = None
    labels: Labels = Field(default_factory=dict)


Priority = Annotated[int, Field(ge=-1000, le=1000)]


class StudySpec(Model):
    """A study as it is submitted. All but `name` and `objective` have defaults.

    Attributes:
        name: Key of the study in paths.
        objective: What to train.
        metric: What to compare trials by.
        space: What to search; None for the default space of the objective.
        strategy: Where new configurations come from.
        pruner: Which trials are stopped before their last epoch.
        early_stopping: When a trial stops by its own curve; None to train all epochs.
        budget: What the study may spend.
        retries: How often a trial is run again after its worker was lost or its training failed.
        checkpoints: Which states of its trainings are kept.
        requires: What a worker must have to train it.
        priority: Workers serve studies of a higher priority first; those of the same one share them.
        seed: Seed of every draw: configurations, initial weights, splits.
        warm_start: Names of other studies whose results this one begins with, where they fit its space.
        tags: Labels for people.
    """

    name: Slug
    objective: ObjectiveRef
    metric: Metric = Metric()
    space: Space | None = None
    strategy: Plugin = Plugin(kind="coarse_to_fine")
    pruner: Plugin = Plugin(kind="asha")
    early_stopping: EarlyStopping | None = EarlyStopping()
    budget: Budget = Budget()
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    checkpoints: Checkpoints = Checkpoints()
    requires: Requires = Requires()
    priority: Priority = 0
    seed: Seed = 0
    warm_start: Annotated[list[Slug], Field(max_length=100)] = Field(default_factory=list)
    tags: Tags = Field(default_factory=dict)


class BudgetEdit(Model):
    """New limits of a live study; limits that are left out stay, None takes a limit away."""

    max_trials: Positive | None = None
    max_epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_total_epochs: Positive | None = None
    max_seconds: PositiveSeconds | None = None
    max_trial_seconds: PositiveSeconds | None = None
    max_parallel: Positive | None = None
    max_stagnant_trials: Positive | None = None
    target: float | None = None

    @model_validator(mode="after")
    def _check_epochs(self) -> Self:
        if self.max_epochs is None and "max_epochs" in self.model_fields_set:
            raise refusal(
                None, "a whole number of at least 1", "leave it out to keep the present limit", field="max_epochs"
            )
        return self


class StudyEdit(Model):
    """A change of a live study.

    Attributes:
        budget: New limits.
        space: A new search space, whole. Trials that do not fit it stay, but the strategy learns nothing from them.
        priority: Its new priority.
        requires: What a worker must have from now on, whole.
        checkpoints: Which states of trainings are kept from now on, whole.
        tags: New labels, in place of all old ones.
    """

    budget: BudgetEdit | None = None
    space: Space | None = None
    priority: Priority | None = None
    requires: Requires | None = None
    checkpoints: Checkpoints | None = None
    tags: Tags | None = None


class NewTrial(Model):
    """A hand-made configuration to be trained next.

    Attributes:
        params: A value for every active parameter of the space.
    """

    params: Params


class CloneStudy(Model):
    """A study to be started afresh.

    Attributes:
        name: Name of the new study.
    """

    name: Slug


MAX_IMPORTED = 100_000


class ImportedTrial(Model):
    """A trial that was trained elsewhere.

    Attributes:
        params: Its configuration.
        value: Best value of the study's metric; may be left out where `epochs` tells it.
        epochs: Value by completed epoch, from 1; in JSON, epochs are texts.
        best_epoch: Epoch of the value, where `epochs` does not tell it.
        num_epochs: Epochs that it was trained for. Where no epoch is told at all, the value counts as the result of a
            full training of `max_epochs`.
        state: Where it was in its life; only complete, pruned and paused trials are taken.
        stop_reason: Why it ended.
        number: Its number where it comes from, to tell what was skipped.
    """

    params: Params
    value: float | None = None
    epochs: Annotated[dict[EpochKey, float], Field(max_length=100_000)] = Field(default_factory=dict)
    best_epoch: Epoch | None = None
    num_epochs: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    state: Annotated[TrialState, Field(strict=False)] = TrialState.COMPLETE
    stop_reason: Annotated[StopReason, Field(strict=False)] | None = None
    number: Annotated[int, Field(ge=0, lt=2**53)] | None = None


class ImportTrials(Model):
    """Results to begin with: another study of this service, or trials in full.

    Attributes:
        study: Name of the other study.
        items: The trials.
        metric: Metric of the study that the items come from; refused where it is another one.
        objective: Objective of the study that the items come from; refused where it is another one.
    """

    study: Slug | None = None
    items: Annotated[list[ImportedTrial], Field(max_length=MAX_IMPORTED)] | None = None
    metric: Metric | None = None
    objective: ObjectiveRef | None = None

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if (self.study is None) == (self.items is None):
            received = "neither" if self.study is None else "both"
            raise refusal(received, "either study or items", field="study")
        for field in ("metric", "objective"):
            if self.study is not None and getattr(self, field) is not None:
                raise refusal(getattr(self, field), "nothing: the other study tells it itself", field=field)
        return self


class WindowEdit(Model):
    """What a round draws one parameter from: a range of a number, or weights of choices.

    Attributes:
        low: Lower end in natural units.
        high: Upper end in natural units.
        weights: Weight by choice, as text; choices that are left out are not drawn.
    """

    low: float | None = None
    high: float | None = None
    weights: (
        Annotated[
            dict[Annotated[str, STORABLE], Annotated[float, Field(ge=0, le=1e9)]], Field(min_length=1, max_length=1024)
        ]
        | None
    ) = None


class OpenRound(Model):
    """The next round of a strategy that works in rounds, set by hand.

    Attributes:
        windows: What it draws from, by parameter; parameters that are left out keep the window of the round before.
    """

    windows: Annotated[dict[ParamName, WindowEdit], Field(min_length=1, max_length=256)]
