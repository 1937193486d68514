"""The real application, a provider of the tests' own, and a browser between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.app import create_app, prepare
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
        browser: It does not follow redirects.
        issuer: Where the person is known.
        clock: Of the service.
    """

    browser: TestClient
    issuer: Issuer
    clock: Clock = field(default_factory=Clock)

    def leaves(self, target: str = "/") -> str:
        """Begin to sign in; where the provider sends the browser back to."""
        away = self.browser.get("/login/oidc", params={"next": target})
        assert away.status_code == 303, away.text
        back = httpx2.get(away.headers["location"])
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
        items = TestClient(self.browser.app, headers=headers).get("/api/v1/audit").json()["items"]
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


def _arrived(folder: Path, issuer: Issuer, stack: ExitStack, **more: Any) -> Person:
    chosen: dict[str, Any] = {
        "oidc_issuer": issuer.address,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": SecretStr(CLIENT_SECRET),
        "oidc_roles": ROLES,
        "public_url": "http://testserver/",
        "allowed_hosts": "testserver",
        "artifacts_url": str(folder / "artifacts"),
    }
    settings = ServiceSettings(
        database_url=f"sqlite:///{folder / 'caviar.db'}", token=SecretStr(TOKEN), **(chosen | more)
    )
    prepare(settings)
    clock = Clock()
    client = TestClient(create_app(settings, clock=clock), follow_redirects=False)
    client.headers["Accept"] = "text/html"
    return Person(stack.enter_context(client), issuer, clock)


@pytest.fixture
def arrive(tmp_path: Path, issuer: Issuer) -> Iterator[Callable[..., Person]]:
    """Comes to a fresh service with other settings than usual."""
    with ExitStack() as stack:
        yield lambda **more: _arrived(tmp_path, issuer, stack, **more)


@pytest.fixture(scope="module")
def resident(tmp_path_factory: pytest.TempPathFactory, running: Issuer) -> Iterator[Person]:
    """Somebody at a service that lets everyone in, for all tests of a module."""
    with ExitStack() as stack:
        yield _arrived(tmp_path_factory.mktemp("service"), running, stack)


@pytest.fixture
def person(resident: Person, issuer: Issuer) -> Person:
    """Somebody who has not signed in yet, at a service that lets everyone in and knows its provider."""
    app = resident.browser.app
    app.state.sign_ins = new_attempts()  # type: ignore[attr-defined]  # The type of any application has no state.
    resident.browser.cookies.clear()
    resident.clock.late = timedelta()
    return resident


def query(address: str) -> dict[str, str]:
    """The query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
