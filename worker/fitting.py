"""Train one assignment with Keras."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from caviar.contract.messages import Assignment, TrainingError
from caviar.contract.states import Outcome
from worker.callbacks import EpochReporter, StopRequest, checkpoint, early_stopping
from worker.channel import EpochDone
from worker.failures import NotTrainable, describe, outcome_of
from worker.objectives.errors import Infeasible
from worker.objectives.loading import fit_options, instantiate
from worker.objectives.protocol import Objective

# NumPy's generator, which Keras seeds too, takes 32 bits.
_SEEDS = 2**32


@dataclass(frozen=True)
class Result:
    """How a training ended; `outcome` is None if it was stopped because it was asked to."""

    outcome: Outcome | None
    error: TrainingError | None = None


@dataclass(frozen=True)
class Trainer:
    """Trains assignments one after the other.

    Attributes:
        objectives: What can be trained, by name.
        data_dir: Folder of the data files that studies may name.
        checkpoints_dir: Folder for the best weights of every trial; None to keep none.
        send: Takes every finished epoch; must not wait.
    """

    objectives: Mapping[str, type[Objective]]
    data_dir: Path
    checkpoints_dir: Path | None
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
        seed = assignment.seed % _SEEDS
        keras.utils.set_random_seed(seed)
        train, validation = _two_sets(objective.data(assignment.params))
        # Whether the data was loaded or remembered must not change the initial weights.
        keras.utils.set_random_seed(seed)
        model = objective.build(assignment.params)
        options = fit_options(objective, assignment.params)
        reporter = self._reporter(assignment, stop, started)
        callbacks = [*(options.pop("callbacks", None) or ()), *self._callbacks(assignment), reporter]
        if stop.wanted is not None:
            return Result(None)
        model.fit(
            **_arguments(train),
            validation_data=validation,
            initial_epoch=assignment.first_epoch - 1,
            epochs=assignment.max_epochs,
            callbacks=callbacks,
            verbose=0,
            **options,
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

    def _reporter(self, assignment: Assignment, stop: StopRequest, started: float) -> EpochReporter:
        metric, stopping = assignment.metric.name, assignment.early_stopping
        monitor = (stopping.monitor if stopping else None) or metric

        def send(epoch: int, metrics: dict[str, float], elapsed_s: float) -> None:
            self.send(EpochDone(lease=assignment.lease, epoch=epoch, metrics=metrics, elapsed_s=elapsed_s))

        return EpochReporter(
            send,
            metric=metric,
            required=(metric, monitor),
            stop=stop,
            started=started,
            max_seconds=assignment.max_trial_seconds,
        )

    def _callbacks(self, assignment: Assignment) -> list[keras.callbacks.Callback]:
        chosen: list[keras.callbacks.Callback] = [keras.callbacks.TerminateOnNaN()]
        if assignment.early_stopping is not None:
            chosen.append(early_stopping(assignment.early_stopping, assignment.metric))
        if self.checkpoints_dir is not None:
            folder = self.checkpoints_dir / assignment.study
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / f"trial-{assignment.number:05d}-attempt-{assignment.attempt}.weights.h5"
            chosen.append(checkpoint(file, assignment.metric))
        return chosen


def _two_sets(sets: Any) -> tuple[Any, Any]:
    if not isinstance(sets, (tuple, list)) or len(sets) != 2:
        raise NotTrainable(
            f"data(params) returned {type(sets).__name__}, expected a pair: the training set and the "
            "validation set, each (x, y) or anything that Keras's fit accepts"
        )
    train, validation = sets
    return train, tuple(validation) if isinstance(validation, list) else validation


def _arguments(train: Any) -> dict[str, Any]:
    if isinstance(train, (tuple, list)):
        return dict(zip(("x", "y", "sample_weight"), train, strict=False))
    return {"x": train}


def _result(reporter: EpochReporter) -> Result:
    verdict = reporter.verdict
    if verdict is None:
        return Result(Outcome.COMPLETE)
    if verdict.outcome in (None, Outcome.COMPLETE):
        return Result(verdict.outcome)
    return Result(verdict.outcome, TrainingError(kind=verdict.kind, message=verdict.message))
