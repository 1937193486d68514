"""No pruning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from caviar.contract.model import Model
from service.search.mirror import Mirror
from service.search.pruner import GO_ON, Pruner, Verdict


class NoPruner(Pruner):
    """Lets every trial run to its end."""

    kind: ClassVar[str] = "none"

    class Options(Model):
        """No options."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def judge(self, mirror: Mirror, number: int, epoch: int, values: Mapping[int, float]) -> Verdict:
        """Go on."""
        return GO_ON
