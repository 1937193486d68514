"""Signing in and out, and where that leads."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from service.web.login import safe_next
from tests.service.web.conftest import TOKEN


@pytest.mark.parametrize("target", ["/", "/studies/digits", "/studies/digits?after=100", "/trials/7"])
def test_local_targets_are_kept(target: str) -> None:
    assert safe_next(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "", "studies", "https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "\\\\elsewhere",
        "javascript:alert(1)", "/\n/elsewhere", "/\telsewhere", "/ä", "/login", "/login?next=/", "/logout",
    ],
)  # fmt: skip
def test_targets_elsewhere_become_the_first_page(target: str) -> None:
    assert safe_next(target) == "/"


def test_a_stranger_is_led_to_the_form_and_back(stranger: TestClient) -> None:
    first = stranger.get("/studies/digits?after=3")
    assert (first.status_code, first.headers["location"]) == (303, "/login?next=%2Fstudies%2Fdigits%3Fafter%3D3")
    form = stranger.get(first.headers["location"])
    assert form.status_code == 200
    assert 'name="next" value="/studies/digits?after=3"' in form.text
    signed_in = stranger.post("/login", data={"token": f" {TOKEN}\n", "next": "/studies/digits?after=3"})
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/studies/digits?after=3")
    assert stranger.get("/").status_code == 200


def test_the_cookie_is_kept_from_scripts_and_other_sites(stranger: TestClient) -> None:
    cookie = stranger.get("/login", params={"token": TOKEN}).headers["set-cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= parts
    assert "secure" not in parts
    assert TOKEN not in cookie


def test_the_cookie_is_secure_over_https(stranger: TestClient) -> None:
    stranger.base_url = "https://testserver"
    cookie = stranger.post("/login", data={"token": TOKEN}).headers["set-cookie"]
    assert "secure" in {part.strip().lower() for part in cookie.split(";")}


@pytest.mark.parametrize("token", ["", "wrong", "x" * 900, "tökén"])
def test_a_wrong_token_is_refused_on_the_form(stranger: TestClient, token: str) -> None:
    answer = stranger.post("/login", data={"token": token, "next": "//elsewhere.example"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text
    assert 'name="next" value="/"' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert not token or token not in answer.text


def test_signing_out_ends_the_session(browser: TestClient) -> None:
    secret = browser.cookies["caviar_session"]
    origin = {"Origin": "http://testserver"}
    left = browser.post("/logout", headers=origin)
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    assert "caviar_session" not in browser.cookies
    # The cookie is of no use to somebody who kept a copy of it: not even within the time that it is remembered.
    browser.cookies.set("caviar_session", secret)
    assert browser.post("/logout", headers=origin).status_code in {303, 401}


def test_other_sites_cannot_sign_a_person_out(browser: TestClient) -> None:
    refused = browser.post("/logout", headers={"Origin": "https://elsewhere.example"})
    assert refused.status_code == 403
    assert browser.get("/").status_code == 200
