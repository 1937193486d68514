"""A service for the client and the commands: the real application in process, or a real process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from caviar import Client
from caviar.cli.machine import free_port
from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings
from tests.caviar.processes import read_until, running
from tests.caviar.trainer import TOKEN, ServiceProcess, Trainer
from tests.databases import Databases


@pytest.fixture
def database_file(databases: Databases) -> Path:
    """Of the application's SQLite database."""
    return Path(databases.ready("sqlite").removeprefix("sqlite:///"))


@pytest.fixture
def application(database_file: Path) -> Iterator[TestClient]:
    """The application, reached without a network and without a token."""
    settings = ServiceSettings(database_url=f"sqlite:///{database_file}", token=SecretStr(TOKEN))
    prepare(settings)
    with TestClient(create_app(settings)) as http:
        yield http


@pytest.fixture
def client(application: TestClient) -> Client:
    """The client of the application in process."""
    return Client(token=TOKEN, http=application)


@pytest.fixture
def trainer(application: TestClient) -> Trainer:
    """A worker of the application in process."""
    return Trainer(application)


@contextmanager
def _served(folder: Path) -> Iterator[ServiceProcess]:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CAVIAR_")}
    environment |= {"CAVIAR_HOME": str(folder), "CAVIAR_TOKEN": TOKEN}
    with running("serve", "--port", str(port), environment=environment) as process:
        read_until(process, "Uvicorn running")
        # A pipe that nobody reads would hold the service up once it is full.
        drain = threading.Thread(target=process.stdout.read if process.stdout else None)
        drain.start()
        yield ServiceProcess(f"http://127.0.0.1:{port}")
        process.terminate()
        drain.join(timeout=30)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service on its own port, as `caviar serve` runs it."""
    with _served(tmp_path_factory.mktemp("service")) as process:
        yield process


@pytest.fixture
def remote_trainer(service: ServiceProcess) -> Iterator[Trainer]:
    """A worker of the service on its own port."""
    with httpx2.Client(base_url=service.url, trust_env=False) as http:
        yield Trainer(http)
