"""Traces reach a collector: one span per request, the spans of its queries below it, and no secret in any."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from service import tracing
from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings
from worker import tracing as worker_tracing

_TOKEN = "a-token-for-tests-only"


class Collector:
    """Takes what is sent by OTLP over HTTP, as a real one does.

    Attributes:
        url: Its address.
        spans: What came, by the name of its service.
    """

    def __init__(self) -> None:
        self.spans: dict[str, list[Span]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    raise ValueError("nobody asked for compression")
                outer.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keep what came."""
        for resource in request.resource_spans:
            named = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            found = self.spans.setdefault(named["service.name"], [])
            found += [span for scope in resource.scope_spans for span in scope.spans]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on a port of its own."""
    found = Collector()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def _settings(tmp_path: Path, **changes: object) -> ServiceSettings:
    values = {"database_url": f"sqlite:///{tmp_path / 'caviar.db'}", "token": _TOKEN, **changes}
    settings = ServiceSettings.model_validate(values)
    prepare(settings)
    return settings


def _facts(span: Span) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in span.attributes}


def test_a_request_and_its_queries_are_one_trace(collector: Collector, tmp_path: Path) -> None:
    app = create_app(_settings(tmp_path, otlp_endpoint=collector.url))
    trace_id, parent_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with TestClient(app, headers={"Authorization": f"Bearer {_TOKEN}"}, follow_redirects=False) as client:
        client.get("/healthz")
        client.get("/api/v1/studies/none", headers={"traceparent": f"00-{trace_id}-{parent_id}-01"})
        client.get("/login", params={"token": "a-secret-that-nobody-tells"})
        client.post("/api/v1/workers", json={"name": "w", "host": "h", "slots": 1, "objectives": [{"name": "mlp"}]})
    spans = collector.spans["caviar"]
    served = {span.name: span for span in spans if span.kind == Span.SPAN_KIND_SERVER}
    assert set(served) == {"GET /api/v1/studies/{name}", "GET /login", "POST /api/v1/workers"}
    asked = served["GET /api/v1/studies/{name}"]
    assert asked.trace_id.hex() == trace_id
    assert asked.parent_span_id.hex() == parent_id
    queries = [span for span in spans if span.trace_id == asked.trace_id and span.kind == Span.SPAN_KIND_CLIENT]
    assert any("FROM studies" in str(_facts(span)) for span in queries)
    # The writer's thread writes for the request: its queries belong to the request's trace.
    registered = served["POST /api/v1/workers"]
    written = [span for span in spans if span.trace_id == registered.trace_id and span is not registered]
    assert any("INSERT INTO workers" in str(_facts(span)) for span in written)
    assert all(secret not in str(spans) for secret in ("a-secret-that-nobody-tells", _TOKEN))


def test_a_worker_tells_the_service_which_span_its_request_is(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    transport = worker_tracing.transport(httpx2.Limits(), "box-1")
    assert transport is not None
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers["traceparent"])
        return httpx2.Response(204)

    monkeypatch.setattr(transport, "_inner", httpx2.MockTransport(answer))
    with httpx2.Client(base_url="http://service", transport=transport) as client:
        client.post("/api/v1/trials/17:finish")
    [span] = collector.spans["caviar-worker"]
    assert span.name == "POST /api/v1/trials/{id}:finish"
    [told] = seen
    assert told.startswith(f"00-{span.trace_id.hex()}-{span.span_id.hex()}-")


def test_without_an_address_nothing_is_traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracing.begin(None) is None
    assert worker_tracing.transport(httpx2.Limits(), "box-1") is None
    program = (
        "import sys, service.app, worker.main;"
        "from service import tracing; assert tracing.begin(None) is None;"
        "from worker import tracing; import httpx2; assert tracing.transport(httpx2.Limits(), 'w') is None;"
        "sys.exit(' '.join(n for n in sys.modules if n.startswith(('opentelemetry.sdk', 'opentelemetry.exporter', "
        "'opentelemetry.instrumentation'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_a_collector_that_is_away_harms_nobody(tmp_path: Path) -> None:
    app = create_app(_settings(tmp_path, otlp_endpoint="http://127.0.0.1:9"))
    with TestClient(app) as client:
        assert client.get("/api/v1/studies").status_code == 401
