"""The OpenAPI document: what FastAPI derives, with an example of every request and answer, and how to sign in."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.openapi.utils import get_openapi

from service.api import refusals
from service.api.examples import ANSWERS, BODIES, CSV
from service.api.links import LINKS

_METHODS = ("get", "post", "put", "patch", "delete")


def install(app: FastAPI, path: str) -> None:
    """Make `app.openapi()` give the document, and a route tell it.

    Args:
        app: With all its routes.
        path: Of the document.
    """

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            app.openapi_schema = _complete(document)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]  # the way that FastAPI's documentation gives
    told = _Told(app)

    async def openapi(_request: Request) -> Response:
        return Response(await told.read(), media_type="application/json")

    app.add_route(path, openapi, include_in_schema=False)


class _Told:
    """The document as it is sent. To put it together takes more than a second, in which others want answers."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._lock = asyncio.Lock()
        self._text: bytes | None = None

    async def read(self) -> bytes:
        # Who asks while it is made waits here, not in one of the threads that other requests need.
        async with self._lock:
            if self._text is None:
                self._text = await run_in_threadpool(self._written)
        return self._text

    def _written(self) -> bytes:
        return json.dumps(self._app.openapi(), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


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
