"""Objectives written for KerasTuner: `build_model(hp)` functions and `HyperModel`s, as they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import structlog
from pydantic import ValidationError

from caviar.contract.errors import field_errors
from caviar.contract.study import Metric
from worker.failures import NotTrainable
from worker.objectives import tuner_data
from worker.objectives.errors import Infeasible
from worker.objectives.hyperparameters import HyperParameters, spelling
from worker.objectives.protocol import Params
from worker.objectives.tuner_data import TunerOptions

PARAMETER = "hp"
"""Name of the one parameter by which such a function is known."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TunerObjective:
    """A function or HyperModel of KerasTuner, with the data that it is trained on.

    Attributes:
        name: Its name in studies.
        origin: A function of `hp`, a HyperModel, or a class of HyperModels.
        own_data: The function `data` of its file; None to load what the study's config names.
    """

    name: str
    origin: Any
    own_data: Callable[..., Any] | None

    def hypermodel(self) -> Any:
        """An object with `build(hp)`, and maybe a `fit` of its own; a new one if the user gave a class."""
        if inspect.isclass(self.origin):
            return self.origin()
        return SimpleNamespace(build=self.origin) if inspect.isfunction(self.origin) else self.origin

    def for_trial(
        self,
        *,
        config: Mapping[str, Any],
        data_dir: Path | None,
        data_seed: int,
        metric: Metric,
        max_epochs: int | None,
    ) -> TunerTrial:
        """An objective for one trial; the arguments are those of `loading.instantiate`.

        Raises:
            Infeasible: The config has options that there are not.
        """
        options = {"batch_size": config["batch_size"]} if "batch_size" in config else {}
        others = {name: value for name, value in config.items() if name != "batch_size"}
        if self.own_data is None:
            load = tuner_data.built_in(self._options(config), data_dir=data_dir, data_seed=data_seed)
        else:
            known = {"data_dir": data_dir, "data_seed": data_seed, "metric": metric, "max_epochs": max_epochs}
            load = tuner_data.own(self.own_data, {"config": others, **known})
        return TunerTrial(self, load, options)

    def _options(self, config: Mapping[str, Any]) -> TunerOptions:
        try:
            return TunerOptions.model_validate(dict(config))
        except ValidationError as error:
            refused = "; ".join(
                f"{one.field}: received {one.received!r}, expected {one.expected}"
                for one in field_errors(error, dict(config))
            )
            raise Infeasible(f"config of {self.name}: {refused}") from None


class TunerTrial:
    """The objective of one trial; see `worker.objectives.protocol.Objective`."""

    def __init__(
        self, objective: TunerObjective, load: Callable[[Params, Callable[[], Any]], Any], options: Mapping[str, Any]
    ) -> None:
        """Prepare.

        Args:
            objective: Whose function builds the model.
            load: Gives the data for a configuration; its second argument builds the model, whose loss decides on the
                labels.
            options: Further arguments of `fit`.
        """
        self._objective = objective
        self._hypermodel = objective.hypermodel()
        self._load = load
        self._options = dict(options)
        self._hp = HyperParameters()
        self._built: tuple[dict[str, Any], Any] | None = None

    def build(self, params: Params) -> Any:
        """The compiled model of the user's function.

        Raises:
            NotTrainable: It is none.
        """
        if self._built is not None and self._built[0] == dict(params):
            model, self._built = self._built[1], None
            return model
        self._hp = HyperParameters(given={spelling(name): value for name, value in params.items()})
        model = self._hypermodel.build(self._hp)
        require_model(self._objective.name, model)
        if not getattr(model, "compiled", False):
            raise NotTrainable(f"{self._objective.name} returned a model that is not compiled; call its compile there")
        if self._hp.at_default:
            _log.info("hyperparameters_at_default", objective=self._objective.name, names=self._hp.at_default)
        return model

    def data(self, params: Params) -> Any:
        """The training and the validation set."""

        def build() -> Any:
            # The same generators are seeded the same before data and before build, so this model serves for both.
            self._built = (dict(params), self.build(params))
            return self._built[1]

        return self._load(params, build)

    def fit_options(self, params: Params) -> dict[str, Any]:
        """The batch size of the study's config, if it has one."""
        return dict(self._options)

    @property
    def loop(self) -> Callable[..., None] | None:
        """What trains in place of `worker.looping.fit`; None if the HyperModel has no `fit` of its own."""
        return self._fit if has_own_fit(self._hypermodel) else None

    def _fit(
        self,
        model: Any,
        train: Any,
        validation: Any,
        *,
        options: Mapping[str, Any],
        callbacks: Sequence[Any],
        first_epoch: int,
        max_epochs: int,
        **_unused: Any,
    ) -> None:
        import keras

        seen: list[int] = []
        watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
        given = [*callbacks[:-1], watch, callbacks[-1]]
        for callback in given:
            # A loop of the user's own may call them itself.
            callback.set_model(model)
            callback.set_params({"epochs": max_epochs, "steps": None, "verbose": 0})
        fit_own(
            self._hypermodel, self._hp, model, train,
            {"validation_data": validation, "epochs": max_epochs, "initial_epoch": first_epoch - 1, "callbacks": given,
             "verbose": 0, **options},
        )  # fmt: skip
        if not seen and not model.stop_training:
            raise NotTrainable(
                f"fit of {self._objective.name} has ended no epoch that its callbacks know of; give **kwargs, with the "
                "callbacks in it, on to model.fit, or call their on_epoch_end after each epoch"
            )


