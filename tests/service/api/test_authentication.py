"""Nothing is reached without a token but a short list of paths."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.api import authentication
from service.api.authentication import COOKIE
from service.use_cases import identity
from service.use_cases.identity import form_token
from service.use_cases.service import Service
from tests.service.api.conftest import TOKEN


def test_a_path_without_a_route_does_not_tell_a_stranger_so(stranger: TestClient) -> None:
    assert stranger.get("/api/v1/nothing").status_code == 401
    assert stranger.get("/static").status_code == 401
    assert stranger.get("/loginx").status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer wrong-token-of-somebody", f"Basic {TOKEN}", TOKEN])
def test_a_wrong_token_is_refused(stranger: TestClient, header: str) -> None:
    answer = stranger.get("/api/v1/studies", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_browser_is_sent_to_the_form(stranger: TestClient) -> None:
    answer = stranger.get("/studies/digits?after=50", headers={"Accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fstudies%2Fdigits%3Fafter%3D50"


def _sign_in(stranger: TestClient) -> None:
    answer = stranger.get(f"/login?token={TOKEN}", headers={"Accept": "text/html"})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_the_login_link_opens_a_session_that_can_read_and_be_ended(stranger: TestClient) -> None:
    _sign_in(stranger)
    assert stranger.get("/api/v1/studies").status_code == 200
    assert TOKEN not in stranger.cookies[COOKIE]
    ended = stranger.cookies[COOKIE]
    headers = {"Origin": "http://testserver", "X-CSRF-Token": form_token(ended)}
    assert stranger.post("/logout", headers=headers).status_code == 303
    stranger.cookies.set(COOKIE, ended)
    assert stranger.get("/api/v1/studies").status_code == 401


def test_a_session_is_no_access_token_and_the_other_way_round(stranger: TestClient) -> None:
    _sign_in(stranger)
    session = stranger.cookies[COOKIE]
    stranger.cookies.clear()
    assert stranger.get("/api/v1/studies", headers={"Authorization": f"Bearer {session}"}).status_code == 401
    stranger.cookies.set(COOKIE, TOKEN)
    assert stranger.get("/api/v1/studies").status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://testserver"}, 404),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, 404),
    ],
)
def test_another_site_cannot_write_with_a_browsers_cookie(
    stranger: TestClient, headers: dict[str, str], status: int
) -> None:
    _sign_in(stranger)
    own = {"X-CSRF-Token": form_token(stranger.cookies[COOKIE])}
    assert stranger.post("/api/v1/studies/none:stop", headers=headers | own).status_code == status
    assert stranger.post("/api/v1/studies/none:stop", headers=headers).status_code == 403, "it carries no token"


def test_a_stranger_hears_whether_the_service_is_ready(stranger: TestClient) -> None:
    told = stranger.get("/readyz").json()
    assert told["status"] == "ok"
    # The names of what was looked at, and nothing about it.
    assert told["checks"]
    assert all(check == {"name": check["name"], "is_ok": True, "age_s": None} for check in told["checks"])


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Secrets that were hashed."""
    found: list[str] = []
    digest = identity.digest

    def noting(secret: str) -> str:
        found.append(secret)
        return digest(secret)

    monkeypatch.setattr(identity, "digest", noting)
    return found


def test_a_token_is_hashed_once_for_as_long_as_it_is_recognised(
    app: FastAPI, client: TestClient, hashed: list[str]
) -> None:
    for _ in range(3):
        assert client.get("/api/v1/studies").status_code == 200
    assert hashed == [TOKEN]
    service: Service = app.state.service
    service.recognition.forget()
    assert client.get("/api/v1/studies").status_code == 200
    assert hashed == [TOKEN, TOKEN]


def test_a_token_that_was_revoked_is_refused_at_once_however_often_it_came(client: TestClient) -> None:
    made = client.post("/api/v1/tokens", json={"name": "short", "role": "viewer"}).json()
    theirs = {"Authorization": f"Bearer {made['secret']}"}
    assert [client.get("/api/v1/studies", headers=theirs).status_code for _ in range(3)] == [200, 200, 200]
    assert client.delete(f"/api/v1/tokens/{made['token_id']}").is_success
    assert client.get("/api/v1/studies", headers=theirs).status_code == 401


def test_no_more_tokens_are_kept_than_a_few(
    client: TestClient, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "_MAX_CALLERS", 1)
    spaced = {"Authorization": f"Bearer  {TOKEN}"}
    for _ in range(2):
        assert client.get("/api/v1/studies").status_code == 200
        assert client.get("/api/v1/studies", headers=spaced).status_code == 200
    assert hashed == [TOKEN] * 4
