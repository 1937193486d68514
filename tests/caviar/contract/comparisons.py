"""Examples of messages about several studies."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from caviar.contract import catalogue

AT, LATER = "2026-11-21T13:00:00Z", "2026-11-21T13:00:01.250000Z"
DISTRIBUTION = {"num_trials": 3, "values": [0.5, 0.75, 1.0], "shares": [0.25, 0.5, 1.0]}
DIFFERENCE = {"field": "space.units", "values": [{"type": "int", "low": 1, "high": 8}, None]}
COMPARED = {
    "name": "digits-mlp",
    "state": "complete",
    "objective": {"name": "mlp", "config": {"dataset": "digits"}},
    "metric": {"name": "val_accuracy", "direction": "maximize"},
    "best": {"trial_id": 4, "number": 3, "value": 0.98, "epoch": 2, "params": {"units": 32}},
    "num_trials": 3,
    "num_epochs": 9,
    "slot_s": 12.5,
    "created_at": AT,
    "ended_at": LATER,
    "history": [{"trial_id": 4, "number": 3, "epoch": 2, "value": 0.98, "num_epochs": 7, "at": LATER}],
    "distribution": DISTRIBUTION,
}

EXAMPLES: dict[type[BaseModel], dict[str, Any]] = {
    catalogue.Distribution: DISTRIBUTION,
    catalogue.ComparedStudy: COMPARED,
    catalogue.SetupDifference: DIFFERENCE,
    catalogue.StudyComparison: {"items": [COMPARED, COMPARED], "differences": [DIFFERENCE]},
}
