"""The objectives that every worker offers, as far as the service needs to know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from caviar.contract import mlp_rules
from caviar.contract.errors import FieldError
from caviar.contract.mlp import DEFAULT_SPACE
from caviar.contract.space import Space


class Check(Protocol):
    """Checks the config and space of a study and returns the refused fields."""

    def __call__(self, config: Mapping[str, Any], space: Space | None) -> list[FieldError]:
        """The refused fields, as paths within the study; `space` is None for the default one."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """An objective that every worker offers.

    Attributes:
        name: Its name in studies.
        space: Search space of a study that gives none.
        check: Checks a study when it is submitted.
    """

    name: str
    space: Space
    check: Check


BUILT_IN: dict[str, BuiltIn] = {
    "mlp": BuiltIn("mlp", DEFAULT_SPACE, mlp_rules.check),
}
