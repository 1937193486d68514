"""The grounds of decisions and ends, in words."""

from __future__ import annotations

from typing import Any

import pytest

from caviar.contract.study import Metric
from service.web.tables import evidence

ASHA = {"rule": "asha", "epoch": 9, "rung": 8, "value": 0.41, "threshold": 0.32, "rank": 12, "kept": 9, "peers": 27}
PLACE = "asha, rung 8: 0.41 is number 12 of 28 that came here"


def told(body: dict[str, Any], direction: str = "minimize") -> str:
    """The words for some evidence, with usual spaces."""
    words = evidence.grounds(body, Metric(name="val_loss", direction=direction))  # type: ignore[arg-type]  # One of two.
    return words.replace("\u202f", " ")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (ASHA, f"{PLACE}; the best 9 go on, which takes 0.32"),
        (
            ASHA | {"kept": 1, "last_call": True},
            f"{PLACE}; the best one goes on, which takes 0.32; the last call sends the best one of a rung on",
        ),
        (ASHA | {"kept": 0, "threshold": None}, f"{PLACE}, too few for one to go on yet"),
        (
            ASHA | {"peers": 0, "rank": 1},
            "asha, rung 8: 0.41 is the first to come here, so there is nobody to be better than yet",
        ),
        (
            {"rule": "median", "epoch": 3, "value": 0.5, "threshold": 0.4, "peers": 7},
            "median: 0.5 is worse than the median of 7 complete trials at this epoch, 0.4",
        ),
        (
            {"rule": "percentile", "epoch": 3, "value": 0.3, "threshold": 0.4, "peers": 1},
            "percentile: 0.3 is no worse than the percentile of 1 complete trial at this epoch, 0.4",
        ),
        (
            {"rule": "threshold", "epoch": 3, "value": 2.0, "threshold": 1.5, "peers": 0},
            "threshold: 2 is above the limit 1.5",
        ),
        (
            {
                "rule": "wilcoxon",
                "epoch": 3,
                "value": 0.5,
                "threshold": 0.1,
                "p_value": 0.031,
                "best_trial": 4,
                "peers": 1,
            },
            "wilcoxon: against trial 4, the best complete one, p = 0.031, below 0.1",
        ),
        (
            {"rule": "patient", "epoch": 9, "value": 0.5, "threshold": 0.4, "peers": 0},
            "patient: the best of the last epochs, 0.5, is worse than 0.4 before",
        ),
        (
            {"rule": "early_stopping", "epoch": 17, "value": 0.095, "best_epoch": 12, "patience": 5},
            "early stopping: 0.095 at epoch 12 was not bettered by epoch 17, with patience 5",
        ),
        ({"rule": "max_epochs", "epoch": 30, "threshold": 30}, "all 30 epochs are done"),
        (
            {"rule": "max_trial_seconds", "epoch": 4, "threshold": 60.0},
            "the attempt had used up its 1 min, after epoch 4",
        ),
        ({"rule": "by_hand", "epoch": 4}, "by hand, after epoch 4"),
        ({"rule": "target", "epoch": 4, "value": 0.09, "threshold": 0.1}, "0.09 reaches the study's target 0.1"),
        ({"rule": "target", "epoch": 0}, "before its first epoch: the study reached its target"),
        ({"rule": "max_seconds", "epoch": 4}, "after epoch 4: the study's time was up"),
        ({"rule": "stopped", "epoch": 4}, "after epoch 4: the study was stopped by hand"),
        (
            {"rule": "max_total_epochs", "epoch": 4, "value": 1000, "threshold": 1000},
            "after epoch 4: the study's epochs were spent, 1 000",
        ),
        (
            {"rule": "retries", "retries": 1, "attempts_charged": 2, "detail": "the lease ran out"},
            "2 attempts lost or failed, 1 retry allowed: the lease ran out",
        ),
        (
            {"rule": "failed", "epoch": 0, "attempt": 3, "retries": 2, "attempts_charged": 3},
            "the training raised an error, before the first epoch of attempt 3; 3 attempts charged, 2 retries allowed",
        ),
        (
            {"rule": "diverged", "epoch": 5, "attempt": 1},
            "val_loss became infinite or not a number, after epoch 5 of attempt 1",
        ),
        (
            {
                "rule": "out_of_memory",
                "epoch": 0,
                "alone": True,
                "attempts": 2,
                "device_name": "H200",
                "peak_memory_bytes": 2**30,
            },
            "out of memory even alone on H200, where it held 1 GiB, in attempt 2",
        ),
        ({"rule": "asha", "epoch": 9}, "rule asha, epoch 9"),
        ({"rule": "of_another_version", "epoch": 9, "loss": 0.5}, "rule of_another_version, epoch 9, loss 0.5"),
        ({}, ""),
    ],
)
def test_every_rule_is_told_in_words(body: dict[str, Any], words: str) -> None:
    assert told(body) == words


def test_better_follows_the_direction() -> None:
    body = {"rule": "median", "epoch": 3, "value": 0.5, "threshold": 0.4, "peers": 7}
    assert "no worse than" in told(body, "maximize")


def test_the_end_of_the_study_is_added() -> None:
    assert told(ASHA | {"study_ended": "max_trials"}).endswith("which takes 0.32; then the study had all its trials")


def test_decisions_are_words() -> None:
    assert [evidence.decided(word) for word in ("continue", "pause", "stop", "promote", "else_what")] == [
        "goes on",
        "paused",
        "stopped",
        "promoted",
        "else what",
    ]
