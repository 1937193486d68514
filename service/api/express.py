"""The short way of workers' requests: to their handlers without the framework's routing and its dependencies.

The routes stay what they are, in the document and in the framework. Whatever is not plain on the way (a body that is
refused, an odd path) takes the long way, so that all answers but the successful ones are made in one place.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.guards import facts
from service.api.problems import answer, translate
from service.use_cases.service import Service

_JSON = b"application/json"
_PATH = re.compile(r"/(?P<collection>\w+)(?:/\{(?P<parameter>\w+)\}(?P<verb>:\w+))?")
# What is longer is no report of a moment; the long way knows how much is too much.
_MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class _Stop:
    """A handler that requests go to directly.

    Attributes:
        route: The route, which metrics and logs name the request by.
        endpoint: Its function.
        status: Of a successful answer.
        body: Reads the body, from JSON.
        parameter: Name of the path's parameter; None without one.
        reads: Reads that parameter.
    """

    route: APIRoute
    endpoint: Any
    status: int
    body: Callable[[bytes], Any]
    parameter: str | None
    reads: Callable[[Any], Any] | None


class Express:
    """ASGI middleware that answers requests of certain routes by itself.

    It belongs right before the framework: whoever comes this far is known, and is what the guards let pass.
    """

    def __init__(self, app: ASGIApp, *, service: Service, router: APIRouter, prefix: str) -> None:
        """Take the routes whose requests are to be answered directly.

        Args:
            app: The long way.
            service: Of whoever acts.
            router: Its POST routes with a JSON body, at `/collection` or `/collection/{parameter}:verb`, which ask for
                nothing but the service, the parameter and the body.
            prefix: Of their paths.
        """
        self._app = app
        self._service = service
        self._prefix = prefix
        self._stops = dict(_stops(router.routes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it go the long way."""
        found = self._find(scope) if scope["type"] == "http" and scope["method"] == "POST" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        stop, parameters = found
        scope["route"], scope["path_params"] = stop.route, dict(parameters)
        taken: list[Message] = []
        body = await _whole(receive, taken)
        try:
            # A body that is not whole is no JSON.
            parameters["body"] = stop.body(body)
        except ValidationError:
            await self._app(scope, _again(taken, receive), send)
            return
        parameters["service"] = self._service.acting_for(scope["state"]["principal"])
        try:
            answered: BaseModel = await stop.endpoint(**parameters)
        except Exception as error:  # noqa: BLE001  # As in the framework: whatever happens is translated, and logged.
            request = Request(scope)
            await answer(request, translate(request, error))(scope, receive, send)
            return
        content = answered.__pydantic_serializer__.to_json(answered)
        headers = [(b"content-length", b"%d" % len(content)), (b"content-type", _JSON)]
        await send({"type": "http.response.start", "status": stop.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _find(self, scope: Scope) -> tuple[_Stop, dict[str, Any]] | None:
        path: str = scope["path"]
        if not path.startswith(self._prefix) or not _is_plain(scope):
            return None
        collection, _, rest = path[len(self._prefix) + 1 :].partition("/")
        value, colon, verb = rest.partition(":")
        stop = self._stops.get((collection, colon + verb))
        if stop is None or (stop.parameter is None) is not (rest == ""):
            return None
        if stop.parameter is None or stop.reads is None:
            return stop, {}
        try:
            return stop, {stop.parameter: stop.reads(value)}
        except ValidationError:
            return None


def _stops(routes: Iterable[Any]) -> Iterable[tuple[tuple[str, str], _Stop]]:
    for route in routes:
        shape = _PATH.fullmatch(route.path) if isinstance(route, APIRoute) and route.methods == {"POST"} else None
        if shape is None:
            raise ValueError(f"received {route.path}, expected POST at /collection or /collection/{{id}}:verb")
        hints = typing.get_type_hints(route.endpoint, include_extras=True)
        hints.pop("return", None)
        parameter = shape["parameter"]
        if hints.keys() != {"service", "body", *filter(None, [parameter])}:
            raise ValueError(f"received the route {route.path} that asks for {', '.join(sorted(hints))}")
        body = TypeAdapter(hints["body"]).validator.validate_json
        reads = TypeAdapter(hints[parameter]).validator.validate_strings if parameter else None
        stop = _Stop(route, route.endpoint, route.status_code or 200, body, parameter, reads)
        yield (shape["collection"], shape["verb"] or ""), stop


def _is_plain(scope: Scope) -> bool:
    # A parameter of the query, or another kind of body, is the long way's to judge.
    if scope["query_string"]:
        return False
    return facts.known(scope).get(b"content-type") == _JSON


async def _whole(receive: Receive, taken: list[Message]) -> bytes:
    size = 0
    while True:
        message = await receive()
        taken.append(message)
        if message["type"] != "http.request":
            return b""
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(part.get("body", b"") for part in taken) if len(taken) > 1 else message.get("body", b"")
        if size > _MAX_BYTES:
            return b""


def _again(taken: list[Message], receive: Receive) -> Receive:
    waiting = iter(taken)

    async def received() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return received
