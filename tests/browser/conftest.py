"""The real application behind a real server, and real Chromium in front of it."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
import uvicorn
from playwright.sync_api import Browser, Page
from pydantic import SecretStr

from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings
from tests.browser.chromium import Watch, page_of, running, sync_playwright
from tests.service.web.trials import ScriptedWorker

TOKEN = "a-token-of-the-tests-only"
_START_S = 60.0
_numbers = itertools.count()
Opened = Callable[..., tuple[Page, Watch]]


@pytest.fixture(scope="package")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Database of these tests' service."""
    return f"sqlite:///{tmp_path_factory.mktemp('browser') / 'caviar.db'}"


@pytest.fixture(scope="package")
def origin(database: str) -> Iterator[str]:
    """Address of a service of these tests' own."""
    settings = ServiceSettings(database_url=database, token=SecretStr(TOKEN))
    prepare(settings)
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    end = time.monotonic() + _START_S
    while not server.started:
        assert thread.is_alive(), "the service ended while it started"
        assert time.monotonic() < end, "the service did not start in time"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    app.state.service.feed.close_soon()
    server.should_exit = True
    thread.join()
    listening.close()


# For as long as Playwright runs, the main thread counts as one with an event loop, which other tests must not find.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A Chromium of the module's own."""
    with sync_playwright() as playwright, running(playwright) as browser:
        yield browser


@pytest.fixture
def worker(origin: str) -> Iterator[ScriptedWorker]:
    """A worker on the wire, who is handed trials of its own test only: nobody else trains its objective."""
    with httpx2.Client(base_url=origin, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        yield ScriptedWorker(http, objective=f"Line{next(_numbers)}")


@pytest.fixture
def study(request: pytest.FixtureRequest) -> str:
    """A name for a study, the test's own."""
    name: str = request.node.name
    return name.removeprefix("test_").replace("_", "-").split("[")[0][:60].strip("-")


@pytest.fixture
def open_page(chromium: Browser, origin: str) -> Iterator[Opened]:
    """Opens pages that are signed in unless told otherwise; all are checked at the end of the test."""
    with ExitStack() as stack:
        watches: list[Watch] = []

        def opened(*, token: str | None = TOKEN, **context: Any) -> tuple[Page, Watch]:
            page, watch = stack.enter_context(page_of(chromium, origin, token, **context))
            watches.append(watch)
            return page, watch

        yield opened
        for watch in watches:
            watch.check()
