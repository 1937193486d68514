"""Train an objective that builds a Keras model and gives its data: the form of the built-in ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import structlog

from caviar.contract.messages import Assignment, TrainingError
from caviar.contract.states import Outcome
from worker import chance, looping
from worker.callbacks import EpochReporter, StopRequest, early_stopping
from worker.chance import SEEDS, EpochSeeds
from worker.channel import EpochDone
from worker.checkpoints import building, snapshot
from worker.checkpoints.best import BestWeights
from worker.checkpoints.keeping import Keeping
from worker.checkpoints.shelf import Shelf
from worker.failures import NotTrainable, writable
from worker.forms.result import Result
from worker.objectives.hypermodel import TunerTrial
from worker.objectives.loading import fit_options
from worker.objectives.protocol import Objective

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class KerasForm:
    """Trains assignments of objectives with `build` and `data`.

    Attributes:
        checkpoints_dir: Folder for the best weights of every trial; None to keep none.
        shelf: Where the checkpoints lie from which trials go on.
        send: Takes every finished epoch; must not wait.
    """

    checkpoints_dir: Path | None
    shelf: Shelf
    send: Callable[[EpochDone], None]

    def train(self, objective: Objective, assignment: Assignment, stop: StopRequest, started: float) -> Result:
        """Train until the end of the trial, or until it is asked to stop.

        Args:
            objective: An instance made for this trial.
            assignment: What to train.
            stop: Where another thread asks for the end.
            started: Reading of `time.perf_counter` at the start of the attempt.
        Raises:
            Exception: Whatever the objective raises.
            CheckpointUnusable: It cannot go on from its checkpoint.
        """
        keeping = Keeping(self.shelf, assignment)
        former = keeping.load()
        seed = assignment.seed % SEEDS
        chance.begin(seed)
        train, validation = _two_sets(objective.data(assignment.params))
        # Whether the data was loaded or remembered must not change the initial weights.
        chance.begin(seed)
        model = objective.build(assignment.params)
        options = fit_options(objective, assignment.params)
        callbacks = [*(options.pop("callbacks", None) or ()), *_callbacks(assignment)]
        reporter = self._reporter(assignment, stop, started, keeping, callbacks)
        is_wanted = bool(self._weights_paths(assignment, 0))
        best = BestWeights(assignment.metric, is_wanted=is_wanted, is_cut=lambda: reporter.is_cut)
        callbacks.append(best)
        restorers = []
        if former is not None:
            building.build(model, train)
            snapshot.put_variables(former, model)
            restorers = [snapshot.StateRestorer(former, callbacks)]
        if stop.wanted is not None:
            return Result(None)
        # A HyperModel may train by a method of its own.
        fit = objective.loop if isinstance(objective, TunerTrial) else None
        (fit or looping.fit)(
            model,
            train,
            validation,
            options=options,
            callbacks=[EpochSeeds(seed), *callbacks, *restorers, reporter],
            seed=seed,
            first_epoch=assignment.first_epoch,
            max_epochs=assignment.max_epochs,
        )
        self._write(best, model, assignment)
        return _result(reporter)

    def _reporter(
        self, assignment: Assignment, stop: StopRequest, started: float, keeping: Keeping, callbacks: Sequence[Any]
    ) -> EpochReporter:
        metric, stopping = assignment.metric.name, assignment.early_stopping
        monitor = (stopping.monitor if stopping else None) or metric

        def send(epoch: int, metrics: dict[str, float], elapsed_s: float) -> None:
            # A training that ends by itself here has nothing to go on to.
            is_last = reporter.is_over(epoch)
            is_due = not is_last and keeping.is_due(epoch, is_stopped=stop.wanted == "epoch")
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

    def _write(self, best: BestWeights, model: Any, assignment: Assignment) -> None:
        try:
            best.write(model, self._weights_paths(assignment, best.epoch))
        except OSError as error:
            # The measurements are worth more than the weights: the trial is no failure.
            _log.warning("weights_not_written", trial_id=assignment.trial_id, detail=str(error))

    def _weights_paths(self, assignment: Assignment, epoch: int) -> list[Path]:
        paths = [self.shelf.weights_path(assignment.lease, epoch)] if assignment.keep_weights else []
        if self.checkpoints_dir is not None:
            name = f"trial-{assignment.number:05d}-attempt-{assignment.attempt}.weights.h5"
            paths.append(self.checkpoints_dir / assignment.study / name)
        return paths


def _callbacks(assignment: Assignment) -> list[keras.callbacks.Callback]:
    chosen: list[keras.callbacks.Callback] = [keras.callbacks.TerminateOnNaN()]
    if assignment.early_stopping is not None:
        chosen.append(early_stopping(assignment.early_stopping, assignment.metric))
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
