"""Systems that search the same space by the same training, each with its own way to spend epochs."""

from __future__ import annotations

import io
import math
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.search.in_process import OBJECTIVE, InProcess
from caviar.contract.states import Decision, Outcome
from caviar.contract.study import StudySpec

if TYPE_CHECKING:
    from benchmarks.search.digits import Training

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "scale": "log"},
    "beta_1": {"type": "float", "low": 0.8, "high": 0.999, "scale": "reverse_log"},
    "num_layers": {"type": "int", "low": 1, "high": 3},
    "units": {"type": "int", "low": 8, "high": 256, "scale": "log"},
    "dropout": {"type": "float", "low": 0.0, "high": 0.7},
    "weight_decay": {"type": "float", "low": 1e-5, "high": 1e-1, "scale": "log"},
}
"""The search space, in the words of a study body."""


@dataclass
class Diary:
    """Every epoch that a system has trained.

    Attributes:
        budget: Epochs to train; None for as many as the system likes.
        bests: Best validation loss after each epoch.
        num_trials: Trainings begun, those that went on from a checkpoint included.
    """

    budget: int | None = None
    bests: list[float] = field(default_factory=list)
    num_trials: int = 0

    def add(self, value: float) -> None:
        """Note an epoch."""
        best = self.bests[-1] if self.bests else math.inf
        self.bests.append(min(best, value))

    @property
    def is_full(self) -> bool:
        """Whether the budget is spent."""
        return self.budget is not None and len(self.bests) >= self.budget

    def epochs_to(self, value: float) -> float:
        """Epochs after which the best loss was at most `value`; infinite if it never was."""
        return next((float(epoch) for epoch, best in enumerate(self.bests, start=1) if best <= value), math.inf)


System = Callable[["Training", Diary, int, int], None]
"""Trains until the diary is full; called with the training, the diary, epochs of a trial, and a seed."""


def caviar(training: Training, diary: Diary, max_epochs: int, seed: int) -> None:
    """The default study: coarse to fine, with asynchronous halving by promotion."""
    import keras

    body = {
        "name": "digits",
        "objective": {"name": OBJECTIVE},
        "space": SPACE,
        "early_stopping": None,
        "budget": {"max_trials": None, "max_epochs": max_epochs, "max_total_epochs": diary.budget},
        "seed": seed,
    }
    models: dict[int, Any] = {}
    with InProcess(StudySpec.model_validate(body)) as service:
        while not diary.is_full and (assignment := service.claim()) is not None:
            diary.num_trials += 1
            # A trial that was paused goes on with all its state, as a worker's checkpoint keeps it.
            model = models.pop(assignment.trial_id, None)
            if model is None:
                keras.utils.set_random_seed(assignment.seed % 2**32)
                model = training.build(assignment.params)
            run = _Run(service, assignment, diary)
            training.fit(model, first_epoch=assignment.first_epoch, max_epochs=max_epochs, on_epoch=run.on_epoch)
            if run.decision is Decision.PAUSE:
                models[assignment.trial_id] = model
            elif run.decision is Decision.CONTINUE:
                service.finish(assignment, run.outcome)


class _Run:
    """One attempt of a trial, told to the service."""

    def __init__(self, service: InProcess, assignment: Any, diary: Diary) -> None:
        self._service, self._assignment, self._diary = service, assignment, diary
        self.decision = Decision.CONTINUE
        self.outcome = Outcome.COMPLETE

    def on_epoch(self, epoch: int, value: float) -> bool:
        """Report an epoch; whether the training stops."""
        self._diary.add(value)
        self._service.clock.advance(1.0)
        if not math.isfinite(value):
            self.outcome = Outcome.DIVERGED
            return True
        elapsed_s = float(epoch - self._assignment.first_epoch + 1)
        self.decision = self._service.report(self._assignment, epoch, value, elapsed_s=elapsed_s)
        return self.decision is not Decision.CONTINUE or self._diary.is_full


def optuna_median(training: Training, diary: Diary, max_epochs: int, seed: int) -> None:
    """Optuna's TPE and median pruner, both with their defaults."""
    from optuna.pruners import MedianPruner

    _optuna(training, diary, max_epochs, seed, MedianPruner())


def optuna_asha(training: Training, diary: Diary, max_epochs: int, seed: int) -> None:
    """Optuna's TPE and successive halving, both with their defaults."""
    from optuna.pruners import SuccessiveHalvingPruner

    _optuna(training, diary, max_epochs, seed, SuccessiveHalvingPruner())


