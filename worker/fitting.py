"""Train one assignment after the other, whatever form their objectives have."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from caviar.contract.messages import Assignment
from caviar.contract.states import Outcome
from worker.callbacks import StopRequest
from worker.channel import EpochDone
from worker.checkpoints.errors import CheckpointUnusable
from worker.checkpoints.shelf import Shelf
from worker.failures import NotTrainable, describe, outcome_of, writable
from worker.forms.keras_form import KerasForm
from worker.forms.result import Result
from worker.objectives.errors import Infeasible
from worker.objectives.loading import instantiate
from worker.objectives.protocol import Objective


@dataclass(frozen=True)
class Trainer:
    """Trains assignments one after the other.

    Attributes:
        objectives: What can be trained, by name.
        data_dir: Folder of the data files that studies may name.
        checkpoints_dir: Folder for the best weights of every trial; None to keep none.
        shelf: Where the checkpoints lie from which trials go on.
        send: Takes every finished epoch; must not wait.
    """

    objectives: Mapping[str, type[Objective]]
    data_dir: Path
    checkpoints_dir: Path | None
    shelf: Shelf
    send: Callable[[EpochDone], None]

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
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever user code raises is the outcome of its trial
            return Result(outcome_of(error), describe(error))
        finally:
            # Collects garbage too: a model is full of circles. What is alive then, TensorFlow keeps for ever, more with
            # every model; frozen, it does not make the next collection slower.
            keras.utils.clear_session()
            gc.freeze()

    def _fit(self, assignment: Assignment, stop: StopRequest, started: float) -> Result:
        objective = self._objective(assignment)
        form = KerasForm(self.checkpoints_dir, self.shelf, self.send)
        return form.train(objective, assignment, stop, started)

    def _objective(self, assignment: Assignment) -> Objective:
        name = assignment.objective.name
        if name not in self.objectives:
            offered = ", ".join(sorted(self.objectives))
            raise NotTrainable(
                f"received the objective {name!r}, expected one of {offered}; start the worker with the "
                "file that defines it"
            )
        return instantiate(
            self.objectives[name],
            config=assignment.objective.config,
            data_dir=self.data_dir,
            data_seed=assignment.data_seed,
            metric=assignment.metric,
            max_epochs=assignment.max_epochs,
        )
