"""The application in process, seen by a browser without script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings
from service.use_cases.identity import form_token
from tests.databases import Databases
from tests.service.web.trials import ScriptedWorker

TOKEN = "a-token-of-the-tests-only"


@pytest.fixture
def stranger(databases: Databases) -> Iterator[TestClient]:
    """A browser that has not signed in and does not follow redirects."""
    settings = ServiceSettings(database_url=databases.ready("sqlite"), token=SecretStr(TOKEN))
    prepare(settings)
    with TestClient(create_app(settings), follow_redirects=False, headers={"Accept": "text/html"}) as client:
        yield client


@pytest.fixture
def browser(stranger: TestClient) -> TestClient:
    """A browser that has signed in."""
    assert stranger.get("/login", params={"token": TOKEN}).status_code == 303
    # What every form of its pages carries.
    stranger.headers["X-CSRF-Token"] = form_token(stranger.cookies["caviar_session"])
    return stranger


@pytest.fixture
def worker(browser: TestClient) -> ScriptedWorker:
    """A worker on the same service."""
    transport = TestClient(browser.app, headers={"Authorization": f"Bearer {TOKEN}"})
    return ScriptedWorker(transport)
