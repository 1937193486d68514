"""The median stopping rule, against Optuna's."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import optuna
from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.states import Decision, StopReason, TrialState
from service.search.mirror import Mirror
from service.search.pruners.median import median
from service.search.registry import build_pruner
from tests.service.search.studies import study

CURVES = st.lists(st.lists(st.floats(-10, 10, width=16), min_size=1, max_size=8), max_size=12)
OPTIONS = st.fixed_dictionaries(
    {
        "n_startup_trials": st.integers(0, 4),
        "n_warmup_steps": st.integers(0, 4),
        "interval_steps": st.integers(1, 3),
        "n_min_trials": st.integers(1, 3),
    }
)


def mirror_of(curves: list[list[float]], options: dict[str, Any], direction: str) -> Mirror:
    mirror = Mirror(study(metric={"name": "m", "direction": direction}, pruner={"kind": "median"} | options))
    for number, curve in enumerate(curves):
        mirror.add(number, number + 1, mirror.space.params_at([0.5] * len(mirror.space)))
        mirror.start(number)
        for epoch, value in enumerate(curve, start=1):
            mirror.measure(number, epoch, value)
        if number % 3:
            mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
        else:
            mirror.end(number, TrialState.PRUNED, StopReason.PRUNED)
    return mirror


@given(CURVES, st.lists(st.floats(-10, 10, width=16), min_size=1, max_size=8), OPTIONS, st.booleans(), st.data())
def test_it_decides_as_optuna(
    curves: list[list[float]], own: list[float], options: dict[str, Any], is_minimized: bool, data: st.DataObject
) -> None:
    direction: Literal["minimize", "maximize"] = "minimize" if is_minimized else "maximize"
    mirror = mirror_of(curves, options, direction)
    theirs = optuna.create_study(direction=direction, pruner=optuna.pruners.MedianPruner(**options))
    for trial in mirror.trials:
        state = optuna.trial.TrialState[trial.state.name]
        theirs.add_trial(optuna.trial.create_trial(state=state, value=trial.value, intermediate_values=trial.values))
    asked, number = theirs.ask(), len(mirror.trials)
    mirror.add(number, number + 1, mirror.space.params_at([0.5] * len(mirror.space)))
    mirror.start(number)
    pruner, values = build_pruner(mirror.spec), {}
    for step, value in enumerate(own, start=1):
        if data.draw(st.booleans()):
            continue
        values[step] = value
        asked.report(value, step)
        verdict = pruner.judge(mirror, number, step, values)
        assert (verdict.decision is Decision.STOP) == asked.should_prune()
        mirror.measure(number, step, value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_the_median_is_numpys(values: list[float]) -> None:
    assert median(sorted(values)) == float(np.percentile(values, 50))


def test_evidence_of_a_stop() -> None:
    mirror = mirror_of([[9.0], [1.0, 1.0], [3.0, 3.0]], {"n_startup_trials": 2}, "minimize")
    mirror.add(3, 4, mirror.space.params_at([0.5] * len(mirror.space)))
    mirror.start(3)
    verdict = build_pruner(mirror.spec).judge(mirror, 3, 2, {1: 4.0, 2: 5.0})
    assert verdict.decision is Decision.STOP
    assert verdict.evidence == {"rule": "median", "epoch": 2, "value": 4.0, "threshold": 2.0, "peers": 2}


def test_a_retried_trial_is_no_peer_any_more() -> None:
    mirror = mirror_of([[9.0], [1.0], [1.0]], {"n_startup_trials": 1}, "minimize")
    pruner = build_pruner(mirror.spec)
    mirror.add(3, 4, mirror.space.params_at([0.5] * len(mirror.space)))
    assert pruner.judge(mirror, 3, 1, {1: 2.0}).decision is Decision.STOP
    for number in (1, 2):
        mirror.requeue(number)
    assert pruner.judge(mirror, 3, 1, {1: 2.0}).evidence is None
