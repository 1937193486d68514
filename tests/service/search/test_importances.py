"""Importances find what matters, in studies of every kind, and say 0 where nothing does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from caviar.contract.analysis import ImportanceMethod
from caviar.contract.space import Params
from caviar.contract.states import StopReason, TrialState
from service.search.draws import uniforms
from service.search.importances import MIN_TRIALS, Compared, Importance, compared_trials, importances
from service.search.mirror import Mirror
from tests.service.search.studies import Play, study

BOTH = pytest.mark.parametrize("method", list(ImportanceMethod))
NUMBERS: dict[str, Any] = {
    "rate": {"type": "float", "low": 1e-6, "high": 1.0, "scale": "log"},
    "beta": {"type": "float", "low": 0.9, "high": 0.999, "scale": "reverse_log"},
    "layers": {"type": "int", "low": 1, "high": 4},
    "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
}
CONDITIONAL: dict[str, Any] = {
    "kind": {"type": "categorical", "choices": ["sgd", "adam"]},
    "momentum": {"type": "float", "low": 0.0, "high": 1.0, "when": {"kind": ["sgd"]}},
    "beta": {"type": "float", "low": 0.0, "high": 1.0, "when": {"kind": ["adam"]}},
    "idle": {"type": "float", "low": 0.0, "high": 1.0},
}


def trained(
    space: dict[str, Any], loss: Callable[[Params], float], num_trials: int = 200, **changes: Any
) -> tuple[Mirror, list[Params]]:
    """A study whose trials lie anywhere and are complete after one epoch."""
    mirror = Mirror(study(space=space, **changes))
    for number in range(num_trials):
        params = mirror.space.params_at(uniforms(len(mirror.space), 3, number, "test"))
        mirror.add(number, number + 1, params)
        mirror.start(number)
        mirror.measure(number, 1, loss(params))
        mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    return mirror, [trial.params for trial in mirror.trials]


def found(mirror: Mirror, method: ImportanceMethod) -> dict[str, float]:
    items = importances(compared_trials(mirror), method)
    assert sum(item.importance for item in items) == pytest.approx(1)
    assert [item.importance for item in items] == sorted((item.importance for item in items), reverse=True)
    return {item.name: item.importance for item in items}


@BOTH
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_parameter_that_decides_comes_first(method: ImportanceMethod, direction: str) -> None:
    sign = 1 if direction == "minimize" else -1
    metric = {"name": "val_loss", "direction": direction}
    mirror, _ = trained(NUMBERS, lambda p: sign * ((float(p["beta"]) < 0.99) * 5 + float(p["beta"])), metric=metric)
    weights = found(mirror, method)
    assert next(iter(weights)) == "beta"
    assert weights["beta"] > 0.6


@BOTH
def test_importances_are_those_of_the_scales_coordinate(method: ImportanceMethod) -> None:
    # In natural units the lowest five decades of the rate would be one point, and nothing could depend on them.
    mirror, _ = trained(NUMBERS, lambda p: abs(mirror_log(p["rate"]) + 4.5))
    weights = found(mirror, method)
    assert next(iter(weights)) == "rate"
    assert weights["rate"] > 0.7


def mirror_log(value: Any) -> float:
    """Decades of a value."""
    digits = f"{float(value):e}"
    mantissa, exponent = digits.split("e")
    return int(exponent) + float(mantissa) / 10


@BOTH
def test_an_unordered_choice_can_decide(method: ImportanceMethod) -> None:
    mirror, _ = trained(NUMBERS, lambda p: {"a": 1.0, "b": 0.0, "c": 2.0}[str(p["kind"])])
    assert next(iter(found(mirror, method))) == "kind"


@BOTH
def test_a_conditional_parameter_counts_where_it_applies(method: ImportanceMethod) -> None:
    mirror, configurations = trained(CONDITIONAL, lambda p: float(p.get("momentum", 0.5)), num_trials=300)
    items = {item.name: item for item in importances(compared_trials(mirror), method)}
    assert items["momentum"].importance > 5 * items["beta"].importance
    assert items["momentum"].importance > 5 * items["idle"].importance
    assert items["momentum"].num_trials == sum("momentum" in params for params in configurations)
    assert items["momentum"].num_trials + items["beta"].num_trials == items["idle"].num_trials == 300


def test_a_parameter_of_few_trials_explains_little_of_the_whole() -> None:
    """The same effect counts by the share of the trials that have it."""

    def momentum_of(choices: list[str]) -> float:
        space = {**CONDITIONAL, "kind": {"type": "categorical", "choices": choices}}
        space["beta"] = {**space["beta"], "when": {"kind": [choices[-1]]}}
        mirror, _ = trained(space, lambda p: float(p.get("momentum", p["idle"])), num_trials=150)
        return found(mirror, ImportanceMethod.FANOVA)["momentum"]

    assert momentum_of(["sgd", "adam"]) > 1.2 * momentum_of(["sgd", "a", "b", "c", "d", "adam"])


@BOTH
def test_whole_numbers_that_decide_nothing_have_no_importance(method: ImportanceMethod) -> None:
    """Few distinct values must not pass for a pattern."""
    space = {
        **NUMBERS,
        "width": {"type": "int", "low": 1, "high": 512, "scale": "log"},
        "size": {"type": "categorical", "choices": ["s", "m", "l"], "ordered": True},
        "drop": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.1},
    }
    mirror, _ = trained(space, lambda p: float(p["beta"]), num_trials=1000)
    weights = found(mirror, method)
    assert all(weights[name] < 0.03 for name in ("layers", "width", "size", "drop", "kind", "rate"))


@BOTH
def test_nothing_varies_nothing_matters(method: ImportanceMethod) -> None:
    mirror, _ = trained(NUMBERS, lambda p: 1.0, num_trials=40)
    items = importances(compared_trials(mirror), method)
    assert {item.name for item in items} == set(NUMBERS)
    assert all(item.importance == 0 for item in items)


@BOTH
@pytest.mark.parametrize("num_good", [1, 3, 5, 39])
def test_many_equal_values_are_no_trouble(method: ImportanceMethod, num_good: int) -> None:
    counter = iter(range(40))
    mirror, _ = trained(NUMBERS, lambda p: float(next(counter) >= num_good), num_trials=40)
    assert found(mirror, method)


@BOTH
def test_the_same_trials_give_the_same_numbers(method: ImportanceMethod) -> None:
    mirror, _ = trained(NUMBERS, lambda p: float(p["rate"]) + float(p["beta"]), num_trials=60)
    compared = compared_trials(mirror)
    assert importances(compared, method) == importances(compared, method)


@BOTH
def test_a_study_that_pauses_most_of_its_trials_has_importances(method: ImportanceMethod) -> None:
    """The curve's place is what counts: few trials are complete, and their values alone would say little."""
    mirror = Mirror(study(space=NUMBERS, pruner={"kind": "asha"}))
    for number in range(120):
        params = mirror.space.params_at(uniforms(4, 5, number, "test"))
        loss = abs(float(params["layers"]) - 3)
        mirror.add(number, number + 1, params)
        mirror.start(number)
        # What is good climbs; the loss falls with the epochs, so at unlike epochs values say nothing.
        top = 16 if loss == 0 else 8 if loss == 1 else 2
        for epoch in range(1, top + 1):
            mirror.measure(number, epoch, loss + 10 / epoch + 0.1 * float(params["rate"]))
        if top == 16:
            mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
        else:
            mirror.pause(number)
    compared = compared_trials(mirror)
    assert len(compared.trials) == 120
    assert found(mirror, method)["layers"] > 0.5


