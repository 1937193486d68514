"""The study body: what to train, what to search, how, and for how long."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from caviar.contract.errors import refusal
from caviar.contract.model import STORABLE, FiniteJson, JsonObject, Label, Model, Slug
from caviar.contract.space import Params, Space
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
        target: Value at which the study is done, reached or bettered.
    """

    max_trials: Positive | None = 60
    max_epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    max_total_epochs: Positive | None = None
    max_seconds: PositiveSeconds | None = None
    max_trial_seconds: PositiveSeconds | None = None
    max_parallel: Positive | None = None
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
        seed: Seed of every draw: configurations, initial weights, splits.
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
    seed: Seed = 0
    tags: Tags = Field(default_factory=dict)


class BudgetEdit(Model):
    """New limits of a live study; limits that are left out stay, None takes a limit away."""

    max_trials: Positive | None = None
    max_epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_total_epochs: Positive | None = None
    max_seconds: PositiveSeconds | None = None
    max_trial_seconds: PositiveSeconds | None = None
    max_parallel: Positive | None = None
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
        tags: New labels, in place of all old ones.
    """

    budget: BudgetEdit | None = None
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
