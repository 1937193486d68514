"""The OpenAPI document: what FastAPI derives, with an example of every request and answer, and how to sign in."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api import refusals
from service.api.examples import ANSWERS, BODIES, CSV
from service.api.links import LINKS

_METHODS = ("get", "post", "put", "patch", "delete")


def install(app: FastAPI) -> None:
    """Make `app.openapi()` give the document."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            app.openapi_schema = _complete(document)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]  # the way that FastAPI's documentation gives


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for schema in components.get("schemas", {}).values():
        _close(schema)
    for kind, parts in refusals.components().items():
        components.setdefault(kind, {}).update(parts)
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                _complete_operation(path, method, operations[method])
    return document


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    name = operation["operationId"]
    operation["security"] = [] if refusals.is_public(path) else [{"token": []}]
    if name in BODIES:
        operation["requestBody"]["content"]["application/json"]["example"] = BODIES[name]
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            for kind, content in answer.get("content", {}).items():
                content["example"] = CSV if kind == "text/csv" else ANSWERS[name]
            if name in LINKS:
                answer["links"] = LINKS[name]
    operation["responses"].pop("422", None)
    operation["responses"] |= refusals.responses(path, method, operation)


def _close(schema: Any) -> None:
    # pydantic tells the pattern of the names in an object, but not that it refuses all others.
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema.setdefault("additionalProperties", False)
        for below in schema.values():
            _close(below)
    elif isinstance(schema, list):
        for below in schema:
            _close(below)
