"""Traces by OpenTelemetry: each request to the service is a span, which the service's own spans belong to.

Only where OpenTelemetry is installed and its variables name an address to send to; nothing of it is imported otherwise.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

import httpx2

from caviar.trust import verification

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter")
_PATIENCE_S = 5
_NUMBERS = re.compile(r"/(?:\d+|[0-9a-f-]{36})(?=[/:]|$)")


def is_wanted() -> bool:
    """Whether somebody is to be told of requests, and can be."""
    return any(os.environ.get(name) for name in _VARIABLES) and _is_installed()


def transport(limits: httpx2.Limits, worker: str) -> httpx2.BaseTransport | None:
    """A transport that traces requests; None if there is nobody to tell.

    Args:
        limits: Of its connections.
        worker: Name of the worker.
    """
    if not is_wanted():
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "caviar-worker")
    resource = Resource.create({"service.name": name, "service.instance.id": worker})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_PATIENCE_S)))
    return _Traced(httpx2.HTTPTransport(limits=limits, verify=verification()), provider)


class _Traced(httpx2.BaseTransport):
    """Makes a span of each request, and tells the service which one by the header `traceparent`."""

    def __init__(self, inner: httpx2.BaseTransport, provider: TracerProvider) -> None:
        self._inner = inner
        self._provider = provider
        self._tracer = provider.get_tracer("caviar.worker")

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        route = _NUMBERS.sub("/{id}", request.url.path)
        attributes = {"http.request.method": request.method, "url.path": request.url.path}
        with self._tracer.start_as_current_span(
            f"{request.method} {route}", kind=trace.SpanKind.CLIENT, attributes=attributes
        ) as span:
            TraceContextTextMapPropagator().inject(request.headers)
            response = self._inner.handle_request(request)
            span.set_attribute("http.response.status_code", response.status_code)
        return response

    def close(self) -> None:
        self._inner.close()
        self._provider.shutdown()


def _is_installed() -> bool:
    try:
        return all(find_spec(name) is not None for name in _PACKAGES)
    except ModuleNotFoundError:  # Not even the package that they lie in.
        return False
