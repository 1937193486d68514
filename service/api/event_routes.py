"""The change feed of a study as server-sent events."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import StreamingResponse

from caviar.contract.errors import CaviarError, FieldError, InvalidRequest, NotFound
from service.api.dependencies import CurrentService, StudyName
from service.store import studies
from service.store.transaction import Event
from service.use_cases import access, history, reading
from service.use_cases.service import Service

router = APIRouter(tags=["events"])

_KEEP_ALIVE_S = 15.0
_PORTION = 1000

_MAX_SEQ = 2**31 - 1
_MAX_ENCODED = 2000
_encoded: OrderedDict[tuple[int, int, datetime], bytes] = OrderedDict()

Seq = Annotated[int | None, Query(description="Send events numbered above this one.", ge=0, le=_MAX_SEQ)]


@router.get(
    "/studies/{name}/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}}
)
async def stream_events(
    request: Request,
    service: CurrentService,
    name: StudyName,
    after: Seq = None,
    last_event_id: Annotated[
        str | None, Header(description="Resumes a stream; wins over `after`.", max_length=20)
    ] = None,
) -> StreamingResponse:
    """Follow a study: every event once and in order, from the beginning or after a known number, without end.

    Of a study that ended long ago, older events may be gone: `events_gone` then says from where on they are there.
    """
    seq = _start(after, last_event_id)
    study_id = await asyncio.to_thread(_study_id, service, name, seq)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(request, service, study_id, seq), media_type="text/event-stream", headers=headers)


def _start(after: int | None, last_event_id: str | None) -> int:
    if last_event_id is None:
        return after or 0
    if not last_event_id.isdecimal() or int(last_event_id) > _MAX_SEQ:
        field = FieldError(field="Last-Event-ID", received=last_event_id, expected="the number of an event")
        raise InvalidRequest("the stream cannot be resumed", errors=[field])
    return int(last_event_id)


def _study_id(service: Service, name: str, seq: int) -> int:
    with service.reading() as tx:
        study = access.study(tx, name)
        # Refused before the stream begins: in the middle of one, nobody would be told why.
        history.since(tx, study, seq, 1)
        return int(study.id)


async def _stream(request: Request, service: Service, study_id: int, seq: int) -> AsyncIterator[bytes]:
    service.counts.num_streams += 1
    try:
        async for found in _told(request, service, study_id, seq):
            yield found
    finally:
        service.counts.num_streams -= 1


async def _told(request: Request, service: Service, study_id: int, seq: int) -> AsyncIterator[bytes]:
    yield b": connected\n\n"
    while not service.feed.is_closed and not await request.is_disconnected():
        found = service.feed.since(study_id, seq)
        if found is None:
            try:
                found = await asyncio.to_thread(_stored, service, study_id, seq)
            except CaviarError:  # Deleted, old, or the database is away: the client comes again and hears why.
                return
        if found:
            seq = found[-1].seq
            yield b"".join(map(_message, found))
        elif not await service.feed.wait(_KEEP_ALIVE_S):
            yield b": keep-alive\n\n"


def _stored(service: Service, study_id: int, seq: int) -> list[Event]:
    with service.reading() as tx:
        study = studies.by_id(tx, study_id)
        if study is None:
            raise NotFound("the study was deleted")
        return history.since(tx, study, seq, _PORTION)


def _message(event: Event) -> bytes:
    """An event as it is sent; streams that follow the same study share the bytes of the newest ones."""
    # An id may be given to another study once its first one is deleted; then the time differs.
    key = (event.study_id, event.seq, event.at)
    found = _encoded.get(key)
    if found is None:
        view = reading.event(event)
        found = f"id: {view.seq}\nevent: {view.kind}\ndata: {view.model_dump_json()}\n\n".encode()
        _encoded[key] = found
        while len(_encoded) > _MAX_ENCODED:
            _encoded.popitem(last=False)
    return found
