"""Which refusals each operation answers with, as the OpenAPI document tells them."""

from __future__ import annotations

from typing import Any

from caviar.contract.errors import (
    MAX_ERRORS,
    CaviarError,
    EventsGone,
    Forbidden,
    InvalidRequest,
    LeaseLost,
    NotFound,
    RateLimited,
    RequestError,
    StateConflict,
    StorageFull,
    TooLarge,
    TooLong,
    TooManyHeaders,
    Unauthorized,
    Unavailable,
    UnsupportedEncoding,
    WrongHost,
    kinds,
)
from service.api.examples import PROBLEM

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
_PUBLIC = frozenset({"/healthz", "/readyz"})
_WRITES = frozenset({"post", "put", "patch", "delete"})
# These change nothing that can be in the way of another change.
_WITHOUT_CONFLICT = frozenset({"preview_study", "register_worker", "send_heartbeat"})
# They name what they are about in the body or in the query, not in the path.
_MAY_MISS = frozenset({"report_measurements", "compare_studies", "create_study", "preview_study"})
# They need more trials than a young study has.
_TOO_EARLY = frozenset({"read_contour", "read_importances"})
_LEASED = frozenset(
    {"report_measurements", "finish_trial", "release_trial", "store_checkpoint", "store_weights", "read_checkpoint"}
)
# They read the change feed, whose old events may be gone.
_LOOKING_BACK = frozenset({"stream_events", "replay_study"})
_STORING = frozenset({"store_checkpoint", "store_weights"})
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to send the same request again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_HEADERS: dict[int, dict[str, Any]] = {
    401: {
        "WWW-Authenticate": {
            "description": "How to sign in.",
            "required": True,
            "schema": {"type": "string", "const": "Bearer"},
        }
    },
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}


def is_public(path: str) -> bool:
    """Whether an operation needs no access token."""
    return path in _PUBLIC


def responses(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """The refusals of an operation, by status, as references to the components of the document."""
    # Names, paths and headers are looked at before anything else.
    found: set[type[CaviarError]] = {Unavailable, RequestError, TooLong, WrongHost, TooManyHeaders}
    name = operation["operationId"]
    if not is_public(path):
        # Queries with NUL are refused before anything else of them is read.
        found |= {Unauthorized, Forbidden, InvalidRequest, RateLimited}
    if "{" in path or name in _MAY_MISS:
        found.add(NotFound)
    if "requestBody" in operation:
        found |= {TooLarge, UnsupportedEncoding}
    if (method in _WRITES and name not in _WITHOUT_CONFLICT) or name in _TOO_EARLY:
        found.add(StateConflict)
    if name in _LEASED:
        found.add(LeaseLost)
    if name in _LOOKING_BACK:
        found.add(EventsGone)
    if name in _STORING:
        found.add(StorageFull)
    return {
        str(status): {"$ref": f"#/components/responses/{_component(status)}"}
        for status in sorted({kind.status for kind in found})
    }


def components() -> dict[str, dict[str, Any]]:
    """The parts of the document that refusals refer to: their schemas, and an answer per status."""
    statuses = sorted({kind.status for kind in _told()})
    return {"schemas": _schemas(), "responses": {_component(status): _response(status) for status in statuses}}


def _told() -> list[type[CaviarError]]:
    return [kind for kind in kinds() if kind.status != CaviarError.status]


def _component(status: int) -> str:
    return f"Refused{status}"


def _response(status: int) -> dict[str, Any]:
    those = [kind for kind in _told() if kind.status == status]
    said = " ".join(f"`{kind.code}`: {str(kind.__doc__).splitlines()[0]}" for kind in those)
    first = those[0]
    example = {**PROBLEM, "type": first.problem_type(), "title": first.title, "status": status, "code": first.code}
    if status != InvalidRequest.status:
        example |= {"detail": str(first.__doc__).splitlines()[0], "errors": []}
    codes = {"status": {"const": status}, "code": {"enum": [kind.code for kind in those]}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}], "properties": codes}
    content = {MEDIA_TYPE: {"schema": schema, "example": example}}
    return {"description": said, "content": content} | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


def _schemas() -> dict[str, Any]:
    received = "What came, shortened to 200 characters where it is long."
    refused = {
        "field": {"type": "string", "description": "Path of the field; empty for the body as a whole."},
        "received": {"type": ["string", "number", "boolean", "null"], "description": received},
        "expected": {"type": "string", "description": "What would have been accepted, and how to fix it."},
    }
    problem = {
        "type": {"type": "string", "format": "uri", "description": "Kind of problem, as a URI."},
        "title": {"type": "string", "description": "Short name of the kind of problem."},
        "status": {"type": "integer", "description": "HTTP status of the answer."},
        "code": {"type": "string", "description": "Stable word for programs."},
        "detail": {"type": "string", "description": "This occurrence, for people."},
        "errors": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/RefusedField"},
            "maxItems": MAX_ERRORS + 1,
            "description": "The refused fields, where there are any.",
        },
    }
    whole = _closed("A refused request, as RFC 9457 has it.", problem)
    request_id = {"type": "string", "description": "What the log of the service tells of the request by."}
    return {
        "Problem": {**whole, "properties": {**problem, "request_id": request_id}},
        "RefusedField": _closed("One field that was refused.", refused),
    }


def _closed(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
    }
