"""What is worth knowing about a study that nothing is wrong with."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from caviar.contract.space import CategoricalParameter, FloatParameter, IntParameter
from caviar.contract.study import StudySpec
from service.search.registry import build_sampler
from service.search.rungs import RungOptions
from service.web import formats
from service.web.forms.draft import Draft

_WIDE = 100.0
_NEAR_ONE = 10.0
_LOSS = re.compile(r"(^|_)(loss|mae|mse|rmse|error)$")
_SCORE = re.compile(r"(^|_)(accuracy|acc|auc|f1|score|precision|recall|r2)$")


@dataclass(frozen=True, slots=True)
class Advice:
    """Something worth knowing.

    Attributes:
        at: Name of the input that it is about.
        text: What, and what to do about it.
        act: What a button would do about it, in the words of `Draft.edit`; empty for none.
        offer: What the button says.
    """

    at: str
    text: str
    act: str = ""
    offer: str = ""


def advise(draft: Draft, spec: StudySpec, size: int | None) -> list[Advice]:
    """All that is worth knowing, in the order of the form.

    Args:
        draft: The form, to say at which input.
        spec: The study that it stands for, its space set.
        size: How many configurations the strategy can propose; None for no limit.
    """
    return [*_scales(draft, spec), *_metric(spec), *_length(spec, size), *_pruning(spec)]


def _scales(draft: Draft, spec: StudySpec) -> Iterator[Advice]:
    keys = {row["name"].strip(): key for key, row in draft.rows["space"].items()}
    for name, parameter in spec.space.items() if spec.space else ():
        if isinstance(parameter, CategoricalParameter) or parameter.scale != "linear":
            continue
        at = f"space.{keys[name]}.scale"
        middle = formats.number((parameter.low + parameter.high) / 2, 3)
        if _is_near_one(parameter):
            text = f"on a linear scale half of the draws lie below {middle}; the 1−β scale looks closer near 1"
            yield Advice(at, text, f"set {at} reverse_log", "Use 1−β")
        elif parameter.low > 0 and parameter.high / parameter.low >= _WIDE:
            decades = formats.number(math.log10(parameter.high / parameter.low), 2)
            text = f"on a linear scale half of the draws lie above {middle}, of a range over {decades} decades"
            yield Advice(at, text, f"set {at} log", "Use log")


def _is_near_one(parameter: FloatParameter | IntParameter) -> bool:
    if parameter.type != "float" or parameter.step is not None or not 0.5 <= parameter.low < parameter.high < 1:
        return False
    return (1 - parameter.low) / (1 - parameter.high) >= _NEAR_ONE


def _metric(spec: StudySpec) -> Iterator[Advice]:
    name, direction = spec.metric.name, spec.metric.direction
    if direction == "maximize" and _LOSS.search(name):
        yield Advice("metric.direction", f"{name} looks like a loss, and the highest would win", *_turn("minimize"))
    if direction == "minimize" and _SCORE.search(name):
        yield Advice("metric.direction", f"{name} looks like a score, and the lowest would win", *_turn("maximize"))
    searched = [name for name in ("l1", "l2") if spec.space and name in spec.space]
    if spec.objective.name == "mlp" and searched and name in ("loss", "val_loss"):
        text = (
            f"{name} includes the penalty of {searched[0]}, so none at all would win; compare val_accuracy or val_mse"
        )
        yield Advice("metric.name", text)


def _turn(direction: str) -> tuple[str, str]:
    return f"set metric.direction {direction}", f"{direction.capitalize()} it"


def _length(spec: StudySpec, size: int | None) -> Iterator[Advice]:
    limit = spec.budget.max_trials
    if size is not None and limit is not None and size < limit:
        text = f"there are only {formats.count(size)} configurations, so the study ends after as many trials"
        yield Advice("budget.max_trials", text)
    if spec.strategy.kind == "grid" and size is not None and limit is not None and size > limit:
        text = f"the grid has {formats.count(size)} configurations, of which {formats.count(limit)} are tried"
        yield Advice("budget.max_trials", text)
    options = build_sampler(spec).__dict__.get("options")
    for name in ("startup_trials", "n_startup_trials"):
        startup = getattr(options, name, None)
        if startup is not None and limit is not None and startup >= limit:
            text = f"the first {startup} trials only look around, so {spec.strategy.kind} never learns from {limit}"
            yield Advice("budget.max_trials", text)
    if spec.early_stopping and spec.early_stopping.patience >= spec.budget.max_epochs:
        text = f"a patience of {spec.early_stopping.patience} never ends a trial of {spec.budget.max_epochs} epochs"
        yield Advice("early_stopping.patience", text)


def _pruning(spec: StudySpec) -> Iterator[Advice]:
    if spec.pruner.kind in ("asha", "hyperband"):
        rungs = RungOptions.model_validate(spec.pruner.options)
        if not rungs.epochs(spec.budget.max_epochs):
            text = f"trials of {spec.budget.max_epochs} epochs end before the first comparison at {rungs.min_resource}"
            yield Advice("pruner.kind", text)
