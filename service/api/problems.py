"""Turning every error into an RFC 9457 body, or into a page for a browser."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from caviar.contract.errors import (
    CaviarError,
    FieldError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RequestError,
    TooLarge,
    field_errors,
    shown,
)
from service.api import observation
from service.api.guards.headers import ALWAYS_TOLD
from service.api.refusals import MEDIA_TYPE, RETRY_AFTER_S

ErrorPage = Callable[[Request, CaviarError], Response]
_EXPECTED = (CaviarError, RequestValidationError, HTTPException)
_log = structlog.get_logger(__name__)
_PLACEHOLDER = re.compile(r"\{[^}]*\}")


def answer(request: Request, error: CaviarError) -> Response:
    """The answer that carries an error."""
    if "app" in request.scope:
        request.app.state.requests.problems[error.code] += 1
    wants_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")
    error_page: ErrorPage | None = getattr(request.app.state, "error_page", None) if "app" in request.scope else None
    if wants_page and error_page is not None:
        return error_page(request, error)
    return JSONResponse(_body(request, error), error.status, headers=_headers(request, error), media_type=MEDIA_TYPE)


def _headers(request: Request, error: CaviarError) -> dict[str, str]:
    # Careful also here, for an answer to a failure of our own is sent from outside of all middlewares.
    match error.status:
        case 401:
            return ALWAYS_TOLD | {"WWW-Authenticate": "Bearer"}
        case 405:
            return ALWAYS_TOLD | {"Allow": ", ".join(sorted(allowed_methods(request)))}
        case 429 | 503:
            return ALWAYS_TOLD | {"Retry-After": str(math.ceil(error.retry_after_s or RETRY_AFTER_S))}
    return ALWAYS_TOLD


def allowed_methods(request: Request) -> set[str]:
    """What can be asked of the path of a request, over all of its routes."""
    found: dict[str, set[str]] = {}
    for route in iter_route_contexts(request.app.routes):
        match, _ = route.matches(dict(request.scope))
        if match is not Match.NONE:
            found.setdefault(str(route.path_format or route.path), set()).update(route.methods or {"GET", "HEAD"})
    # `/studies/{name}` also takes the path of `/studies/{name}:stop`; the one with more text of its own is meant.
    nearest = max(found, key=lambda path: len(_PLACEHOLDER.sub("", path)), default=None)
    return set() if nearest is None else found[nearest]


def translate(request: Request, error: Exception) -> CaviarError:
    """The error of ours that stands for any exception."""
    match error:
        case CaviarError():
            return error
        case RequestValidationError():
            return InvalidRequest(_summary(found := _refused(request, error)), errors=found)
        case HTTPException() if isinstance(error.__cause__, CaviarError):
            # The framework takes whatever goes wrong while it reads a body for a broken body.
            return error.__cause__
        case HTTPException(status_code=404):
            return NotFound(f"received {request.method} {request.url.path}, but there is nothing at this path")
        case HTTPException(status_code=405):
            return MethodNotAllowed(f"received {request.method}, which {request.url.path} does not take")
        case HTTPException(status_code=413):
            return TooLarge("the body is larger than the service takes; send fewer items per request")
        case HTTPException():
            return RequestError(str(error.detail))
    _log.error("api.failed", path=request.url.path, exc_info=error)
    return CaviarError("the service failed at this request; its log has the details")


async def handle(request: Request, error: Exception) -> Response:
    """The exception handler of the application."""
    response = answer(request, translate(request, error))
    if not isinstance(error, _EXPECTED):
        observation.sign(request, response)
    return response


def _body(request: Request, error: CaviarError) -> dict[str, Any]:
    known = observation.request_id(request)
    return error.problem() | ({} if known is None else {"request_id": known})


def _summary(found: list[FieldError]) -> str:
    names = ", ".join(dict.fromkeys(error.field or "the body" for error in found))
    return f"{len(found)} field(s) were refused: {names}"


def _refused(request: Request, error: RequestValidationError) -> list[FieldError]:
    model = _body_model(request)
    entries = error.errors()
    if model is not None and all(entry["loc"][0] == "body" for entry in entries):
        # FastAPI flattens pydantic's error; validating once more gives the one that knows the model.
        try:
            model.model_validate(error.body)
        except ValidationError as original:
            if not any(entry["type"] == "json_invalid" for entry in entries):
                return field_errors(original, error.body)
    return [_plain(entry) for entry in entries]


def _plain(entry: Any) -> FieldError:
    path = ".".join(str(step) for step in entry["loc"][1:] if isinstance(step, str)) or str(entry["loc"][0])
    received = "nothing" if entry["type"] == "missing" else shown(entry.get("input"))
    if entry["type"] == "json_invalid":
        return FieldError(
            field="", received="text that is no JSON", expected=f"a JSON object ({entry['ctx']['error']})"
        )
    return FieldError(field=path, received=received, expected=str(entry["msg"]))


def _body_model(request: Request) -> type[BaseModel] | None:
    field = getattr(request.scope.get("route"), "body_field", None)
    annotation = getattr(getattr(field, "field_info", None), "annotation", None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
