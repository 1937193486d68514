"""Nothing is reached without a token but a short list of paths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.api.authentication import COOKIE
from tests.service.api.conftest import TOKEN

_PUBLIC = {"/login", "/healthz", "/readyz", "/static/{digest}/{name}", "/static/plotly/{version}/{name}"}
_VALUES = {
    "name": "digits-mlp",
    "trial_id": "1",
    "worker_id": "w",
    "digest": "0",
    "after": "0",
    "verb": "pause",
    "epoch": "1",
    "version": "0",
}


def _routes(routes: Any) -> Iterator[tuple[str, str]]:
    for route in routes:
        path = getattr(route, "path_format", None) or getattr(route, "path", None)
        if path is None:  # A router that was included: FastAPI resolves its routes when asked.
            yield from _routes(route.effective_candidates())
        else:
            yield from ((method, path) for method in sorted(route.methods))


def _all_routes(app: FastAPI) -> list[tuple[str, str]]:
    found = list(_routes(app.routes))
    assert len(found) > 35, "the walk must see the pages and the API"
    return found


def _filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: _VALUES[match.group(1)], path)


def test_every_route_but_the_public_ones_refuses_a_stranger(app: FastAPI, stranger: TestClient) -> None:
    documented = set(app.openapi()["paths"])
    walked = _all_routes(app)
    assert documented <= {path for _, path in walked}
    for method, path in walked:
        answer = stranger.request(method, _filled(path))
        if (method, path) == ("POST", "/login"):
            assert answer.status_code == 401, "the form was sent empty"
            assert answer.headers["content-type"].startswith("text/html")
        elif path in _PUBLIC:
            assert answer.status_code != 401, (method, path)
        else:
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"


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
    assert stranger.post("/logout", headers={"Origin": "http://testserver"}).status_code == 303
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
    assert stranger.post("/api/v1/studies/none:stop", headers=headers).status_code == status


def test_a_stranger_hears_whether_the_service_is_ready(stranger: TestClient) -> None:
    assert stranger.get("/readyz").json() == {"status": "ok"}
