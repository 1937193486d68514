"""Previews: what will be sampled, binned in the scale's coordinate."""

from __future__ import annotations

from typing import Any

import pytest

from caviar.contract.errors import InvalidRequest
from service.search.mirror import Mirror
from service.search.preview import bin_edges, preview
from service.search.registry import build_sampler
from tests.service.search.studies import SPACE, study

KINDS = ["random", "quasi_random", "coarse_to_fine", "tpe", "cma_es"]


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_the_draws_of_beta_1_lie_in_the_upper_decade(kind: str) -> None:
    shown = preview(study(strategy={"kind": kind}), 10_000)
    betas = [float(params["beta_1"]) for params in shown.configurations]
    assert 0.48 <= sum(0.99 <= beta <= 0.999 for beta in betas) / len(betas) <= 0.52
    assert min(betas) >= 0.9
    assert max(betas) <= 0.999


@pytest.mark.parametrize("kind", KINDS)
def test_a_preview_is_what_the_study_will_begin_with(kind: str) -> None:
    spec = study(strategy={"kind": kind})
    shown = preview(spec, 5).configurations
    mirror, sampler = Mirror(spec), build_sampler(spec)
    for number, params in enumerate(shown):
        proposal = sampler.propose(mirror, number)
        assert proposal.params == params
        if proposal.opened is not None:
            mirror.open_round(proposal.opened)
        mirror.add(number, number + 1, proposal.params)


def test_histograms_are_flat_in_the_coordinate_and_hold_every_draw() -> None:
    shown = preview(study(), 6000)
    for name, histogram in shown.histograms.items():
        drawn = sum(name in params for params in shown.configurations)
        assert sum(histogram.counts) == drawn
        expected = drawn / len(histogram.counts)
        # Cells of whole numbers do not line up with bins; continuous ones are even but for chance.
        tolerance = 0.5 if name == "units" else 6 / expected**0.5
        assert all(abs(count - expected) < tolerance * expected for count in histogram.counts), name
    assert len(shown.histograms["learning_rate"].counts) == 30
    assert shown.histograms["learning_rate"].edges[0] == 1e-4
    assert shown.histograms["learning_rate"].edges[-1] == 1.0
    assert shown.histograms["learning_rate"].edges[15] == pytest.approx(1e-2)
    assert shown.histograms["num_layers"].edges == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert shown.histograms["optimizer"].choices == ["sgd", "rmsprop", "adam"]
    assert shown.histograms["momentum"].edges[0] == 0.5


def test_a_range_about_as_wide_as_numbers_are_has_bins() -> None:
    spec = study(space={"x": {"type": "float", "low": 0.0, "high": 1e308}})
    histogram = preview(spec, 60).histograms["x"]
    assert histogram.edges == sorted(set(histogram.edges))
    assert histogram.edges[15] == pytest.approx(0.5e308)
    assert sum(histogram.counts) == 60


def test_no_bin_is_narrower_than_the_widest_cell() -> None:
    space: dict[str, Any] = {"n": {"type": "int", "low": 1, "high": 16, "scale": "log"}}
    spec = study(space=space)
    assert spec.space is not None
    assert len(bin_edges(spec.space["n"].axis)) - 1 == 3  # type: ignore[union-attr]
    assert min(preview(spec, 1000).histograms["n"].counts) > 0


@pytest.mark.parametrize(
    ("budget", "total"),
    [
        ({"max_trials": 10, "max_epochs": 5}, 50),
        ({"max_trials": 10, "max_epochs": 5, "max_total_epochs": 20}, 20),
        ({"max_trials": None, "max_epochs": 5, "max_total_epochs": 20}, 20),
        ({"max_trials": None, "max_epochs": 5, "max_seconds": 60.0}, None),
    ],
)
def test_the_cost_is_the_tightest_limit(budget: dict[str, Any], total: int | None) -> None:
    cost = preview(study(budget=budget), 1).cost
    assert cost.max_total_epochs == total
    assert cost.max_trials == budget["max_trials"]
    assert cost.max_seconds == budget.get("max_seconds")


def test_a_preview_ends_where_the_space_does_and_tells_its_size() -> None:
    space: dict[str, Any] = {name: SPACE[name] for name in ("num_layers", "optimizer", "is_nesterov")}
    shown = preview(study(space=space), 100)
    assert len(shown.configurations) == shown.cost.num_configurations == 4 * 4
    assert (shown.cost.max_trials, shown.cost.max_total_epochs) == (16, 16 * 16)


def test_the_size_of_a_grid_is_told() -> None:
    shown = preview(study(strategy={"kind": "grid", "default_points": 2}, budget={"max_trials": 10_000}), 3)
    assert shown.cost.num_configurations == 2 * 2 * 4 * 2 * 6 * 2 * 4 * (2 * 2 + 2) == shown.cost.max_trials
    assert preview(study(), 1).cost.num_configurations is None


@pytest.mark.parametrize("samples", [0, -1, 10_001])
def test_numbers_out_of_range_are_refused(samples: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        preview(study(), samples)
    assert caught.value.errors[0].field == "samples"
    assert caught.value.errors[0].expected == "a whole number from 1 to 10000"


def test_the_space_of_these_tests_has_every_type_and_scale() -> None:
    assert {parameter["type"] for parameter in SPACE.values()} == {"float", "int", "categorical"}
    scales = {parameter.get("scale", "linear") for parameter in SPACE.values()}
    assert scales == {"linear", "log", "reverse_log", "logit"}
