"""Small trials on one Keras backend, in this process. Started by `benchmarks/backends.py`; prints figures as JSON."""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.trials.models import config, space

_STARTED = time.perf_counter()


def _memory_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _draw(chance: random.Random, space: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    draw = {"int": chance.randint, "float": chance.uniform}
    return {name: draw[part["type"]](part["low"], part["high"]) for name, part in space.items()}


class _Bench:
    """A trainer of the worker, without a worker."""

    def __init__(self, folder: Path, num_epochs: int) -> None:
        from worker.checkpoints.shelf import Shelf
        from worker.fitting import Trainer
        from worker.objectives.loading import BUILTIN

        self._trainer = Trainer(BUILTIN, folder, None, Shelf(folder / "resume"), lambda _epoch: None)
        self._num_epochs = num_epochs
        self._chance = random.Random(1)

    def train(self, *, is_varied: bool) -> float:
        """Seconds of a trial."""
        from caviar.contract.messages import Assignment
        from caviar.contract.states import Outcome
        from caviar.contract.study import Metric, ObjectiveRef
        from worker.callbacks import StopRequest

        assignment = Assignment(
            trial_id=1,
            study="backends",
            number=0,
            attempt=1,
            lease="none",
            lease_ttl_s=60.0,
            params=_draw(self._chance, space(is_varied=is_varied)),
            seed=self._chance.getrandbits(31),
            data_seed=0,
            objective=ObjectiveRef(name="mlp", config=config(is_varied=is_varied)),
            metric=Metric(),
            first_epoch=1,
            max_epochs=self._num_epochs,
            max_trial_seconds=None,
            early_stopping=None,
        )
        started = time.perf_counter()
        result = self._trainer.train(assignment, StopRequest())
        if result.outcome is not Outcome.COMPLETE:
            raise RuntimeError(f"a trial ended as {result.outcome}: {result.error}")
        return time.perf_counter() - started


def main() -> None:
    """Train."""
    num_trials, num_epochs = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(Path(folder), num_epochs)
        start_s, start_bytes = time.perf_counter() - _STARTED, _memory_bytes()
        first_s = bench.train(is_varied=False)
        same = [bench.train(is_varied=False) for _ in range(num_trials)]
        before = _memory_bytes()
        varied = [bench.train(is_varied=True) for _ in range(num_trials)]
    figures = {
        "start_s": start_s,
        "start_bytes": start_bytes,
        "first_s": first_s,
        "same_s": statistics.median(same),
        "varied_s": statistics.median(varied),
        "bytes_per_varied": (_memory_bytes() - before) / num_trials,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
