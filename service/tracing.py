"""Traces by OpenTelemetry: a span for each request and for each query, sent to whoever collects them.

Nothing of it is imported unless an address to send to is set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from caviar import __version__
from caviar.contract.errors import FieldError, InvalidRequest
from caviar.redaction import clean
from service.store.engine import Engine
from service.store.prepared import SPANS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""OpenTelemetry's own variables for the address of a collector."""

OFF: dict[str, Any] = {"tracing": False, "metrics": False, "logs": False}
"""What FastAPI is told without tracing."""

_PATIENCE_S = 5
_SILENT_PATHS = ("/healthz", "/readyz", "/metrics")
_SILENT_PREFIX = "/static/"


@dataclass(frozen=True, slots=True)
class Tracing:
    """Traces of one application, which leave the globals of OpenTelemetry alone.

    Attributes:
        provider: Makes spans and sends them.
    """

    provider: TracerProvider

    @property
    def telemetry(self) -> dict[str, Any]:
        """What FastAPI is told: spans of requests alone, because metrics and logs have their own ways."""
        return OFF | {
            "tracing": True,
            "operation_spans": False,
            "tracer_provider": self.provider,
            "exclude": _is_silent,
        }

    def watch(self, engine: Engine) -> None:
        """Make a span of each query. Values of parameters are not in it."""
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

        # It names the versions of SQLAlchemy that it was tried with, of which ours is newer; a test tries it with ours.
        SQLAlchemyInstrumentor().instrument(engine=engine, tracer_provider=self.provider, skip_dep_check=True)
        # What is run past SQLAlchemy is nothing that it could tell of.
        engine.update_execution_options(**{SPANS: partial(self._span, engine.dialect.name)})

    @contextmanager
    def _span(self, system: str, text: str) -> Iterator[None]:
        from opentelemetry import trace

        # What is done for many requests at once belongs to the trace of none.
        if not trace.get_current_span().get_span_context().is_valid:
            yield
            return
        facts = {"db.system": system, "db.statement": text}
        with self.provider.get_tracer(__name__).start_as_current_span(
            text.split(maxsplit=1)[0], kind=trace.SpanKind.CLIENT, attributes=facts
        ):
            yield

    def close(self) -> None:
        """Send what is left."""
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

        SQLAlchemyInstrumentor().uninstrument()
        self.provider.shutdown()


def begin(endpoint: str | None) -> Tracing | None:
    """Begin to trace if an address is set.

    Args:
        endpoint: Of a collector that speaks OTLP over HTTP, such as `http://127.0.0.1:4318`; None for what
            OpenTelemetry's own variables say.
    Returns:
        None if no address is set.
    Raises:
        InvalidRequest: One is set, but the packages are not installed.
    """
    if endpoint is None and not any(os.environ.get(name) for name in VARIABLES):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        field = FieldError(field="otlp_endpoint", received=endpoint, expected="pip install 'caviar[otel]'")
        raise InvalidRequest(f"traces need the package {error.name}, which is not installed", errors=[field]) from error
    # Variables of OpenTelemetry add to these, and the name of the service can be set by them.
    name = os.environ.get("OTEL_SERVICE_NAME", "caviar")
    provider = TracerProvider(
        resource=Resource.create({"service.name": name, "service.version": __version__}), shutdown_on_exit=False
    )
    provider.add_span_processor(_cleaner())
    target = None if endpoint is None else f"{endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=target, timeout=_PATIENCE_S)))
    return Tracing(provider)


def _cleaner() -> Any:
    from opentelemetry.sdk.trace import Span, SpanProcessor

    class Cleaner(SpanProcessor):
        """Strikes secrets out of addresses before anybody sees a span."""

        def on_start(self, span: Span, parent_context: object = None) -> None:
            for name, value in dict(span.attributes or {}).items():
                if name.startswith("url.") and isinstance(value, str):
                    span.set_attribute(name, clean(value))

        def on_end(self, span: ReadableSpan) -> None:
            """Nothing: it is done already."""

    return Cleaner()


def _is_silent(scope: MutableMapping[str, Any]) -> bool:
    path = scope.get("path", "")
    return path in _SILENT_PATHS or path.startswith(_SILENT_PREFIX)
