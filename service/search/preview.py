"""What a study would propose, before it is created."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.preview import Cost, Histogram, Preview
from caviar.contract.scales import Axis
from caviar.contract.space import CategoricalParameter, ParamValue
from caviar.contract.study import Budget, StudySpec
from service.search.mirror import Mirror
from service.search.parameters import AnyParameter
from service.search.registry import build_sampler, num_configurations
from service.search.sampler import SpaceExhausted

MAX_SAMPLES = 10_000
_NUM_BINS = 30


def preview(spec: StudySpec, num_samples: int) -> Preview:
    """Draw configurations with the study's own sampler, as long as it has no results.

    Args:
        spec: The study, its space set.
        num_samples: How many configurations, 1 to 10,000; fewer come where the space holds no more.
    Raises:
        InvalidRequest: The number is out of range, or the sampler refuses its options.
    """
    if not 1 <= num_samples <= MAX_SAMPLES:
        expected = f"a whole number from 1 to {MAX_SAMPLES}"
        raise InvalidRequest(
            f"cannot preview {num_samples} configurations",
            errors=[FieldError(field="samples", received=num_samples, expected=expected)],
        )
    sampler, mirror = build_sampler(spec), Mirror(spec)
    configurations = []
    for number in range(num_samples):
        try:
            proposal = sampler.propose(mirror, number)
        except SpaceExhausted:
            break
        if proposal.opened is not None:
            mirror.open_round(proposal.opened)
        mirror.add(number, number + 1, proposal.params, round=proposal.round)
        configurations.append(proposal.params)
    return Preview(
        configurations=configurations,
        histograms={
            name: histogram(parameter, [params[name] for params in configurations if name in params])
            for name, parameter in mirror.space.items()
        },
        cost=cost(spec.budget, num_configurations(sampler, mirror.space)),
    )


def histogram(parameter: AnyParameter, values: Sequence[ParamValue]) -> Histogram:
    """How many values fall into each bin or are of each choice."""
    if isinstance(parameter, CategoricalParameter):
        counts = [0] * len(parameter.choices)
        for value in values:
            counts[parameter.position(value)] += 1
        return Histogram(choices=list(parameter.choices), counts=counts)
    axis = parameter.axis
    edges = bin_edges(axis)
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(max(bisect_right(edges, value) - 1, 0), len(counts) - 1)] += 1
    return Histogram(edges=edges, counts=counts)


def bin_edges(axis: Axis) -> list[float]:
    """Natural values at the ends of bins that are equally wide in the scale's coordinate.

    There are 30, or as many as are no narrower than the cell of a grid value, lest bins between two values stay empty.
    """
    low, high = axis.edges
    start, end = axis.scale.forward(low), axis.scale.forward(high)
    num_bins = _NUM_BINS
    if axis.step is not None:
        forward, half = axis.scale.forward, axis.step / 2
        widest = max(forward(value + half) - forward(value - half) for value in (axis.low, axis.high))
        # A whole ratio that rounding left just below counts as whole.
        num_bins = max(1, min(num_bins, int((end - start) / widest * (1 + 1e-9))))
    # The width may be about the greatest number there is.
    inner = [axis.scale.backward(start + (end - start) * (i / num_bins)) for i in range(1, num_bins)]
    return [low, *inner, high]


def cost(budget: Budget, size: int | None = None) -> Cost:
    """The most that a budget lets a study spend.

    Args:
        budget: The budget.
        size: How many configurations the strategy can propose; None for no limit.
    """
    most = [limit for limit in (budget.max_trials, size) if limit is not None]
    max_trials = min(most, default=None)
    trained = None if max_trials is None else max_trials * budget.max_epochs
    limits = [limit for limit in (trained, budget.max_total_epochs) if limit is not None]
    return Cost(
        max_trials=max_trials,
        max_total_epochs=min(limits, default=None),
        max_seconds=budget.max_seconds,
        num_configurations=size,
    )
