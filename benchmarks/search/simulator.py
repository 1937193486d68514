"""The simulator of learning curves, which is no part of this repository, and our service as one of its searchers."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from benchmarks.search.in_process import OBJECTIVE, InProcess
from caviar.contract.messages import Assignment
from caviar.contract.states import TrialState
from caviar.contract.study import StudySpec

_PROGRAM = "lcbench.py"


def load(folder: Path) -> Any:
    """The simulator's module.

    Args:
        folder: Holds `lcbench.py` and the files that it reads.
    Raises:
        SystemExit: It is not there, or something that it needs is not installed; says what to do.
    """
    path = folder / _PROGRAM
    if not path.is_file():
        sys.exit(f"received the folder {folder}, which has no {_PROGRAM}; name the simulator's folder by --simulator")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        sys.exit(f"received {path}, expected a Python program")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        sys.exit(f"the simulator needs {error.name}, which is not installed: pip install 'caviar[benchmarks]'")
    return module


class Scales:
    """Best and median value of random configurations by task, kept between runs: they take seconds per task."""

    def __init__(self, folder: Path) -> None:
        digest = hashlib.sha256()
        for name in (_PROGRAM, "model.onnx"):
            digest.update((folder / name).read_bytes())
        self._path = Path(tempfile.gettempdir(), f"caviar-scales-{digest.hexdigest()[:16]}.json")
        self.known: dict[str, tuple[float, float]] = {}
        if self._path.exists():
            self.known = {task: (pair[0], pair[1]) for task, pair in json.loads(self._path.read_text()).items()}

    def add(self, task: str, scale: tuple[float, float]) -> None:
        """Keep the scale of a task."""
        self.known[task] = scale
        whole = self._path.with_suffix(f".{os.getpid()}")
        whole.write_text(json.dumps(self.known))
        whole.replace(self._path)


def study(simulator: Any, variant: dict[str, Any], *, seed: int, budget: int) -> StudySpec:
    """The study that a simulated run submits.

    Args:
        simulator: From `load`.
        variant: Fields of the study body that make the strategy: `strategy`, `pruner`.
        seed: Of the study.
        budget: Epochs of all trials together.
    """
    body = {
        "name": "simulated",
        "objective": {"name": OBJECTIVE},
        "space": simulator.SPACE,
        "early_stopping": None,
        "budget": {"max_trials": None, "max_epochs": simulator.EPOCHS, "max_total_epochs": budget},
        "seed": seed,
    }
    return StudySpec.model_validate(body | variant)


class CaviarSearcher:
    """Our service, asked and told as the simulator does."""

    def __init__(self, simulator: Any, variant: dict[str, Any], *, seed: int, budget: int) -> None:
        """Prepare a study; entering the context begins it. Arguments as of `study`."""
        self._simulator = simulator
        self._budget = budget
        self._num_epochs = 0
        self._service = InProcess(study(simulator, variant, seed=seed, budget=budget))

    def __enter__(self) -> Self:
        """Start the service."""
        self._service.__enter__()
        return self

    def __exit__(self, *reason: object) -> None:
        """Stop the service."""
        self._service.__exit__(*reason)

    def check(self) -> None:
        """Make sure that the run was what it should be.

        Raises:
            RuntimeError: The service counted other epochs than the simulator, or a trial was lost on the way.
        """
        stored = self._service.study()
        if stored.num_epochs != self._num_epochs or stored.counts.get(TrialState.FAILED, 0):
            counts = {str(state): number for state, number in stored.counts.items()}
            raise RuntimeError(f"trained {self._num_epochs} epochs, the service has {stored.num_epochs}: {counts}")

    def claim(self) -> Any:
        """The next configuration to train, or a paused one to go on with."""
        assignment = self._service.claim()
        if assignment is not None:
            return self._simulator.Assignment(assignment, assignment.params, assignment.first_epoch)
        if self._num_epochs < self._budget:
            raise RuntimeError(f"the service has no work after {self._num_epochs} of {self._budget} epochs")
        # The simulator fills the slot once more after the last epoch of the budget; nothing of it is trained.
        return self._simulator.Assignment(None, self._last.params)

    def report(self, key: Assignment, epoch: int, value: float) -> str:
        """Tell the service an epoch; its answer is `continue`, `pause` or `stop`."""
        self._num_epochs += 1
        self._last = key
        self._service.clock.advance(1.0)
        return str(self._service.report(key, epoch, value, elapsed_s=float(epoch - key.first_epoch + 1)))

    def finish(self, key: Assignment, best: float) -> None:
        """Tell the service that a trial has trained its last epoch."""
        self._service.finish(key)
