"""Read the search space out of an objective written for KerasTuner."""

from __future__ import annotations

from typing import Any

import structlog

from worker.objectives.errors import LoadError
from worker.objectives.exploring import Explorer
from worker.objectives.hypermodel import TunerObjective, fit_own, has_own_fit, require_model
from worker.objectives.hyperparameters import HyperParameters
from worker.objectives.hyperspace import translate

_log = structlog.get_logger(__name__)


class _Reached(BaseException):
    """A `fit` has asked for all that it needs before it trains."""


def read(objective: TunerObjective) -> dict[str, Any] | None:
    """The space as a study file writes it, not checked yet; None if the function asks for nothing to search.

    The function is run up to some 150 times or for half a minute, on the CPU, and no model is trained. What it asks for
    only beyond that is not found: it gets its defaults.

    Raises:
        LoadError: It raises at the defaults of its hyperparameters, or a search space cannot hold one of them.
    """
    import keras

    explorer = Explorer(lambda hp: _run(objective, hp))
    # The greatest model of the space need not fit into the memory of a GPU, nor stay there.
    with keras.device("cpu:0"):
        error = explorer.run({}).error
        if error is not None:
            raise LoadError(
                f"{objective.name}(hp) raised at the defaults of its hyperparameters: {type(error).__name__}: {error}"
            ) from error
        explorer.explore()
        conditions = explorer.conditions()
    keras.utils.clear_session()
    space = translate(objective.name, explorer.found, conditions)
    _log.info("hyperparameters_read", objective=objective.name, names=list(space), num_runs=explorer.num_runs)
    return space or None


def _run(objective: TunerObjective, hp: HyperParameters) -> None:
    hypermodel = objective.hypermodel()
    model = hypermodel.build(hp)
    require_model(objective.name, model)
    if has_own_fit(hypermodel):
        _ask_fit(objective.name, hypermodel, hp, model)


def _ask_fit(name: str, hypermodel: Any, hp: HyperParameters, model: Any) -> None:
    """Let a `fit` ask for its hyperparameters, on two empty rows, up to where it would train."""
    import numpy as np

    def reached(*_args: Any, **_named: Any) -> None:
        raise _Reached

    model.fit = reached
    shape = model.input_shape[1:] if getattr(model, "built", False) and isinstance(model.input_shape, tuple) else (8,)
    rows = (np.zeros((2, *(size or 1 for size in shape)), "float32"), np.zeros((2, 1), "float32"))
    try:
        fit_own(hypermodel, hp, model, rows, {"validation_data": rows, "epochs": 1, "callbacks": [], "verbose": 0})
    except _Reached:
        return
    except Exception as error:  # noqa: BLE001 - what it raises on empty rows says nothing about real ones
        _log.info("fit_read_in_part", objective=name, detail=f"{type(error).__name__}: {error}")
