"""The service as a page has it: for the one who looks at it."""

from __future__ import annotations

from starlette.requests import Request

from service.domain.principal import Principal
from service.use_cases.service import Service


def service_of(request: Request) -> Service:
    """The service, for the one who makes a request."""
    service: Service = request.app.state.service
    return service.acting_for(actor_of(request))


def actor_of(request: Request) -> Principal:
    """Who makes a request."""
    principal: Principal = request.state.principal
    return principal
