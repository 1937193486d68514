"""What routes ask for: the service, and common parameters."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Request
from pydantic import AwareDatetime, BeforeValidator
from pydantic.config import JsonDict
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.types import Scope

from caviar.contract.errors import refusal
from service.outbound.sender import Sender
from service.use_cases.service import Service


def service_of(scope: Scope) -> Service:
    """The service, for the one who makes a request; on a public path nobody acts."""
    service: Service = scope["app"].state.service
    principal = scope.get("state", {}).get("principal")
    return service if principal is None else service.acting_for(principal)


async def _service(request: Request) -> Service:
    # A coroutine, because a plain function would cost every request a thread.
    return service_of(request.scope)


class _Segment(StringConvertor):
    """Part of a path whose actions follow after a colon: `/trials/7` is not the beginning of `/trials/7:stop`."""

    regex = "[^/:]+"


register_url_convertor("segment", _Segment())

CurrentService = Annotated[Service, Depends(_service)]


async def _sender(request: Request) -> Sender:
    sender: Sender = request.app.state.sender
    return sender


CurrentSender = Annotated[Sender, Depends(_sender)]

# Of names in paths, for the document alone: the guard refuses these signs before anybody looks at a name.
_NO_SLASHES: JsonDict = {"pattern": r"^[^/\\]*$"}
StudyName = Annotated[
    str,
    Path(description="Name of a study.", examples=["digits-mlp"], max_length=64, json_schema_extra=_NO_SLASHES),
]
TrialId = Annotated[int, Path(description="Id of a trial, unique over all studies.", ge=1, lt=2**53, examples=[1])]
WorkerId = Annotated[
    str,
    Path(
        description="Id from the worker's registration.",
        max_length=36,
        json_schema_extra=_NO_SLASHES,
        examples=["5f0c7a52-93a1-4d6b-9a3e-0d2f5c1b7e11"],
    ),
]
WebhookId = Annotated[int, Path(description="Id of a webhook.", ge=1, lt=2**31, examples=[1])]
DeliveryId = Annotated[int, Path(description="Id of a delivery.", ge=1, lt=2**31, examples=[1])]
Limit = Annotated[int, Query(description="At most this many items.", ge=1, le=1000)]
Number = Annotated[int | None, Query(description="Number of the last trial of the page before.", ge=0, lt=2**31)]
Offset = Annotated[int, Query(description="Rows to pass over: `next_after` of the page before.", ge=0, lt=2**53)]


def _written_out(value: object) -> object:
    # pydantic would take a bare number for seconds since 1970.
    if isinstance(value, str) and "T" not in value.upper():
        raise refusal(value, "a date and time with an offset", "write it as in 2026-11-21T13:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
"""A time as RFC 3339 writes it."""
