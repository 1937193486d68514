"""Optuna's distributions as a search space of ours, and configurations from one to the other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import islice
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial
from pydantic import ValidationError

from caviar.contract.space import MAX_PARAMETERS, Params, ParamValue, Space


class OptunaSpace:
    """A search space of ours that stands for some of Optuna's distributions.

    Parameters get names of ours, since Optuna's may be any text. A categorical becomes the positions of its choices,
    which may be anything, None too.

    Attributes:
        space: The search space.
        digest: Tells this space from others, in this and other processes.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        """Take distributions that `is_searchable` accepts, at least one."""
        self._distributions = dict(sorted(distributions.items()))
        self._keys = {name: f"p{position}" for position, name in enumerate(self._distributions)}
        self.space = Space.model_validate(
            {self._keys[name]: _parameter(distribution) for name, distribution in self._distributions.items()}
        )
        told = repr(list(self._distributions.items()))
        self.digest = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()

    def inward(self, trial: FrozenTrial) -> Params:
        """The part of a trial's configuration that this space knows; it fits the space only if that is all of it."""
        params: Params = {}
        for name, distribution in self._distributions.items():
            if name in trial.params and _is_alike(distribution, trial.distributions[name]):
                params[self._keys[name]] = _inward(distribution, trial.params[name])
        return params

    def outward(self, params: Params) -> dict[str, Any]:
        """A configuration of this space as Optuna's."""
        return {
            name: _outward(distribution, params[self._keys[name]]) for name, distribution in self._distributions.items()
        }


def searchable(distributions: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
    """Those that a space of ours can hold, at most as many as it can hold."""
    fitting = ((name, found) for name, found in distributions.items() if is_searchable(found))
    return dict(islice(fitting, MAX_PARAMETERS))


def is_searchable(distribution: BaseDistribution) -> bool:
    """Whether a distribution has more than one value, and a range that a space of ours can hold."""
    if distribution.single():
        return False
    try:
        Space.model_validate({"p": _parameter(distribution)})
    except ValidationError:
        return False
    return True


def _parameter(distribution: BaseDistribution) -> dict[str, Any]:
    match distribution:
        case CategoricalDistribution():
            return {"type": "categorical", "choices": list(range(len(distribution.choices)))}
        case IntDistribution() | FloatDistribution():
            kind = "int" if isinstance(distribution, IntDistribution) else "float"
            scale = "log" if distribution.log else "linear"
            body = {"type": kind, "low": distribution.low, "high": distribution.high, "scale": scale}
            return body if distribution.step is None else {**body, "step": distribution.step}
        case _:
            raise TypeError(
                f"received the distribution {distribution!r}, expected a FloatDistribution, an IntDistribution or a "
                "CategoricalDistribution"
            )


def _is_alike(mine: BaseDistribution, other: BaseDistribution) -> bool:
    # Ranges may have changed since: the space itself says whether a number lies in it.
    return mine == other if isinstance(mine, CategoricalDistribution) else type(mine) is type(other)


def _inward(distribution: BaseDistribution, value: Any) -> ParamValue:
    internal = distribution.to_internal_repr(value)
    return float(internal) if isinstance(distribution, FloatDistribution) else int(internal)


def _outward(distribution: BaseDistribution, value: ParamValue) -> Any:
    return distribution.to_external_repr(float(value))
