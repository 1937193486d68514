"""Train one assignment with Keras."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from caviar.contract.messages import Assignment, TrainingError
from caviar.contract.states import Outcome
from worker import order
from worker.callbacks import BestWeights, EpochReporter, StopRequest, early_stopping
from worker.chance import SEEDS, EpochSeeds
from worker.channel import EpochDone
from worker.checkpoints import building, snapshot
from worker.checkpoints.errors import CheckpointUnusable
from worker.checkpoints.keeping import Keeping
from worker.checkpoints.shelf import Shelf
from worker.failures import NotTrainable, describe, outcome_of, writable
from worker.objectives.errors import Infeasible
from worker.objectives.loading import fit_options, instantiate
from worker.objectives.protocol import Objective


@dataclass(frozen=True)
class Result:
    """How a training ended.

    Attributes:
        outcome: None if it was asked to stop, or could not go on from its checkpoint.
        error: What went wrong, unless the outcome is `complete` or None.
        missing_checkpoint: Why it could not go on from its checkpoint.
    """

    outcome: Outcome | None
    error: TrainingError | None = None
    missing_checkpoint: str | None = None


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
        keeping = Keeping(self.shelf, assignment)
        former = keeping.load()
        objective = self._objective(assignment)
        seed = assignment.seed % SEEDS
        keras.utils.set_random_seed(seed)
        train, validation = _two_sets(objective.data(assignment.params))
        # Whether the data was loaded or remembered must not change the initial weights.
        keras.utils.set_random_seed(seed)
        model = objective.build(assignment.params)
        options = fit_options(objective, assignment.params)
        callbacks = [*(options.pop("callbacks", None) or ()), *self._callbacks(assignment)]
        reporter = self._reporter(assignment, stop, started, keeping, callbacks)
        restorers = []
        if former is not None:
            building.build(model, train)
            snapshot.put_variables(former, model)
            restorers = [snapshot.StateRestorer(former, callbacks)]
        if stop.wanted is not None:
            return Result(None)
        arguments = order.fit_arguments(
            train,
            options,
            steps_per_execution=model.steps_per_execution,
            seed=seed,
            first_epoch=assignment.first_epoch,
        )
        model.fit(
            validation_data=validation,
            initial_epoch=assignment.first_epoch - 1,
            epochs=assignment.max_epochs,
            callbacks=[EpochSeeds(seed), *callbacks, *restorers, reporter],
            verbose=0,
            **arguments,
        )
        return _result(reporter)

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

    def _reporter(
        self, assignment: Assignment, stop: StopRequest, started: float, keeping: Keeping, callbacks: Sequence[Any]
    ) -> EpochReporter:
        metric, stopping = assignment.metric.name, assignment.early_stopping
        monitor = (stopping.monitor if stopping else None) or metric

        def send(epoch: int, metrics: dict[str, float], elapsed_s: float) -> None:
            # A training that ends by itself here has nothing to go on to.
            is_last = reporter.is_over(epoch)
            is_due = keeping.is_due(epoch) and not is_last
            error = keeping.keep(reporter.model, callbacks, epoch) if is_due else None
            self.send(
                EpochDone(
                    lease=assignment.lease,
                    epoch=epoch,
                    metrics=metrics,
                    elapsed_s=elapsed_s,
                    checkpoint=is_due and error is None,
                    checkpoint_error=error and writable(error),
                    is_last=is_last,
                )
            )

        reporter = EpochReporter(
            send,
            metric=metric,
            required=(metric, monitor),
            stop=stop,
            started=started,
            max_seconds=assignment.max_trial_seconds,
        )
        return reporter

    def _callbacks(self, assignment: Assignment) -> list[keras.callbacks.Callback]:
        chosen: list[keras.callbacks.Callback] = [keras.callbacks.TerminateOnNaN()]
        if assignment.early_stopping is not None:
            chosen.append(early_stopping(assignment.early_stopping, assignment.metric))
        if self.checkpoints_dir is not None:
            folder = self.checkpoints_dir / assignment.study
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"trial-{assignment.number:05d}-attempt-{assignment.attempt}.weights.h5"
            chosen.append(BestWeights(file, assignment.metric))
        return chosen


def _two_sets(sets: Any) -> tuple[Any, Any]:
    if not isinstance(sets, (tuple, list)) or len(sets) != 2:
        raise NotTrainable(
            f"data(params) returned {type(sets).__name__}, expected a pair: the training set and the "
            "validation set, each (x, y) or anything that Keras's fit accepts"
        )
    train, validation = sets
    return train, tuple(validation) if isinstance(validation, list) else validation


def _result(reporter: EpochReporter) -> Result:
    verdict = reporter.verdict
    if verdict is None:
        return Result(Outcome.COMPLETE)
    if verdict.outcome in (None, Outcome.COMPLETE):
        return Result(verdict.outcome)
    return Result(verdict.outcome, TrainingError(kind=verdict.kind, message=verdict.message))
