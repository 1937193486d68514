"""What the real workers train: a curve that is made up, with checkpoints, in a training process of theirs."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

import caviar

SPACE = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "y": {"type": "float", "low": 0.001, "high": 1.0, "scale": "log"},
}


@caviar.objective(name="trained", space=SPACE)
def train(trial: Any) -> None:
    """Sleep through some epochs; the value of each depends on the configuration and the epoch alone."""
    total = 0.0
    if trial.checkpoint:
        saved = json.loads((trial.checkpoint / "state.json").read_text(encoding="utf-8"))
        assert saved["epoch"] == trial.first_epoch - 1
        total = saved["total"]
    for epoch in trial.epochs():
        time.sleep(trial.config["epoch_s"])
        total += float(np.random.default_rng([trial.seed, epoch]).random())
        if trial.should_checkpoint(epoch):
            with trial.save_checkpoint(epoch) as folder:
                (folder / "state.json").write_text(json.dumps({"epoch": epoch, "total": total}), encoding="utf-8")
        trial.report(epoch, {"val_loss": (trial.params["x"] - 0.3) ** 2 + total / epoch**2})
        if trial.should_stop():
            break
