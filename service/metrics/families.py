"""Families of metrics, as Prometheus names them, from our own counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isinf
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from service.domain.tally import Tally

Labels = Sequence[str]
Values = Mapping[Any, float] | float
"""A single number, or numbers by the values of the labels: a text where there is one label, else a tuple."""


def counter(name: str, help: str, values: Values, labels: Labels = ()) -> Metric:
    """A count that only rises; its name gets `_total` at its end.

    Args:
        name: Without `_total`.
        help: What it counts.
        values: The count, or counts by the values of the labels; a single one may be plain text.
        labels: Names of the labels.
    """
    family = CounterMetricFamily(name, help, labels=labels)
    for key, value in _by_labels(values):
        family.add_metric(key, value)
    return family


def gauge(name: str, help: str, values: Values, labels: Labels = ()) -> Metric:
    """A number that rises and falls; the arguments are those of `counter`."""
    family = GaugeMetricFamily(name, help, labels=labels)
    for key, value in _by_labels(values):
        family.add_metric(key, value)
    return family


def histogram(name: str, help: str, tallies: Mapping[Any, Tally], labels: Labels = ()) -> Metric:
    """How often something was how large.

    Args:
        name: With its unit.
        help: What it tells.
        tallies: By the values of the labels, as tuples.
        labels: Names of the labels.
    """
    family = HistogramMetricFamily(name, help, labels=labels)
    for key, tally in tallies.items():
        buckets = [("+Inf" if isinf(bound) else str(float(bound)), count) for bound, count in tally.cumulated()]
        family.add_metric(key, buckets, tally.total)
    return family


def _by_labels(values: Values) -> Iterable[tuple[Labels, float]]:
    if isinstance(values, Mapping):
        return [((key,) if isinstance(key, str) else key, value) for key, value in values.items()]
    return [((), values)]
