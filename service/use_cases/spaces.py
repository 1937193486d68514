"""How many trials of a study fit a search space."""

from __future__ import annotations

from dataclasses import dataclass

from caviar.contract.space import Space
from service.store import zooming
from service.store.transaction import Transaction
from service.use_cases import access

_MAX_COUNTED = 5000


@dataclass(frozen=True, slots=True)
class Fit:
    """Trials that a strategy may learn from in a space.

    Attributes:
        num_looked_at: Trials that were looked at: all, or every so manyth where there are more than 5,000.
        num_fitting: Those of them that fit.
        num_trials: Trials of the study.
    """

    num_looked_at: int
    num_fitting: int
    num_trials: int


def fit(tx: Transaction, name: str, space: Space) -> Fit:
    """How many of a study's trials fit a space, the one in force or another.

    Raises:
        NotFound: There is no such study (404).
    """
    study = access.study(tx, name)
    stride = max(1, -(-study.num_trials // _MAX_COUNTED))
    seen = zooming.some_params(tx, study.id, stride=stride)
    return Fit(len(seen), sum(space.fits(params) for params in seen), study.num_trials)
