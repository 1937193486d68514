"""Examples of the messages that pictures are drawn from."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from caviar.contract import points

_METRIC = {"name": "val_accuracy", "direction": "maximize"}
_AXIS = {"name": "lr", "units": [0.25, 0.75], "params": [0.001, 0.1]}

EXAMPLES: dict[type[BaseModel], dict[str, Any]] = {
    points.Points: {
        "study": "s",
        "metric": _METRIC,
        "total": 9,
        "num_shown": 2,
        "how": "all trials",
        "trial_ids": [3, 4],
        "numbers": [2, 3],
        "states": ["complete", "waiting"],
        "rounds": [0, None],
        "values": [0.5, None],
        "epochs": [7, 0],
        "params": {"lr": [0.001, None], "opt": ["sgd", True]},
        "units": {"lr": [0.25, None], "opt": [0.125, 0.375]},
    },
    points.ContourAxis: _AXIS,
    points.Contour: {
        "study": "s",
        "metric": _METRIC,
        "x": _AXIS,
        "y": {"name": "opt", "units": [0.125, 0.375], "params": ["sgd", True]},
        "grid": [[0.5, None], [0.25, 1.0]],
        "num_trials": 9,
        "how": "a mean",
    },
}
