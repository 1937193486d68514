"""Random histories of a mirror, for properties that must hold after any of them."""

from __future__ import annotations

from hypothesis import strategies as st

from caviar.contract.states import StopReason, TrialState
from service.search.mirror import Mirror

ENDS = [
    (TrialState.COMPLETE, StopReason.MAX_EPOCHS),
    (TrialState.COMPLETE, StopReason.EARLY_STOPPED),
    (TrialState.PRUNED, StopReason.PRUNED),
    (TrialState.FAILED, StopReason.DIVERGED),
    (TrialState.FAILED, StopReason.LOST),
    (TrialState.CANCELLED, StopReason.CANCELLED),
]
# Few distinct values, so that ties are common.
VALUES = st.integers(-5, 5).map(float)


def grow(mirror: Mirror, data: st.DataObject, *, max_steps: int = 60) -> None:
    """Let anything happen to the trials of a mirror that the service may tell it."""
    for _ in range(data.draw(st.integers(0, max_steps), label="steps")):
        numbers = range(len(mirror.trials))
        action = data.draw(
            st.sampled_from(["add", "start", "measure", "measure", "measure", "pause", "requeue", "end"])
        )
        if action == "add" or not numbers:
            number = len(numbers)
            params = mirror.space.params_at([(number * 0.37) % 1] * len(mirror.space))
            mirror.add(number, number + 1, params, is_proposed=data.draw(st.integers(0, 4)) > 0)
            continue
        number = data.draw(st.sampled_from(numbers))
        trial = mirror.trials[number]
        if action == "start" and trial.state is TrialState.PAUSED and data.draw(st.booleans()):
            last = max(trial.values)
            mirror.start(number, first_epoch=last + 1, promoted_epoch=max(last, trial.promoted_epoch))
        elif action == "start":
            mirror.start(number, first_epoch=data.draw(st.integers(1, 4)))
        elif action == "measure" and trial.state is TrialState.RUNNING:
            mirror.measure(number, max(trial.values, default=0) + data.draw(st.integers(1, 3)), data.draw(VALUES))
        elif action == "pause" and trial.state is TrialState.RUNNING and trial.values:
            mirror.pause(number)
        elif action == "requeue" and trial.state is TrialState.RUNNING:
            mirror.requeue(number)
        elif action == "end" and trial.state is TrialState.RUNNING:
            mirror.end(number, *data.draw(st.sampled_from(ENDS)))
