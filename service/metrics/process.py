"""What this process has done and is doing."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import Metric

from caviar import __version__
from service.metrics.families import counter, gauge, histogram
from service.metrics.requests import Requests
from service.store.writer import Writer
from service.use_cases.counts import Counts
from service.use_cases.service import Service


@dataclass(frozen=True, slots=True)
class Pages:
    """How much is done for open pages.

    Attributes:
        num_listeners: Pages that are told of changes.
        num_renderings: Renderings for them so far.
        rendering_s: Processor seconds that those took.
    """

    num_listeners: int
    num_renderings: int
    rendering_s: float


def families(service: Service, requests: Requests, pages: Callable[[], Pages]) -> Iterator[Metric]:
    """Everything that needs no database."""
    told = {(__version__, platform.python_version()): 1.0}
    yield gauge("caviar_build_info", "Version of Caviar and of Python.", told, ("version", "python"))
    yield from _trials(service.counts)
    yield from _leases(service.counts)
    yield from _writer(service.writer)
    yield from _requests(requests)
    yield from _listeners(service, pages())


def _trials(counts: Counts) -> Iterator[Metric]:
    yield counter("caviar_epochs_reported", "Measurements that were stored.", counts.num_epochs)
    yield counter("caviar_trials_created", "Trials that were created.", counts.num_created)
    yield counter("caviar_trials_paused", "Trials that paused at a rung.", counts.num_paused)
    ended = dict(counts.num_ended)
    yield counter("caviar_trials_ended", "Trials that ended, by state and why.", ended, ("state", "stop_reason"))
    requeued = dict(counts.num_requeued)
    yield counter("caviar_trials_requeued", "Trials that wait for another attempt, by why.", requeued, ("reason",))


def _leases(counts: Counts) -> Iterator[Metric]:
    yield counter("caviar_leases_granted", "Leases that were granted.", counts.num_leases)
    yield counter("caviar_leases_expired", "Leases of workers that were not heard of any more.", counts.num_expired)
    yield counter("caviar_leases_lost", "Times that a worker heard that a lease is not its own.", counts.num_lost)
    claims = {"assigned": counts.num_claims[True], "empty": counts.num_claims[False]}
    yield counter("caviar_claims", "Claims by whether they got a trial.", claims, ("result",))


def _writer(writer: Writer) -> Iterator[Metric]:
    yield gauge("caviar_writer_waiting", "Operations that wait for their transaction.", writer.num_waiting)
    sizes, seconds = {(): writer.batch_sizes}, {(): writer.commit_s}
    yield histogram("caviar_writer_batch_operations", "Operations of a transaction that was committed.", sizes)
    yield histogram("caviar_writer_commit_seconds", "Seconds from the beginning to the end of a transaction.", seconds)
    yield counter("caviar_writer_splits", "Transactions rolled back and run again one by one.", writer.num_splits)
    yield counter(
        "caviar_writer_outages", "Operations refused because the database was away or full.", writer.num_outages
    )


def _requests(requests: Requests) -> Iterator[Metric]:
    yield gauge("caviar_http_requests_open", "Requests that are being answered.", requests.num_open)
    problems = dict(requests.problems)
    yield counter("caviar_http_problems", "Answers that were problems, by code.", problems, ("code",))
    labels = ("route", "method", "status")
    text = "Seconds until an answer began; a claim's hold its wait for work."
    yield histogram("caviar_http_request_duration_seconds", text, dict(requests.durations), labels)


def _listeners(service: Service, pages: Pages) -> Iterator[Metric]:
    streams = {"events": service.counts.num_streams, "pages": pages.num_listeners}
    yield gauge("caviar_streams_open", "Streams of events that are open.", streams, ("kind",))
    yield gauge("caviar_long_polls", "Claims that wait for work.", service.feed.num_polls)
    yield counter("caviar_renderings", "Renderings for open pages.", pages.num_renderings)
    yield counter("caviar_rendering_cpu_seconds", "Processor seconds of those renderings.", pages.rendering_s)
