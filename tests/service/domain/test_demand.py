"""How many slots a study could use now."""

from __future__ import annotations

from typing import Any

import pytest

from caviar.contract.study import Budget
from service.domain.demand import MAX_WITHOUT_LIMIT, num_wanted

NOTHING = {"num_running": 0, "num_waiting": 0, "num_paused": 0, "num_trials": 0, "num_epochs": 0, "may_create": True}


@pytest.mark.parametrize(
    ("budget", "now", "wanted"),
    [
        ({"max_trials": 60}, {}, 60),
        ({"max_trials": 60}, {"num_trials": 58, "num_running": 3, "num_waiting": 1}, 6),
        ({"max_trials": 60}, {"num_trials": 60, "num_running": 3}, 3),
        ({"max_trials": 60, "max_parallel": 8}, {"num_trials": 20}, 8),
        ({"max_trials": 60, "max_parallel": 2}, {"num_trials": 20, "num_running": 4}, 4),
        ({"max_trials": 60}, {"num_trials": 20, "num_waiting": 2, "may_create": False}, 2),
        ({"max_trials": 60}, {"num_trials": 60, "num_paused": 20, "may_create": False}, 1),
        ({"max_trials": 60}, {"num_trials": 60, "num_paused": 20, "num_running": 2, "may_create": False}, 2),
        ({"max_trials": 60, "max_total_epochs": 100, "max_epochs": 30}, {}, 4),
        ({"max_trials": None, "max_total_epochs": 100, "max_epochs": 30}, {"num_epochs": 80, "num_running": 1}, 2),
        ({"max_trials": None, "max_seconds": 3600.0}, {}, MAX_WITHOUT_LIMIT),
        ({"max_trials": None, "max_seconds": 3600.0, "max_parallel": 16}, {}, 16),
    ],
)
def test_what_waits_and_what_the_budget_still_allows_is_wanted(
    budget: dict[str, Any], now: dict[str, Any], wanted: int
) -> None:
    assert num_wanted(Budget.model_validate(budget), **(NOTHING | now)) == wanted
