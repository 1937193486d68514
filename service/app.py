"""The application: the parts of the service put together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import cache, partial
from typing import cast

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.routing import BaseRoute

from caviar import __version__
from caviar.contract.errors import CaviarError, FieldError, InvalidRequest
from service import tracing
from service.api import (
    analysis_routes,
    artifact_routes,
    audit_routes,
    curve_routes,
    event_routes,
    export_routes,
    health_routes,
    metrics_routes,
    openapi,
    problems,
    progress_routes,
    ranking_routes,
    study_routes,
    token_routes,
    trial_routes,
    webhook_routes,
    worker_routes,
)
from service.api.authentication import Authentication
from service.api.express import Express, ShorterWay, ShortWay
from service.api.guards.guard import Guard
from service.api.guards.proxies import Proxies
from service.api.guards.rates import Limits, Rates, Strangers
from service.api.guards.sites import Sites
from service.api.metrics_routes import Scrapers, Scraping
from service.api.observation import Observation
from service.api.regulars import Regulars
from service.artifacts.opening import open_store
from service.loops.clockwork import Clockwork
from service.loops.courier import Courier
from service.loops.janitor import Janitor
from service.loops.leading import Leading, Loop
from service.loops.sweeper import Sweeper
from service.metrics.exposition import Exposition
from service.metrics.process import Pages
from service.metrics.requests import Requests
from service.outbound.provider import Client, Provider
from service.outbound.resolver import Resolver
from service.outbound.sender import Sender
from service.settings import ServiceSettings
from service.store import migrations
from service.store.clock import ServerClock
from service.store.engine import connect, is_shared
from service.store.leadership import Leadership
from service.use_cases.clearing import Kept
from service.use_cases.keeping import Keeper
from service.use_cases.readiness import Readiness
from service.use_cases.service import Clock, Service, utc_now
from service.use_cases.vouching import SignOn
from service.web import routes as pages
from service.web.errors import error_page
from service.web.freshness import Freshness
from service.web.live.hub import Hub
from service.web.login import new_attempts
from service.web.sign_on import CALLBACK

_API_PREFIX = "/api/v1"
_API_ROUTES = (
    study_routes,
    curve_routes,
    ranking_routes,
    analysis_routes,
    progress_routes,
    trial_routes,
    worker_routes,
    artifact_routes,
    event_routes,
    export_routes,
    webhook_routes,
    token_routes,
    audit_routes,
)
_LEADER_PAUSE_S = 1.0
# Answers to workers are shorter and stay as they are.
_MIN_COMPRESSED_BYTES = 4096
_COMPRESS_LEVEL = 4


def create_app(settings: ServiceSettings, *, clock: Clock | None = None) -> FastAPI:
    """The application on a database that `prepare` has made ready.

    Args:
        settings: Of the process.
        clock: Tells the time; None for the clock of a server that several processes share, else this machine's.
    """
    store = open_store(settings.artifacts_url, drafts=settings.drafts_path)
    engine = connect(settings.database_url, patience_s=settings.patience_s)
    if clock is None:
        clock = ServerClock(engine) if is_shared(engine) else utc_now
    public_url = settings.public_url and settings.public_url.rstrip("/")
    service = Service(engine, lease_ttl_s=settings.lease_ttl_s, clock=clock, public_url=public_url)
    traces = tracing.begin(settings.otlp_endpoint)
    if traces is not None:
        traces.watch(engine)
    app = FastAPI(
        title="Caviar",
        version=__version__,
        summary="A hyperparameter search service for Keras.",
        docs_url=None,
        redoc_url=None,
        # The module openapi adds the route of the document, and tells why.
        openapi_url=None,
        lifespan=_lifespan,
        routes=_routes(),
        telemetry=cast(TelemetryConfig, tracing.OFF if traces is None else traces.telemetry),
    )
    app.state.service = service
    app.state.traces = traces
    app.state.keeper = Keeper(service, store, max_bytes=settings.max_artifact_bytes)
    app.state.sender = Sender(Resolver(settings.webhook_networks), timeout_s=settings.webhook_timeout_s)
    app.state.courier = Courier(service, app.state.sender, keep_days=settings.webhook_keep_days)
    app.state.error_page = error_page
    app.state.live = Hub(service)
    app.state.requests = Requests()
    metrics_token = settings.metrics_token.get_secret_value() if settings.metrics_token else None
    app.state.scrapers = Scrapers(token=metrics_token, is_public=settings.metrics_public)
    app.state.readiness = Readiness(service, head=migrations.head, clockwork_age_s=partial(_clockwork_age_s, app))
    app.state.exposition = Exposition(service, app.state.requests, partial(_pages, app.state.live))
    app.state.leading = _leading(app, settings)
    app.state.sign_ins = new_attempts()
    app.state.sign_on = sign_on_of(settings)
    for kind in (CaviarError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, problems.handle)
    _add_middlewares(app, settings, service)
    openapi.install(app, f"{_API_PREFIX}/openapi.json")
    return app


@cache
def _routes() -> list[BaseRoute]:
    """All routes. The framework prepares them once, which takes half a second, for all applications of a process."""
    made = APIRouter(generate_unique_id_function=lambda route: route.name)
    for routes in _API_ROUTES:
        made.include_router(routes.router, prefix=_API_PREFIX)
    made.include_router(health_routes.router)
    made.include_router(metrics_routes.router)
    pages.include(made)
    return made.routes


def _add_middlewares(app: FastAPI, settings: ServiceSettings, service: Service) -> None:
    """Put the middlewares around the routes: the last one added is the first to see a request.

    A request is observed, whatever becomes of it. It comes to the guard, which refuses what nobody should send, then it
    is a scrape or must say who it is from, which is counted before and after; then workers' requests
    take the short way, and others may be answered without a route. What a route answers is compressed. Workers whose
    requests the guards have let pass a moment ago pass them by.
    """
    # It passes event streams through unchanged, and so it does files, which hold weights: they hardly get smaller.
    app.add_middleware(
        GZipMiddleware,
        minimum_size=_MIN_COMPRESSED_BYTES,
        compresslevel=_COMPRESS_LEVEL,
        exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, artifact_routes.BINARY),
    )
    app.add_middleware(Freshness, service=service)
    express = Express(service=service, router=worker_routes.router, prefix=_API_PREFIX)
    regulars = Regulars(service.recognition)
    is_traced = app.state.traces is not None  # The framework names its spans by the routes that it finds itself.
    if not is_traced:
        app.add_middleware(ShortWay, express=express, regulars=regulars)
    limits = Limits(
        requests_per_s=settings.requests_per_s,
        worker_requests_per_s=settings.worker_requests_per_s,
        stranger_requests_per_s=settings.stranger_requests_per_s,
        failures_per_s=settings.failures_per_s,
        burst_s=settings.burst_s,
        max_streams=settings.max_streams,
        max_streams_each=settings.max_streams_each,
    )
    wire = limits.buckets(limits.worker_requests_per_s)
    app.add_middleware(Rates, limits=limits, wire=wire)
    app.add_middleware(Authentication, service=service)
    app.add_middleware(Strangers, limits=limits)
    app.add_middleware(Scraping, exposition=app.state.exposition, scrapers=app.state.scrapers)
    app.add_middleware(
        Guard,
        hosts=settings.host_names,
        sites=Sites(settings.page_origins),
        proxies=Proxies(settings.proxy_networks),
    )
    if not is_traced:
        app.add_middleware(ShorterWay, express=express, regulars=regulars, allowed=wire)
    # Added last, so that it sees also what other middlewares answer.
    app.add_middleware(
        Observation,
        service=app.state.service,
        requests=app.state.requests,
        prefix=_API_PREFIX,
        slow_request_s=settings.slow_request_s,
        has_access_log=settings.access_log,
    )


def _pages(hub: Hub) -> Pages:
    return Pages(hub.num_listeners, hub.pace.num_turns, hub.pace.spent_s)


def _leading(app: FastAPI, settings: ServiceSettings) -> Leading:
    """What one of all processes that share a database does alone."""
    service: Service = app.state.service
    keeper: Keeper = app.state.keeper

    async def begin() -> Sequence[Loop]:
        app.state.clockwork = clockwork = Clockwork(service)
        await clockwork.tick()
        return [clockwork, Sweeper(keeper), Janitor(service, _terms(settings))]

    leadership = Leadership(service.engine, patience_s=settings.patience_s)
    return Leading(leadership, begin=begin, pause_s=min(_LEADER_PAUSE_S, settings.lease_ttl_s / 5))


def _terms(settings: ServiceSettings) -> dict[Kept, timedelta]:
    days = {
        Kept.EVENTS: settings.keep_events_days,
        Kept.WORKERS: settings.keep_workers_days,
        Kept.AUDIT: settings.keep_audit_days,
        # The audit log names them.
        Kept.TOKENS: settings.keep_audit_days,
        Kept.LOGS: settings.keep_logs_days,
    }
    return {Kept.SESSIONS: timedelta()} | {kept: timedelta(days=term) for kept, term in days.items() if term}


def sign_on_of(settings: ServiceSettings) -> SignOn | None:
    """How people sign in through an identity provider; None if none is set.

    Raises:
        InvalidRequest: A setting for it is missing, or a package.
    """
    issuer, client_id, public_url = settings.oidc_issuer, settings.oidc_client_id, settings.public_url
    if issuer is None and client_id is None and not settings.oidc_roles:
        return None
    if issuer is None or client_id is None or public_url is None or not settings.oidc_roles:
        needed = ("oidc_issuer", "oidc_client_id", "oidc_roles", "public_url")
        errors = [
            FieldError(field=name, received=None, expected=f"a value for CAVIAR_{name.upper()}; docs/security.md tells")
            for name in needed
            if not getattr(settings, name)
        ]
        raise InvalidRequest("people cannot sign in through an identity provider as it is set up", errors=errors)
    secret = settings.oidc_client_secret
    public_url = public_url.rstrip("/")
    client = Client(
        issuer=issuer,
        client_id=client_id,
        client_secret=None if secret is None else secret.get_secret_value(),
        scopes=settings.oidc_scopes,
        redirect_url=public_url + CALLBACK,
    )
    lasts = timedelta(hours=settings.oidc_session_hours)
    return SignOn(Provider(client), settings.oidc_admission, lasts, public_url)


def _clockwork_age_s(app: FastAPI) -> float | None:
    leading: Leading = app.state.leading
    if not leading.is_leader:
        # The clockwork of another process goes round; this one is there to follow it.
        return leading.age_s
    clockwork: Clockwork = app.state.clockwork
    return None if leading.age_s is None or clockwork.age_s is None else max(leading.age_s, clockwork.age_s)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    service.start()
    leading: Leading = app.state.leading
    # Whoever leads gives workers a full term before the first request is answered.
    await leading.step()
    keeper: Keeper = app.state.keeper
    courier: Courier = app.state.courier
    # Every process sends messages; each message is one process's at a time.
    loops = [asyncio.create_task(leading.run()), asyncio.create_task(courier.run())]
    try:
        yield
    finally:
        for loop in loops:
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop
        await leading.close()
        app.state.sender.close()
        await asyncio.to_thread(keeper.close)
        await asyncio.to_thread(service.close)
        if app.state.traces is not None:
            await asyncio.to_thread(app.state.traces.close)
