"""Keeping the books of a study: what was acknowledged, and whether it is still there."""

from __future__ import annotations

from typing import Any

from caviar import Client
from caviar.contract.states import StudyState, TrialState
from caviar.contract.views import StudyView

Entry = tuple[int, int, int]
"""Trial id, attempt, epoch."""


def digits_study(name: str, **changes: Any) -> dict[str, Any]:
    """A small study of real trainings on scikit-learn's digits."""
    body: dict[str, Any] = {
        "name": name,
        "objective": {"name": "mlp", "config": {"dataset": "digits", "batch_size": 64}},
        "space": {
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "scale": "log"},
            "units": {"type": "int", "low": 16, "high": 64, "scale": "log"},
        },
        "strategy": {"kind": "random"},
        "pruner": {"kind": "none"},
        "early_stopping": None,
        "budget": {"max_trials": 6, "max_epochs": 10},
        "retries": 5,
        "seed": 3,
    }
    return {**body, **changes}


def entries(client: Client, name: str) -> dict[Entry, dict[str, float]]:
    """Every stored epoch of a study, those of lost attempts included."""
    found: dict[Entry, dict[str, float]] = {}
    for trial in client.trials(name):
        for item in client.measurements(trial.trial_id, attempts="all").items:
            key = (trial.trial_id, item.attempt, item.epoch)
            assert key not in found, f"epoch stored twice: {key}"
            found[key] = item.metrics
    return found


def num_epochs(client: Client, name: str) -> int:
    """Epochs that the service has acknowledged so far."""
    return client.study(name).num_epochs


def check_complete(client: Client, name: str, acknowledged: dict[Entry, dict[str, float]]) -> StudyView:
    """Assert that a study has completed, that nothing acknowledged is missing, and that no trial is stuck.

    Args:
        client: Of the service.
        name: Of the study.
        acknowledged: Epochs that were seen stored at an earlier time.
    """
    study = client.study(name)
    assert study.state is StudyState.COMPLETE
    stored = entries(client, name)
    missing = {key: metrics for key, metrics in acknowledged.items() if stored.get(key) != metrics}
    assert not missing
    assert len(stored) == study.num_epochs
    for trial in client.trials(name):
        assert trial.state is TrialState.COMPLETE, trial
        curve = client.measurements(trial.trial_id).items
        assert [item.epoch for item in curve] == list(range(1, study.budget.max_epochs + 1))
    return study
