"""Rungs and timeline with every field set."""

from __future__ import annotations

from typing import Any

from caviar.contract import rungs, timeline

_AT, _LATER = "2026-11-21T13:00:00Z", "2026-11-21T13:00:01.250000Z"
_EVIDENCE = {"rule": "asha", "rung": 2, "value": 0.5, "threshold": None}
_ENTRY: dict[str, Any] = {"trial_id": 3, "number": 2, "value": 0.5, "fate": "paused", "evidence": _EVIDENCE}
_RUNG: dict[str, Any] = {
    "epoch": 2,
    "num_reached": 3,
    "fates": {"promoted": 1, "paused": 2},
    "threshold": 0.25,
    "threshold_number": 2,
    "best": [_ENTRY],
    "sample": {"paused": [0.5]},
}
_BRACKET: dict[str, Any] = {"number": 0, "share": 1.0, "num_trials": 4, "num_at_end": 1, "rungs": [_RUNG]}
_STOP: dict[str, Any] = {"trial_id": 3, "number": 2, "epoch": 4, "value": 0.5, "evidence": _EVIDENCE}
_STOPS = {"epoch": 4, "num_reached": 5, "num_stopped": 1}
_BAR: dict[str, Any] = {
    "trial_id": 3,
    "number": 2,
    "attempt": 1,
    "first_epoch": 1,
    "started_at": _AT,
    "ended_at": _LATER,
    "kind": "lost",
    "num_merged": 2,
}
_LANE = {"slot": 0, "bars": [_BAR]}
_WORKER: dict[str, Any] = {
    "worker_id": "w",
    "worker": "box",
    "slots": 4,
    "num_attempts": 2,
    "busy_s": 1.5,
    "share": 0.5,
    "lanes": [_LANE],
    "load": [0.5, 1.0],
}
_MARK = {"number": 1, "opened_at": _AT}

PROGRESS: dict[Any, Any] = {
    rungs.RungEntry: _ENTRY,
    rungs.Rung: _RUNG,
    rungs.Bracket: _BRACKET,
    rungs.Stop: _STOP,
    rungs.EpochStops: _STOPS,
    rungs.Rungs: {
        "study": "digits-mlp",
        "metric": {"name": "val_loss", "direction": "minimize"},
        "pruner": "asha",
        "reduction_factor": 4,
        "promotes": True,
        "num_trials": 8,
        "num_looked_at": 4,
        "brackets": [_BRACKET],
        "stops": [_STOPS],
        "newest_stops": [_STOP],
    },
    timeline.Bar: _BAR,
    timeline.Lane: _LANE,
    timeline.WorkerTime: _WORKER,
    timeline.RoundMark: _MARK,
    timeline.Timeline: {
        "study": "digits-mlp",
        "begun_at": _AT,
        "last_at": _LATER,
        "from_at": _AT,
        "to_at": _LATER,
        "num_attempts": 2,
        "num_lost": 1,
        "is_dense": True,
        "counted_every": 2,
        "workers": [_WORKER],
        "rounds": [_MARK],
    },
}
