"""The OpenAPI document: what FastAPI derives, with an example of every request and answer, and how to sign in."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.api.examples import ANSWERS, BODIES, PROBLEM

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
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                _complete_operation(operations[method], is_public=path in ("/healthz", "/readyz"))
    return document


def _complete_operation(operation: dict[str, Any], *, is_public: bool) -> None:
    name = operation["operationId"]
    operation["security"] = [] if is_public else [{"token": []}]
    if name in BODIES:
        operation["requestBody"]["content"]["application/json"]["example"] = BODIES[name]
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            for content in answer.get("content", {}).values():
                content["example"] = ANSWERS[name]
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = {
        "description": "Refused: an RFC 9457 problem.",
        "content": {"application/problem+json": {"schema": {"type": "object"}, "example": PROBLEM}},
    }
