"""The rule of `auto`."""

from __future__ import annotations

from typing import Any

import pytest

from service.search.mirror import Mirror
from service.search.registry import build_sampler
from tests.service.search.studies import SPACE, study

FINITE = {"units": {"type": "int", "low": 1, "high": 20}, "optimizer": SPACE["optimizer"]}


@pytest.mark.parametrize(
    ("space", "budget", "chosen"),
    [
        (FINITE, {"max_trials": 60}, {"kind": "grid", "points": {"units": 20}}),
        (FINITE, {"max_trials": 59}, {"kind": "coarse_to_fine"}),
        (FINITE, {"max_trials": None, "max_seconds": 60.0}, {"kind": "coarse_to_fine"}),
        (SPACE, {"max_trials": 10**6}, {"kind": "coarse_to_fine"}),
    ],
)
def test_it_tries_everything_where_the_budget_allows_it(
    space: dict[str, Any], budget: dict[str, Any], chosen: dict[str, Any]
) -> None:
    auto, other = Mirror(study(space=space, budget=budget, strategy={"kind": "auto"})), None
    other = Mirror(study(space=space, budget=budget, strategy=chosen))
    for number in range(5):
        mine = build_sampler(auto.spec).propose(auto, number)
        assert mine == build_sampler(other.spec).propose(other, number)
        for mirror in (auto, other):
            if mine.opened is not None:
                mirror.open_round(mine.opened)
            mirror.add(number, number + 1, mine.params, round=mine.round)


def test_a_parameter_that_never_applies_does_not_count() -> None:
    never = {"type": "int", "low": 1, "high": 10**9, "when": {"optimizer": ["adam"], "units": [21]}}
    space = FINITE | {"units": {"type": "int", "low": 1, "high": 21, "when": {"optimizer": ["sgd"]}}, "never": never}
    mirror = Mirror(study(space=space, budget={"max_trials": 60}, strategy={"kind": "auto"}))
    assert mirror.space.num_configurations == 21 + 2
    proposal = build_sampler(mirror.spec).propose(mirror, 0)
    assert proposal.round is None
    assert mirror.space.check(proposal.params) == proposal.params
