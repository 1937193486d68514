"""Signing in through an identity provider, with the whole way there and back."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any

import pytest
from fastapi.testclient import TestClient
from joserfc.jwk import RSAKey

from caviar.contract.errors import InvalidRequest
from service.api.authentication import COOKIE
from service.serving import announce
from service.settings import ServiceSettings
from service.use_cases.identity import form_token
from tests.service.sign_on.conftest import Person, query
from tests.service.sign_on.issuer import Issuer

Arrive = Callable[..., Person]


def test_the_sign_in_page_offers_it_where_it_is_set_up(person: Person, issuer: Issuer) -> None:
    page = person.browser.get("/login", params={"next": "/studies/digits?after=3"}).text
    assert 'href="/login/oidc?next=%2Fstudies%2Fdigits%3Fafter%3D3"' in page
    assert f"Sign in through {issuer.address.removeprefix('http://')}" in page


def test_somebody_signs_in_and_sees_where_they_wanted_to_go(person: Person, issuer: Issuer) -> None:
    issuer.person |= {"groups": ["guests", "ml-team"]}
    back = person.signs_in("/workers?sort=name")
    assert (back.status_code, back.headers["location"]) == (303, "/workers?sort=name")
    assert person.browser.get("/workers").status_code == 200
    who = person.who()
    assert (who["name"], who["role"], who["kind"]) == ("ada@example.org", "submitter", "session")
    assert who["scope"] == ["digits-*", "cifar"]
    left_s = (datetime.fromisoformat(who["expires_at"]) - datetime.now().astimezone()).total_seconds()
    assert 12 * 3600 - 60 < left_s <= 12 * 3600
    entry = person.audit()[0]
    assert (entry["action"], entry["actor"], entry["token_id"]) == ("session.open", "ada@example.org", None)


@pytest.mark.parametrize(
    ("groups", "role"),
    [(["ml-team", "ml-admins"], "admin"), ("ml-admins", "admin"), (["ML-ADMINS", 7, None], "viewer"), (7, "viewer")],
)
def test_the_first_rule_that_fits_counts(person: Person, issuer: Issuer, groups: object, role: str) -> None:
    issuer.person |= {"groups": groups}
    assert person.signs_in().status_code == 303
    assert person.who()["role"] == role


def test_the_session_is_no_access_token_and_belongs_to_none(person: Person) -> None:
    person.signs_in()
    secret = person.browser.cookies[COOKIE]
    program = TestClient(person.app, headers={"Authorization": f"Bearer {secret}"})
    assert program.get("/api/v1/whoami").status_code == 401


def test_what_the_browser_keeps_on_the_way_is_kept_from_scripts_and_gone_afterwards(person: Person) -> None:
    kept = SimpleCookie(person.browser.get("/login/oidc").headers["set-cookie"])["caviar_sign_in"]
    assert (kept["httponly"], kept["samesite"], kept["path"], kept["max-age"]) == (True, "lax", "/login/oidc", "600")
    person.signs_in()
    assert "caviar_sign_in" not in person.browser.cookies


def test_the_session_ends_by_itself(arrive: Arrive) -> None:
    person = arrive(oidc_session_hours=0.5)
    cookie = SimpleCookie(person.signs_in().headers["set-cookie"])[COOKIE]
    assert cookie["max-age"] == "1800"
    assert person.browser.get("/workers").status_code == 200
    person.clock.late = timedelta(minutes=31)
    assert person.browser.get("/workers").headers["location"].startswith("/login")


def test_it_is_asked_once_for_what_it_is_and_for_its_keys(arrive: Arrive, issuer: Issuer) -> None:
    person = arrive()
    for _ in range(3):
        assert person.signs_in().status_code == 303
    assert issuer.asked.count("/.well-known/openid-configuration") == issuer.asked.count("/keys") == 1


def test_its_keys_are_asked_for_again_when_it_has_a_new_one(arrive: Arrive, issuer: Issuer) -> None:
    person = arrive()
    assert person.signs_in().status_code == 303
    issuer.key = RSAKey.generate_key(2048, parameters={"kid": "second"})
    assert person.signs_in().status_code == 303
    assert issuer.asked.count("/keys") == 2


@pytest.mark.parametrize(
    ("secret", "methods", "used"),
    [("kept", ["client_secret_post"], "post"), ("kept", ["client_secret_post", "client_secret_basic"], "basic"),
     ("none", ["none"], "none")],
)  # fmt: skip
def test_the_secret_is_sent_as_the_provider_wants_it(
    arrive: Arrive, issuer: Issuer, secret: str, methods: list[str], used: str
) -> None:
    issuer.metadata = {"token_endpoint_auth_methods_supported": methods}
    person = arrive() if secret == "kept" else arrive(oidc_client_secret=None)
    assert person.signs_in().status_code == 303
    assert issuer.used == [used]


def test_a_slash_at_the_end_of_its_name_counts(arrive: Arrive, issuer: Issuer) -> None:
    issuer.address += "/"
    issuer.metadata = {
        name: f"{issuer.address}{path}"
        for name, path in (("authorization_endpoint", "authorize?tenant=one"), ("token_endpoint", "token"),
                           ("jwks_uri", "keys"))
    }  # fmt: skip
    assert arrive().signs_in().status_code == 303


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/login/oidc/callback"],
)
def test_nobody_is_led_elsewhere(person: Person, target: str) -> None:
    assert person.signs_in(target).headers["location"] == "/"


def test_a_person_signs_out_everywhere_and_nobody_else_does(person: Person, issuer: Issuer) -> None:
    person.signs_in()
    other = dataclasses.replace(person, browser=TestClient(person.app, follow_redirects=False))
    other.browser.headers["Accept"] = "text/html"
    issuer.person |= {"email": "bob@example.org"}
    other.signs_in()
    page = person.browser.get("/session").text
    form = page.split('name="csrf" value="')[1].split('"')[0]
    left = person.browser.post("/logout/everywhere", data={"csrf": form}, headers={"Origin": "http://testserver"})
    assert left.status_code == 303
    assert person.browser.get("/workers").status_code == 303
    assert other.browser.get("/workers").status_code == 200


def test_people_have_webhooks_of_their_own(arrive: Arrive, issuer: Issuer) -> None:
    person = arrive(oidc_roles="everyone=submitter")
    person.signs_in()
    headers = {"X-CSRF-Token": form_token(person.browser.cookies[COOKIE]), "Origin": "http://testserver"}
    hook = {"name": "mine", "url": "https://1.1.1.1/hook", "events": ["new_best"]}
    made = person.browser.post("/api/v1/webhooks", json=hook, headers=headers)
    assert made.status_code == 201, made.text
    address = f"/api/v1/webhooks/{made.json()['webhook']['webhook_id']}"
    assert person.browser.get(address).status_code == 200
    assert len(person.browser.get("/api/v1/webhooks").json()["items"]) == 1
    person.browser.cookies.clear()
    issuer.person |= {"email": "bob@example.org"}
    person.signs_in()
    assert person.browser.get(address).status_code == 404
    assert person.browser.get("/api/v1/webhooks").json()["items"] == []


def test_it_is_told_what_the_service_may_be_told(person: Person, issuer: Issuer) -> None:
    address = person.browser.get("/login/oidc").headers["location"]
    assert address.startswith(f"{issuer.address}/authorize?")
    asked = query(address)
    assert asked["redirect_uri"] == "http://testserver/login/oidc/callback"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43


def test_without_a_provider_there_is_nothing(arrive: Arrive) -> None:
    client = arrive(oidc_issuer=None, oidc_client_id=None, oidc_roles="").browser
    assert client.get("/login/oidc").status_code == 404
    assert client.get("/login/oidc/callback?code=1&state=2").status_code == 404
    assert "Sign in through" not in client.get("/login").text


@pytest.mark.parametrize("missing", ["public_url", "oidc_client_id", "oidc_roles", "oidc_issuer"])
def test_what_is_missing_is_said_at_the_start(missing: str) -> None:
    given: dict[str, Any] = {
        "oidc_issuer": "https://id.example", "oidc_client_id": "caviar", "oidc_roles": "everyone=viewer",
        "public_url": "https://caviar.example",
    }  # fmt: skip
    del given[missing]
    with pytest.raises(InvalidRequest) as caught:
        announce(ServiceSettings(**given))
    assert [error.field for error in caught.value.errors] == [missing]


def test_missing_packages_are_named(arrive: Arrive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "authlib.integrations.httpx_client", None)
    with pytest.raises(InvalidRequest, match="authlib"):
        arrive()
