"""Our pruners beside Optuna's, on the same curves."""

from __future__ import annotations

from typing import Any, Literal

import optuna
from hypothesis import strategies as st

from caviar.contract.states import Decision, StopReason, TrialState
from service.search.mirror import Mirror
from service.search.registry import build_pruner
from tests.service.search.studies import study

VALUES = st.floats(-10, 10, width=16)
CURVE = st.lists(VALUES, min_size=1, max_size=8)
CURVES = st.lists(CURVE, max_size=12)
Directions = Literal["minimize", "maximize"]
DIRECTIONS: st.SearchStrategy[Directions] = st.sampled_from(["minimize", "maximize"])


def mirror_of(curves: list[list[float]], pruner: dict[str, Any], direction: str = "minimize") -> Mirror:
    """A study of finished trials: the first of every three pruned, the others complete."""
    mirror = Mirror(study(metric={"name": "m", "direction": direction}, pruner=pruner))
    for curve in curves:
        number = begin(mirror)
        for epoch, value in enumerate(curve, start=1):
            mirror.measure(number, epoch, value)
        if number % 3:
            mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
        else:
            mirror.end(number, TrialState.PRUNED, StopReason.PRUNED)
    return mirror


def begin(mirror: Mirror) -> int:
    """Start another trial."""
    number = len(mirror.trials)
    mirror.add(number, number + 1, mirror.space.params_at([0.5] * len(mirror.space)))
    mirror.start(number)
    return number


def compare(mirror: Mirror, theirs: optuna.pruners.BasePruner, own: list[float], data: st.DataObject) -> None:
    """Let a trial report some of its epochs, and check that both pruners decide alike after each."""
    reference = optuna.create_study(direction=mirror.metric.direction, pruner=theirs)
    for trial in mirror.trials:
        state = optuna.trial.TrialState[trial.state.name]
        reference.add_trial(optuna.trial.create_trial(state=state, value=trial.value, intermediate_values=trial.values))
    asked, number, pruner = reference.ask(), begin(mirror), build_pruner(mirror.spec)
    values: dict[int, float] = {}
    for step, value in enumerate(own, start=1):
        if not data.draw(st.booleans()):
            continue
        values[step] = value
        asked.report(value, step)
        verdict = pruner.judge(mirror, number, step, values)
        assert (verdict.decision is Decision.STOP) == asked.should_prune()
        assert verdict.evidence is not None or verdict.decision is Decision.CONTINUE
        mirror.measure(number, step, value)
