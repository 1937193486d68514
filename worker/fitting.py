"""Train one assignment after the other, whatever form their objectives have."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from caviar.contract.messages import Assignment
from caviar.contract.states import Outcome
from worker import chance
from worker.callbacks import StopRequest
from worker.channel import EpochDone
from worker.checkpoints.errors import CheckpointUnusable
from worker.checkpoints.shelf import Shelf
from worker.failures import NotTrainable, describe, describe_load, outcome_of, writable
from worker.forms.function_form import FunctionForm
from worker.forms.keras_form import KerasForm
from worker.forms.result import Result
from worker.objectives.catalogue import no_failure
from worker.objectives.errors import Infeasible, LoadError
from worker.objectives.function import FunctionObjective
from worker.objectives.loading import Target, instantiate
from worker.programs.cache import PROGRAMS


@dataclass(frozen=True)
class Trainer:
    """Trains assignments one after the other.

    Attributes:
        objectives: What can be trained, by name.
        data_dir: Folder of the data files that studies may name.
        checkpoints_dir: Folder for the best weights of every trial; None to keep none.
        shelf: Where the checkpoints lie from which trials go on.
        send: Takes every finished epoch; must not wait.
        failure: Why there is no objective of a name, if its source could not be loaded.
    """

    objectives: Mapping[str, Target]
    data_dir: Path
    checkpoints_dir: Path | None
    shelf: Shelf
    send: Callable[[EpochDone], None]
    failure: Callable[[str], LoadError | None] = no_failure

    def train(self, assignment: Assignment, stop: StopRequest) -> Result:
        """Train until the end of the trial, or until it is asked to stop. Never raises because of the objective.

        Args:
            assignment: What to train.
            stop: Where another thread asks for the end.
        """
        started = time.perf_counter()
        try:
            return self._fit(assignment, stop, started)
        except CheckpointUnusable as error:
            return Result(None, missing_checkpoint=writable(f"{type(error).__name__}: {error}"))
        except Infeasible as error:
            return Result(Outcome.INFEASIBLE, describe(error))
        except LoadError as error:
            return Result(outcome_of(error), describe_load(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever user code raises is the outcome of its trial
            return Result(outcome_of(error), describe(error))
        finally:
            # Collects garbage too: a model is full of circles. What is alive then, TensorFlow keeps for ever, more with
            # every model; frozen, it does not make the next collection slower.
            PROGRAMS.end_trial()
            gc.freeze()

    def _fit(self, assignment: Assignment, stop: StopRequest, started: float) -> Result:
        target = self._target(assignment.objective.name)
        if isinstance(target, FunctionObjective):
            chance.begin(assignment.seed % chance.SEEDS)
            return FunctionForm(self.data_dir, self.shelf, self.send).train(target, assignment, stop, started)
        objective = instantiate(
            target,
            config=assignment.objective.config,
            data_dir=self.data_dir,
            data_seed=assignment.data_seed,
            metric=assignment.metric,
            max_epochs=assignment.max_epochs,
        )
        form = KerasForm(self.checkpoints_dir, self.shelf, self.send)
        return form.train(objective, assignment, stop, started)

    def _target(self, name: str) -> Target:
        if name in self.objectives:
            return self.objectives[name]
        failure = self.failure(name)
        if failure is not None:
            raise failure
        offered = ", ".join(sorted(self.objectives))
        raise NotTrainable(
            f"received the objective {name!r}, expected one of {offered}; start the worker with the file that defines "
            "it"
        )
