"""The stream of changes that open pages listen to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from caviar.contract.errors import FieldError, InvalidRequest
from service.use_cases import access
from service.use_cases.service import Service
from service.web.acting import service_of
from service.web.live.broadcaster import Seen
from service.web.live.hub import Hub
from service.web.live.messages import Encoding, Message
from service.web.pages import live_curves, study
from service.web.pages.parameters import StudyName
from service.web.rendering import HEADERS

_MAX_SEQ = 2**31 - 1
# `done` and `about` tell of a change that led to the page.
_NOT_OF_THE_VIEW = frozenset({"about", "done", "last", "only", "seq", "trial"})
_RETRY = Message(b"retry: 3000\n\n")

router = APIRouter(include_in_schema=False)

LastEvent = Annotated[str | None, Header(max_length=60)]


class Asked(BaseModel):
    """What the address of a stream says beside the page's own query.

    Attributes:
        only: `changes` tells no more than that something happened; `curves` tells of learning curves and their history.
        seq: The last event that the page holds.
        trial: With `changes`: what concerns this trial, at once.
        last: Like the header `Last-Event-ID`, the id of the message that the page heard last.
    """

    only: Literal["changes", "curves"] | None = None
    seq: Annotated[int, Field(ge=0, le=_MAX_SEQ)] = 0
    trial: Annotated[int, Field(ge=1, lt=2**53)] | None = None
    last: Annotated[str, Field(max_length=60)] | None = None


@router.get("/studies/{name}/live")
async def stream_changes(
    request: Request, name: StudyName, asked: Annotated[Asked, Query()], last_event_id: LastEvent = None
) -> StreamingResponse:
    """What changes on a page of a study, as server-sent events; see `Asked`."""
    service: Service = service_of(request)
    hub: Hub = request.app.state.live
    seen = _seen(asked.seq, last_event_id or asked.last)
    if asked.only == "changes":
        row = await asyncio.to_thread(_study, service, name)
        messages = hub.signals(row[0], asked.trial, seen, row[1])
    else:
        own = [(key, value) for key, value in request.query_params.multi_items() if key not in _NOT_OF_THE_VIEW]
        make = live_curves.live_view if asked.only == "curves" else study.live_view
        messages = hub.follow(await asyncio.to_thread(make, service, name, own), seen)
    encoding = Encoding("gzip" in request.headers.get("accept-encoding", ""))
    headers = HEADERS | {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Vary": "Accept-Encoding"}
    return StreamingResponse(
        _written(messages, encoding), media_type="text/event-stream", headers=headers | encoding.headers
    )


def _seen(seq: int, last_event_id: str | None) -> Seen:
    if last_event_id is None:
        return Seen(seq)
    name, *numbers = last_event_id.split(".")
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        field = FieldError(field="Last-Event-ID", received=last_event_id, expected="the id of an event of this stream")
        raise InvalidRequest("the stream cannot be resumed", errors=[field])
    return Seen(int(numbers[1]), name, int(numbers[0]))


def _study(service: Service, name: str) -> tuple[int, int]:
    with service.reading() as tx:
        row = access.study(tx, name)
        return int(row.id), int(row.last_event_seq)


async def _written(messages: AsyncIterator[list[Message]], encoding: Encoding) -> AsyncIterator[bytes]:
    yield encoding.begin + encoding.write([_RETRY])
    try:
        async for found in messages:
            yield encoding.write(found)
    finally:
        await messages.aclose()  # type: ignore[attr-defined]  # It is a generator.
