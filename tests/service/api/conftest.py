"""The application in process, on a fresh SQLite database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings
from tests.databases import Databases

TOKEN = "a-token-of-the-tests-only"


@pytest.fixture
def settings(databases: Databases) -> ServiceSettings:
    """Settings of a service with a known token."""
    return ServiceSettings(database_url=databases.ready("sqlite"), token=SecretStr(TOKEN))


@pytest.fixture
def app(settings: ServiceSettings) -> FastAPI:
    """The application, on a database that is ready."""
    prepare(settings)
    return create_app(settings)


@pytest.fixture(scope="session")
def document(databases: Databases) -> dict[str, Any]:
    """The OpenAPI document, which takes a second to make: for all tests to read, and none to change."""
    app = create_app(ServiceSettings(database_url=databases.ready("sqlite"), token=SecretStr(TOKEN)))
    return app.openapi()


@pytest.fixture
def stranger(app: FastAPI) -> Iterator[TestClient]:
    """Somebody without a token, who does not follow redirects."""
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(stranger: TestClient) -> TestClient:
    """Somebody with the administrator's token."""
    stranger.headers["Authorization"] = f"Bearer {TOKEN}"
    return stranger
