"""Health and readiness, as probes and people ask for them."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.settings import ServiceSettings
from service.use_cases.readiness import Check

_SCRAPER = "a-token-of-prometheus-alone"


@pytest.fixture
def settings(settings: ServiceSettings) -> ServiceSettings:
    """Settings with a token for those who watch."""
    return settings.model_copy(update={"metrics_token": SecretStr(_SCRAPER)})


def _ask(client: TestClient, token: str | None = None) -> tuple[int, Any]:
    answer = client.get("/readyz", headers={} if token is None else {"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()


def test_a_stranger_hears_that_it_is_ready(app: FastAPI, stranger: TestClient) -> None:
    assert stranger.get("/healthz").json()["status"] == "ok"
    names = ("database", "schema", "writer", "clockwork")
    assert _ask(stranger) == (
        200,
        {"status": "ok", "checks": [{"name": name, "is_ok": True, "age_s": None} for name in names]},
    )
    _, told = _ask(stranger, _SCRAPER)
    assert all(0 <= check["age_s"] < 60 for check in told["checks"])


def test_a_stranger_hears_names_only_and_the_watcher_why(
    app: FastAPI, stranger: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def checks() -> list[Check]:
        return [
            Check("database", is_ok=False, age_s=7.2, detail="no answer within 1.5 s"),
            Check("schema", is_ok=True, age_s=0.1),
        ]

    monkeypatch.setattr(app.state.readiness, "checks", checks)
    status, answer = _ask(stranger, "somebody-else-with-a-token")
    assert (status, answer["code"], answer["detail"]) == (503, "unavailable", "the service is not ready: database")
    [error] = answer["errors"]
    assert (error["field"], error["received"]) == ("database", "not that")
    _, answer = _ask(stranger, _SCRAPER)
    [error] = answer["errors"]
    assert error["received"] == "no answer within 1.5 s; it held 7 s ago"
