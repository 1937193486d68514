"""Examples of the messages about the leaderboard, every field set."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from caviar.contract import ranking


def ranked(trial: dict[str, Any], metric: dict[str, Any]) -> dict[type[BaseModel], dict[str, Any]]:
    """One example of each message.

    Args:
        trial: A trial with all its fields.
        metric: A metric.
    """
    repeats = {"num": 3, "mean": 0.5, "sd": 0.01}
    noise = {"num_configurations": 2, "num_trials": 5, "sd": 0.01, "margin": 0.04}
    told = {"rank": 1, "gap": 0.25, "is_tied": True, "repeats": repeats, "device": "H200", "peak_memory_bytes": 7}
    row = {**trial, **told}
    return {
        ranking.Repeats: repeats,
        ranking.Noise: noise,
        ranking.LeaderboardRow: row,
        ranking.Leaderboard: {
            "study": "s",
            "metric": metric,
            "total": 1,
            "num_matching": 1,
            "pinned": [row],
            "items": [row],
            "next_after": 50,
            "noise": noise,
        },
        ranking.ComparedTrial: {**row, "epochs": [1, 2], "values": [0.5, 0.25]},
        ranking.Comparison: {
            "study": "s",
            "metric": metric,
            "differing": ["lr"],
            "items": [{**row, "epochs": [1], "values": [0.5]}],
            "noise": noise,
        },
        ranking.Retest: {"top": 3, "repeats": 4},
        ranking.Retested: {"items": [{"trial_id": 3, "state": "waiting", "stop_reason": None, "keep_weights": False}]},
        ranking.Annotation: {"tags": {"keep": ""}, "note": "steady\nfrom epoch 4"},
    }
