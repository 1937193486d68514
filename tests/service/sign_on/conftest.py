"""The real application, a provider of the tests' own, and a browser between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.app import create_app, sign_on_of
from service.serving import prepare
from service.settings import ServiceSettings
from service.web.login import new_attempts
from tests.service.sign_on.issuer import CLIENT_ID, CLIENT_SECRET, Issuer, issuing

TOKEN = "a-token-of-the-tests-only"
ROLES = "ml-admins=admin,ml-team=submitter:digits-*:cifar,everyone=viewer"


@dataclass
class Clock:
    """The service's.

    Attributes:
        late: How much later it is by it.
    """

    late: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.late


@dataclass
class Person:
    """Somebody with a browser.

    Attributes:
        app: The service.
        browser: It does not follow redirects.
        issuer: Where the person is known.
        clock: Of the service.
    """

    app: FastAPI
    browser: TestClient
    issuer: Issuer
    clock: Clock = field(default_factory=Clock)

    def leaves(self, target: str = "/") -> str:
        """Begin to sign in; where the provider sends the browser back to."""
        away = self.browser.get("/login/oidc", params={"next": target})
        assert away.status_code == 303, away.text
        back = httpx2.get(away.headers["location"], verify=False)
        assert back.status_code == 302
        return str(back.headers["location"]).removeprefix("http://testserver")

    def signs_in(self, target: str = "/") -> Any:
        """Go to the provider and back; the answer to that."""
        return self.browser.get(self.leaves(target))

    def who(self) -> Any:
        """Who the person is for the service."""
        return self.browser.get("/api/v1/whoami").json()

    def audit(self) -> list[Any]:
        """What was written down, the newest first."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        items = TestClient(self.app, headers=headers).get("/api/v1/audit").json()["items"]
        return list(items)


@pytest.fixture(scope="module")
def running() -> Iterator[Issuer]:
    """A provider, for all tests of a module."""
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def issuer(running: Issuer) -> Issuer:
    """A provider that behaves, and knows one person, of no group."""
    running.reset()
    running.person = {"email": "ada@example.org", "email_verified": True}
    return running


def _settings(folder: Path, issuer: Issuer, **more: Any) -> ServiceSettings:
    chosen: dict[str, Any] = {
        "database_url": f"sqlite:///{folder / 'caviar.db'}",
        "artifacts_url": str(folder / "artifacts"),
        "token": SecretStr(TOKEN),
        "allowed_hosts": "testserver",
        "public_url": "http://testserver/",
        "oidc_issuer": issuer.address,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": SecretStr(CLIENT_SECRET),
        "oidc_roles": ROLES,
    }
    return ServiceSettings(**(chosen | more))


@pytest.fixture(scope="module")
def resident(tmp_path_factory: pytest.TempPathFactory, running: Issuer) -> Iterator[Person]:
    """Somebody at a service of the module's own."""
    settings = _settings(tmp_path_factory.mktemp("service"), running)
    prepare(settings)
    clock = Clock()
    app = create_app(settings, clock=clock)
    with TestClient(app, follow_redirects=False, headers={"Accept": "text/html"}) as browser:
        yield Person(app, browser, running, clock)


@pytest.fixture
def arrive(tmp_path: Path, issuer: Issuer, resident: Person) -> Callable[..., Person]:
    """Comes to the service as it is with other settings than usual, and has not asked its provider yet."""

    def arrive(**more: Any) -> Person:
        resident.app.state.sign_on = sign_on_of(_settings(tmp_path, issuer, **more))
        resident.app.state.sign_ins = new_attempts()
        resident.browser.cookies.clear()
        resident.clock.late = timedelta()
        return resident

    return arrive


@pytest.fixture
def person(arrive: Callable[..., Person]) -> Person:
    """Somebody who has not signed in yet, at a service that lets everyone in."""
    return arrive()


def query(address: str) -> dict[str, str]:
    """The query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
