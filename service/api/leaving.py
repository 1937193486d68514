"""The end of the process, as those hear it whose requests it cuts short."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from caviar.contract.errors import Unavailable
from service.api import problems


class Leaving:
    """Answers requests that are cancelled at the end of the process: what was to be stored may be, or not (503).

    A server that is asked to stop waits some seconds for its answers and then cancels them. By itself it would answer
    500, as if the service had failed at them; but they are to be repeated.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand before a whole application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and answer it if it is cancelled before it was."""
        is_begun = False

        async def watched(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if scope["type"] != "http" or is_begun:
                raise
            error = Unavailable("the service is shutting down; repeat the request in a few seconds")
            await problems.answer(Request(scope), error)(scope, receive, send)
