"""The short ways of workers' requests: past the framework, and past the guards for those who come again and again.

The routes stay what they are, in the document and in the framework. Whatever is not plain on the way (a body that is
refused, an odd path) takes the long way, so that all answers but the successful ones are made in one place.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caviar.contract.errors import CaviarError
from service.api.guards import facts
from service.api.guards.bodies import check_json
from service.api.guards.headers import completing
from service.api.guards.rates import owner
from service.api.problems import answer, translate
from service.api.regulars import Regulars
from service.domain.buckets import Buckets
from service.use_cases.service import Service

_JSON = b"application/json"
_COUNTED = ":claim"
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
        is_counted: Whether the guards count its requests for as long as they are open.
    """

    route: APIRoute
    endpoint: Any
    status: int
    body: Callable[[bytes], Any]
    parameter: str | None
    reads: Callable[[Any], Any] | None
    is_counted: bool


class Asked(NamedTuple):
    """A request that is plain so far.

    Attributes:
        stop: Where it goes.
        named: The parameter of its path by its name; empty without one.
    """

    stop: _Stop
    named: dict[str, Any]


class Express:
    """Answers requests of certain routes by itself, for middlewares that ask it in place of the framework."""

    def __init__(self, *, service: Service, router: APIRouter, prefix: str) -> None:
        """Take the routes whose requests are to be answered directly.

        Args:
            service: Of whoever acts.
            router: Its POST routes with a JSON body, at `/collection` or `/collection/{parameter}:verb`, which ask for
                nothing but the service, the parameter and the body.
            prefix: Of their paths.
        """
        self._service = service
        self._prefix = prefix
        self.stops = dict(_stops(router.routes))

    def find(self, scope: Scope) -> Asked | None:
        """What a request asks for, if it has a plain path of one of the routes."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path: str = scope["path"]
        # A parameter of the query is the long way's to judge.
        if scope["query_string"] or not path.startswith(self._prefix):
            return None
        collection, slash, rest = path[len(self._prefix) + 1 :].partition("/")
        value, colon, verb = rest.partition(":")
        stop = self.stops.get((collection, colon + verb))
        if stop is None or (stop.parameter is None) is not (slash == ""):
            return None
        if stop.parameter is None or stop.reads is None:
            return Asked(stop, {})
        try:
            return Asked(stop, {stop.parameter: stop.reads(value)})
        except ValidationError:
            return None

    async def answer(self, asked: Asked, body: Any, scope: Scope, receive: Receive, send: Send) -> None:
        """Do what is asked for, in the name of the principal in the state of the request.

        Args:
            asked: What that is.
            body: As its stop has read it.
            scope: Of the request.
            receive: Of the request.
            send: Takes the answer.
        """
        stop = asked.stop
        scope["route"], scope["path_params"] = stop.route, asked.named
        service = self._service.acting_for(scope["state"]["principal"])
        try:
            answered: BaseModel = await stop.endpoint(service=service, body=body, **asked.named)
        except Exception as error:  # noqa: BLE001  # As in the framework: whatever happens is translated, and logged.
            request = Request(scope)
            await answer(request, translate(request, error))(scope, receive, send)
            return
        content = answered.__pydantic_serializer__.to_json(answered)
        headers = [(b"content-length", b"%d" % len(content)), (b"content-type", _JSON)]
        await send({"type": "http.response.start", "status": stop.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


class ShortWay:
    """ASGI middleware right before the framework: whoever comes this far is known, and was let pass by the guards."""

    def __init__(self, app: ASGIApp, *, express: Express, regulars: Regulars) -> None:
        """Answer what can be answered directly.

        Args:
            app: The long way.
            express: Answers.
            regulars: Is told of whose requests come here.
        """
        self._app = app
        self._express = express
        self._regulars = regulars

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it go the long way."""
        asked = self._express.find(scope)
        # Another kind of body is the long way's to judge, too.
        if asked is None or facts.known(scope).get(b"content-type") != _JSON:
            await self._app(scope, receive, send)
            return
        self._regulars.note(scope)
        body, taken = await _whole(receive)
        try:
            read = asked.stop.body(body)
        except ValidationError:
            await self._app(scope, _again(taken, receive), send)
            return
        await self._express.answer(asked, read, scope, receive, send)


class ShorterWay:
    """ASGI middleware before the guards: requests like those that they have let pass a moment ago pass them by."""

    def __init__(self, app: ASGIApp, *, express: Express, regulars: Regulars, allowed: Buckets) -> None:
        """Answer what can be answered directly.

        Args:
            app: The way by the guards, who make all the answers to what is refused.
            express: Answers.
            regulars: Knows whose requests went the short way.
            allowed: Counts requests of the worker wire by the owners of tokens.
        """
        self._app = app
        self._express = express
        self._regulars = regulars
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it go to the guards."""
        asked = self._express.find(scope)
        if asked is None or asked.stop.is_counted or b"%" in (scope.get("raw_path") or b"%"):
            await self._app(scope, receive, send)
            return
        passed = self._regulars.find(scope, asked.stop.route.path)
        if passed is None:
            await self._app(scope, receive, send)
            return
        body, taken = await _whole(receive)
        try:
            check_json(body, may_repeat_keys=True)
            read = asked.stop.body(body)
        except (CaviarError, ValidationError):
            await self._app(scope, _again(taken, receive), send)
            return
        if self._allowed.take(owner(passed.caller.principal), monotonic()) > 0.0:
            await self._app(scope, _again(taken, receive), send)
            return
        scope["client"] = passed.client
        # Where a request came from is written down with what people change, which is nothing of this.
        scope.setdefault("state", {})["principal"] = passed.caller.principal
        await self._express.answer(asked, read, scope, receive, completing(send, passed.further))


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
        is_counted = shape["verb"] == _COUNTED
        stop = _Stop(route, route.endpoint, int(route.status_code or 200), body, parameter, reads, is_counted)
        yield (shape["collection"], shape["verb"] or ""), stop


async def _whole(receive: Receive) -> tuple[bytes, list[Message]]:
    """The body and what it came in; what is no whole body, or too long for here, is empty, which is no JSON."""
    message = await receive()
    taken, size = [message], 0
    while message["type"] == "http.request":
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(part.get("body", b"") for part in taken), taken
        if size > _MAX_BYTES:
            break
        message = await receive()
        taken.append(message)
    return b"", taken


def _again(taken: list[Message], receive: Receive) -> Receive:
    waiting = iter(taken)

    async def received() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return received
