"""Answering a page that asks for a part again with "not modified", before anything is rendered."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.domain.principal import Principal
from service.store import studies, trials
from service.store.transaction import Transaction
from service.use_cases import fleet
from service.use_cases.service import Service
from service.web.assets import bundle
from service.web.rendering import HEADERS

_FRAGMENT = re.compile(r"/(?:studies/(?P<study>[^/]+)|trials/(?P<trial>\d{1,15}))/fragments/[^/]+")
# Some of what a fragment shows changes without an event: it is never older than this.
_AGE_S = 20


class Freshness:
    """ASGI middleware that tags the parts of pages of one study or trial.

    The tag is made of the number of the study's last event, the number of workers and a coarse time. The browser keeps
    parts with their tags and asks with them by itself.
    """

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        """Tag what an application answers."""
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, briefly if nothing has changed."""
        found = _FRAGMENT.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        tag = await asyncio.to_thread(self._tag, found, scope["state"]) if found else None
        if tag is None:
            await self._app(scope, receive, send)
        elif tag in Headers(scope=scope).get("if-none-match", ""):
            await Response(status_code=304, headers=HEADERS | {"ETag": tag})(scope, receive, send)
        else:
            await self._app(scope, receive, _tagging(send, tag))

    def _tag(self, found: re.Match[str], state: Mapping[str, Any]) -> str | None:
        principal: Principal = state["principal"]
        with self._service.reading() as tx:
            name = found["study"] or _study_of(tx, int(found["trial"]))
            row = studies.find(tx, name) if name else None
            if row is None or not principal.sees(row.name):
                return None
            workers = fleet.num_alive(tx, lease_ttl_s=self._service.lease_ttl_s)
            age = int(tx.now.timestamp()) // _AGE_S
        # What a visitor may do shows, and the forms of each session are its own.
        visitor = f"{sorted(principal.rights)} {state.get('form_token')}"
        facts = f"{bundle().digest} {visitor} {row.id} {row.created_at} {row.last_event_seq} {workers} {age}"
        return f'W/"{row.last_event_seq}-{crc32(facts.encode()):08x}"'


def _study_of(tx: Transaction, trial_id: int) -> str | None:
    named = trials.named(tx, [trial_id]).get(trial_id)
    return named[0] if named else None


def _tagging(send: Send, tag: str) -> Send:
    async def tagged(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            MutableHeaders(scope=message)["ETag"] = tag
        await send(message)

    return tagged
