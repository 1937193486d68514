"""Answers of the story in `examples` that tell how its study went."""

from __future__ import annotations

from typing import Any

PROGRESS: dict[str, Any] = {
    "read_rungs": {
        "study": "digits-mlp",
        "metric": {"name": "val_loss", "direction": "minimize"},
        "pruner": "asha",
        "reduction_factor": 4,
        "promotes": True,
        "num_trials": 1,
        "num_looked_at": 1,
        "brackets": [
            {
                "number": 0,
                "share": 1.0,
                "num_trials": 1,
                "num_at_end": 0,
                "rungs": [
                    {
                        "epoch": 2,
                        "num_reached": 1,
                        "fates": {"paused": 1},
                        "threshold": None,
                        "threshold_number": 0,
                        "best": [{"trial_id": 1, "number": 0, "value": 0.412, "fate": "paused", "evidence": None}],
                        "sample": {"paused": [0.412]},
                    }
                ],
            }
        ],
        "stops": [],
        "newest_stops": [],
    },
    "read_timeline": {
        "study": "digits-mlp",
        "begun_at": "2026-11-21T09:00:00Z",
        "last_at": "2026-11-21T09:00:02Z",
        "from_at": "2026-11-21T09:00:00Z",
        "to_at": "2026-11-21T09:00:02Z",
        "num_attempts": 1,
        "num_lost": 0,
        "is_dense": False,
        "counted_every": 1,
        "workers": [
            {
                "worker_id": "5f0c7a52-93a1-4d6b-9a3e-0d2f5c1b7e11",
                "worker": "box-1",
                "slots": 4,
                "num_attempts": 1,
                "busy_s": 1.0,
                "share": 0.125,
                "lanes": [
                    {
                        "slot": 0,
                        "bars": [
                            {
                                "trial_id": 1,
                                "number": 0,
                                "attempt": 1,
                                "first_epoch": 1,
                                "started_at": "2026-11-21T09:00:01Z",
                                "ended_at": None,
                                "kind": "running",
                                "num_merged": 1,
                            }
                        ],
                    }
                ],
                "load": [],
            }
        ],
        "rounds": [{"number": 0, "opened_at": "2026-11-21T09:00:01Z"}],
    },
}
"""Rungs and timeline, by operation."""
