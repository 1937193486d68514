"""From what trainings needed to what others will need: a constant and a product of powers of the parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from caviar.contract.space import Params
from worker.placing.regression import Regression

_MOST_BYTES = 2.0**60
_SAFETY_SD = 2.0
# Whatever is trained, a process on a GPU holds its context and libraries: a share of the least that was measured.
_USUAL_SHARE = 0.5
_SHARES = (0.0, 0.25, 0.5, 0.7, 0.85)
_LEAST_FOR_SHARES = 16


class Measured(BaseModel):
    """What one training needed.

    Attributes:
        params: Its parameters.
        peak_bytes: Most device memory that its process held.
        is_bound: Whether an earlier training had taken that much already: this one needed no more, perhaps far less.
    """

    model_config = ConfigDict(frozen=True)

    params: Params
    peak_bytes: Annotated[int, Field(ge=1)]
    is_bound: bool = False


@dataclass(frozen=True)
class Fit:
    """A function of the parameters.

    Attributes:
        base_bytes: What every training needs.
        regression: What comes on top.
        count: Measurements that it rests on.
    """

    base_bytes: float
    regression: Regression
    count: int

    def bytes_at(self, params: Params, num_sd: float = _SAFETY_SD) -> int:
        """Memory that is needed at most, but for the cases beyond so many standard deviations; at most 2**60."""
        return math.ceil(min(_MOST_BYTES, self.base_bytes + self.regression.estimate(params).bytes_at(num_sd)))

    def error(self, measured: Sequence[Measured]) -> float:
        """How far each measurement is from what a fit to the others says of it: sum of squares, in logarithms."""
        said = (math.log(self.base_bytes + math.exp(min(log, 700.0))) for log in self.regression.left_out)
        return sum((math.log(one.peak_bytes) - log) ** 2 for one, log in zip(measured, said, strict=True))


def fit(measured: Sequence[Measured]) -> Fit:
    """Fit to measurements, at least one.

    What is only a bound counts where the others contradict it. It agrees with all smaller needs; taken for a
    measurement, it would make the next trainings look large, which then begin in large processes, and so on.
    """
    exact = [one for one in measured if not one.is_bound]
    if not exact:
        return _best(measured)
    first = _best(exact)
    contradicted = [one for one in measured if one.is_bound and first.bytes_at(one.params, 0.0) > one.peak_bytes]
    return _best([*exact, *contradicted]) if contradicted else first


def _best(measured: Sequence[Measured]) -> Fit:
    least = min(one.peak_bytes for one in measured)
    shares = _SHARES if len(measured) >= _LEAST_FOR_SHARES else (_USUAL_SHARE,)
    return min((_with_base(measured, share * least) for share in shares), key=lambda one: one.error(measured))


def _with_base(measured: Sequence[Measured], base: float) -> Fit:
    regression = Regression([(one.params, one.peak_bytes - base) for one in measured])
    return Fit(base, regression, len(measured))