def _optuna(training: Training, diary: Diary, max_epochs: int, seed: int, pruner: Any) -> None:
    import keras
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner)
    space = {name: _distribution(parameter) for name, parameter in SPACE.items()}
    while not diary.is_full:
        diary.num_trials += 1
        trial = study.ask(space)
        keras.utils.set_random_seed(1000 * seed + trial.number)
        model = training.build({name: _natural(SPACE[name], value) for name, value in trial.params.items()})
        run = _OptunaRun(trial, diary, max_epochs)
        training.fit(model, first_epoch=1, max_epochs=max_epochs, on_epoch=run.on_epoch)
        if run.is_diverged:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif run.is_pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, run.best)


class _OptunaRun:
    """One trial, told to Optuna."""

    def __init__(self, trial: Any, diary: Diary, max_epochs: int) -> None:
        self._trial, self._diary, self._max_epochs = trial, diary, max_epochs
        self.best = math.inf
        self.is_diverged = self.is_pruned = False

    def on_epoch(self, epoch: int, value: float) -> bool:
        """Report an epoch; whether the training stops."""
        self._diary.add(value)
        self.best = min(self.best, value)
        self.is_diverged = not math.isfinite(value)
        if not self.is_diverged:
            self._trial.report(value, epoch)
            self.is_pruned = epoch < self._max_epochs and self._trial.should_prune()
        return self.is_diverged or self.is_pruned or self._diary.is_full


def _distribution(parameter: dict[str, Any]) -> Any:
    from optuna.distributions import FloatDistribution, IntDistribution

    low, high, is_log = _bounds(parameter)
    return (IntDistribution if parameter["type"] == "int" else FloatDistribution)(low, high, log=is_log)


def _bounds(parameter: dict[str, Any]) -> tuple[Any, Any, bool]:
    """Range in which a peer draws, and whether by its logarithm: it gets our coordinate, 1 - x for `reverse_log`."""
    if parameter.get("scale") == "reverse_log":
        return 1 - parameter["high"], 1 - parameter["low"], True
    return parameter["low"], parameter["high"], parameter.get("scale") == "log"


def _natural(parameter: dict[str, Any], value: Any) -> Any:
    return 1 - value if parameter.get("scale") == "reverse_log" else value


def keras_tuner_hyperband(training: Training, diary: Diary, max_epochs: int, seed: int) -> None:
    """KerasTuner's Hyperband with its defaults but the epochs of a trial: one pass over its brackets."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), warnings.catch_warnings():
        # It prints its progress and a legacy notice, and warns of Keras's newer ways.
        warnings.simplefilter("ignore")
        import keras
        import keras_tuner

        class Model(keras_tuner.HyperModel):
            """The same model and training; the tuner keeps and loads the weights by itself."""

            def build(self, hp: Any) -> Any:
                keras.utils.set_random_seed(1000 * seed + diary.num_trials)
                return training.build({name: _suggest(hp, name, parameter) for name, parameter in SPACE.items()})

            def fit(self, hp: Any, model: Any, *, callbacks: Any, epochs: int, initial_epoch: int, **_: Any) -> Any:
                diary.num_trials += 1

                def on_epoch(_: int, value: float) -> bool:
                    diary.add(value)
                    return False

                return training.fit(
                    model, first_epoch=initial_epoch + 1, max_epochs=epochs, on_epoch=on_epoch, callbacks=callbacks
                )

        tuner = keras_tuner.Hyperband(
            Model(), objective="val_loss", max_epochs=max_epochs, seed=seed, directory=folder, overwrite=True
        )
        tuner.search(verbose=0)


def _suggest(hp: Any, name: str, parameter: dict[str, Any]) -> Any:
    low, high, is_log = _bounds(parameter)
    suggest = hp.Int if parameter["type"] == "int" else hp.Float
    return _natural(parameter, suggest(name, low, high, sampling="log" if is_log else "linear"))


SYSTEMS: dict[str, System] = {
    "keras_tuner:hyperband": keras_tuner_hyperband,
    "caviar:coarse_to_fine+asha": caviar,
    "optuna:tpe+median": optuna_median,
    "optuna:tpe+asha": optuna_asha,
}
"""Systems by name; the first one sets the budget of the others."""
