"""The real application on each kind of database, and a receiver of its messages on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import Databases
from tests.service.outbound.receiver import Receiver, receiving
from tests.service.protocol.wire import Wire, running
from tests.service.webhooks.post import Post


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def wire(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wire]:
    """The service, which may send to this machine."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("CAVIAR_HOME", str(tmp_path_factory.mktemp("home")))
        monkeypatch.setenv("CAVIAR_ALLOWED_HOSTS", "testserver")
        monkeypatch.setenv("CAVIAR_PUBLIC_URL", "https://caviar.example/")
        monkeypatch.setenv("CAVIAR_WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8")
        monkeypatch.setenv("CAVIAR_WEBHOOK_TIMEOUT_S", "2")
        with running(databases.ready(request.param), monkeypatch) as wire:
            yield wire


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Where messages go to."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def post(wire: Wire, receiver: Receiver) -> Iterator[Post]:
    """The webhooks of this test; they are gone after it."""
    yield Post(wire, receiver)
    for webhook in wire.get("/webhooks")["items"]:
        assert wire.ask("DELETE", f"/webhooks/{webhook['webhook_id']}")[0] == 204
