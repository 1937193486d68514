"""KerasTuner's RandomSearch on the models of small trials, in one process, as its users run it.

Started by `benchmarks/small_trials.py`; prints the seconds of each trial as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_tuner

from benchmarks.trials.models import config, space
from worker.objectives.mlp import MlpObjective


class _Timed(keras_tuner.RandomSearch):
    """Notes when trials end."""

    ends: list[float]

    def on_trial_end(self, trial: Any) -> None:
        """Note the time."""
        super().on_trial_end(trial)
        self.ends.append(time.perf_counter())


def main() -> None:
    """Search."""
    is_varied, num_trials, num_epochs = sys.argv[1] == "varied", int(sys.argv[2]), int(sys.argv[3])
    options = config(is_varied=is_varied)
    objective = MlpObjective(config=options)

    def build(hp: Any) -> Any:
        params = {name: _choice(hp, name, part) for name, part in space(is_varied=is_varied).items()}
        return objective.build(params)

    train, validation = objective.data({})
    with tempfile.TemporaryDirectory() as folder:
        tuner = _Timed(build, objective="val_loss", max_trials=num_trials, directory=folder, overwrite=True, seed=1)
        tuner.ends = []
        tuner.search(*train, validation_data=validation, epochs=num_epochs, batch_size=options["batch_size"], verbose=0)
    print(json.dumps([later - earlier for earlier, later in zip(tuner.ends, tuner.ends[1:], strict=False)]))


def _choice(hp: Any, name: str, part: dict[str, Any]) -> Any:
    if part["type"] == "int":
        return hp.Int(name, part["low"], part["high"])
    return hp.Float(name, part["low"], part["high"], sampling="log" if part.get("scale") == "log" else "linear")


if __name__ == "__main__":
    main()
