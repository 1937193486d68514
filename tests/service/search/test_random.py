"""Random search: the same list of configurations whatever happens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from caviar.contract.states import StopReason, TrialState
from service.search.mirror import Mirror
from service.search.registry import build_sampler
from tests.service.search.studies import study

NUM_TRIALS = 12


def proposals(mirror: Mirror, order: list[int]) -> list[dict[str, object]]:
    sampler = build_sampler(mirror.spec)
    found = {number: sampler.propose(mirror, number).params for number in order}
    return [dict(found[number]) for number in range(NUM_TRIALS)]


@given(st.permutations(range(NUM_TRIALS)), st.integers(0, 2**53 - 1))
def test_the_order_of_asks_changes_nothing(order: list[int], seed: int) -> None:
    spec = study(seed=seed)
    assert proposals(Mirror(spec), order) == proposals(Mirror(spec), list(range(NUM_TRIALS)))


def test_results_and_restarts_change_nothing() -> None:
    empty, told = Mirror(study()), Mirror(study())
    for number in range(NUM_TRIALS):
        told.add(number, number + 1, told.space.params_at([0.5] * len(told.space)))
        told.start(number)
        told.measure(number, 1, float(number))
        told.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
    everything = list(range(NUM_TRIALS))
    assert proposals(empty, everything) == proposals(told, everything)


def test_another_seed_is_another_list() -> None:
    everything = list(range(NUM_TRIALS))
    one, other = proposals(Mirror(study(seed=1)), everything), proposals(Mirror(study(seed=2)), everything)
    assert all(a != b for a, b in zip(one, other, strict=True))


@given(st.integers(0, 2**53 - 1), st.integers(0, 10**6))
def test_every_proposal_fits_the_space(seed: int, number: int) -> None:
    mirror = Mirror(study(seed=seed))
    params = build_sampler(mirror.spec).propose(mirror, number).params
    assert mirror.space.check(params) == params