def test_only_settled_trials_that_fit_are_compared_and_failures_come_last() -> None:
    mirror, _ = trained(NUMBERS, lambda p: float(p["rate"]), num_trials=12)
    ends: list[tuple[TrialState, StopReason]] = [
        (TrialState.FAILED, StopReason.DIVERGED),
        (TrialState.FAILED, StopReason.LOST),
        (TrialState.CANCELLED, StopReason.CANCELLED),
    ]
    for number in range(12, 17):
        mirror.add(number, number + 1, mirror.space.params_at([number / 20] * 4))
        mirror.start(number)
        mirror.measure(number, 2, -1.0)
    for number, end in zip(range(12, 15), ends, strict=True):
        mirror.end(number, *end)
    mirror.add(17, 18, {"rate": 7.0})
    mirror.start(17)
    mirror.end(17, TrialState.FAILED, StopReason.DIVERGED)
    compared = compared_trials(mirror)
    # Twelve complete, one cancelled with a value, one diverged; lost, running and misfitting ones are not compared.
    assert [trial.place for trial in compared.trials] == list(range(14))
    assert compared.trials[-1].units == tuple(mirror.trials[12].units)


def test_a_study_played_through_is_compared_whole() -> None:
    mirror = Play(study(pruner={"kind": "median"})).until(60).mirror
    compared = compared_trials(mirror)
    assert len(compared.trials) >= MIN_TRIALS
    ranked: list[Importance] = importances(compared, ImportanceMethod.PED_ANOVA)
    assert {item.name for item in ranked} == set(mirror.space.names)


def test_the_forest_takes_a_share_of_a_long_study() -> None:
    mirror, _ = trained({"rate": NUMBERS["rate"], "layers": NUMBERS["layers"]}, lambda p: float(p["layers"]), 1200)
    compared = compared_trials(mirror)
    items = importances(compared, ImportanceMethod.FANOVA)
    assert items[0].name == "layers"
    assert items[0].num_trials == 1200
    assert isinstance(compared, Compared)


def test_the_service_starts_without_scikit_learn() -> None:
    code = "import sys, service.app; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
