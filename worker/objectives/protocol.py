"""The shape of an objective, built in or a user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from caviar.contract.space import ParamValue

Params = Mapping[str, ParamValue]
"""A configuration: the natural value of every parameter that applies."""


class Objective(Protocol):
    """What a worker can train. A user's class needs `build` and `data`; nothing has to be inherited.

    ```python
    class Circles:
        name = "circles"  # in studies; the name of the class if it is left out
        space = {"units": {"type": "int", "low": 4, "high": 64, "scale": "log"}}  # for studies that give none

        def __init__(self, *, config, data_seed):
            ...

        def build(self, params):
            ...
            return model

        def data(self, params):
            return (x_train, y_train), (x_validation, y_validation)

        def fit_options(self, params):
            return {"batch_size": 64}
    ```

    The constructor gets by keyword those of these that it declares:

    * `config`: the fixed options of the study, a dict;
    * `data_dir`: the worker's data folder, a `pathlib.Path`, or None;
    * `data_seed`: seed for the split of the data, the same for every trial of the study;
    * `metric`: what the study compares, with `name` and `direction`;
    * `max_epochs`: the last epoch of the trial, or None if it is not known.

    An instance is made for each trial. Keras's seeds are set before.
    """

    def build(self, params: Params) -> Any:
        """A new, compiled `keras.Model` for a configuration.

        Raises:
            Infeasible: The configuration cannot be trained.
        """

    def data(self, params: Params) -> tuple[Any, Any]:
        """The training and the validation set: each `(x, y)`, or anything else that Keras's `fit` accepts."""

    def fit_options(self, params: Params) -> dict[str, Any]:
        """Further arguments for Keras's `fit`, such as `batch_size` and `callbacks`. This method may be missing."""