def is_hypermodel(kind: Any) -> bool:
    """Whether a class is derived from KerasTuner's `HyperModel`."""
    return inspect.isclass(kind) and any(
        base.__name__ == "HyperModel" and base.__module__.startswith("keras_tuner") for base in kind.__mro__[1:]
    )


def has_own_fit(hypermodel: Any) -> bool:
    """Whether a HyperModel trains by a method of its own rather than by KerasTuner's."""
    fit = getattr(type(hypermodel), "fit", None)
    return fit is not None and not fit.__module__.startswith("keras_tuner")


def require_model(name: str, model: Any) -> None:
    """Refuse anything but a Keras model.

    Raises:
        NotTrainable: It is something else.
    """
    if not callable(getattr(model, "fit", None)) or not callable(getattr(model, "compile", None)):
        raise NotTrainable(
            f"{name}(hp) returned {type(model).__name__}, expected a compiled Keras model; if it only helps another "
            "function, let its name begin with _, or name the other one after a colon"
        )


def fit_own(hypermodel: Any, hp: HyperParameters, model: Any, train: Any, named: Mapping[str, Any]) -> None:
    """Call the `fit` of a HyperModel as KerasTuner does.

    Args:
        hypermodel: With a `fit` of its own.
        hp: The one that the model was built with.
        model: Built.
        train: `(x, y)`, `(x, y, sample_weight)`, or what else Keras's `fit` accepts.
        named: Further arguments by name.
    Raises:
        NotTrainable: A trial is to be resumed, and the method cannot begin at a later epoch.
    """
    parts = list(train) if isinstance(train, (tuple, list)) else [train]
    parameters = inspect.signature(hypermodel.fit).parameters.values()
    kinds = {parameter.kind for parameter in parameters}
    names = {parameter.name for parameter in parameters}
    given = dict(named)
    if len(parts) > 2:
        given["sample_weight"] = parts.pop()
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        if given.get("initial_epoch") and "initial_epoch" not in names:
            raise NotTrainable(
                f"the trial goes on after epoch {given['initial_epoch']}, and fit{inspect.signature(hypermodel.fit)} "
                "takes no initial_epoch; add **kwargs to it and give them on to model.fit"
            )
        given = {name: value for name, value in given.items() if name in names}
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if inspect.Parameter.VAR_POSITIONAL in kinds or len(positional) >= 2 + len(parts):
        hypermodel.fit(hp, model, *parts, **given)
    else:
        hypermodel.fit(hp, model, **dict(zip(("x", "y"), parts, strict=False)), **given)
