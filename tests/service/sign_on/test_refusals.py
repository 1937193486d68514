"""What an identity provider, or somebody between it and the service, cannot do."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from service.api.authentication import COOKIE
from tests.service.sign_on.conftest import TOKEN, Person
from tests.service.sign_on.issuer import Issuer, part, signed

Arrive = Callable[..., Person]


def _assert_refused(person: Person, answer: Any, reason: str) -> None:
    assert answer.status_code == 403, answer.text
    assert COOKIE not in person.browser.cookies
    assert reason in answer.text
    assert 'role="alert"' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    entry = person.audit()[0]
    assert (entry["action"], entry["actor"]) == ("session.refuse", "nobody")
    assert reason in entry["details"]["reason"]


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of-another-sign-in"}, {"nonce": None}, {"aud": "another-client"}, {"aud": ["another", "client"]},
        {"aud": ["caviar", "another"]}, {"azp": "another-client"}, {"iss": "https://evil.example"}, {"iss": None},
        {"sub": ""}, {"sub": 7}, {"exp": 1_700_000_000}, {"exp": "soon"}, {"iat": 32_503_680_000}, {"iat": None},
        {"nbf": 32_503_680_000}, {"at_hash": "AAAA"}, {"at_hash": 7},
    ],
    ids=str,
)  # fmt: skip
def test_claims_that_are_not_for_us_now(person: Person, issuer: Issuer, claims: dict[str, Any]) -> None:
    issuer.person |= claims
    _assert_refused(person, person.signs_in(), "cannot be believed")


def _unsigned(_issuer: Issuer, claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none'})}.{part(claims)}."


def _signed_with_the_public_key(issuer: Issuer, claims: dict[str, Any]) -> str:
    key = OctKey.import_key(issuer.key.as_pem(private=False).strip().replace(b"-----", b""))
    return jwt.encode({"alg": "HS256", "kid": issuer.key.kid}, claims, key)


def _signed_by_another(issuer: Issuer, claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": issuer.key.kid}, claims, RSAKey.generate_key(2048))


def _signed_by_a_key_of_its_own(_issuer: Issuer, claims: dict[str, Any]) -> str:
    key = RSAKey.generate_key(2048, parameters={"kid": "mine"})
    return jwt.encode({"alg": "RS256", "kid": "mine", "jwk": key.as_dict(private=False)}, claims, key)


def _changed(issuer: Issuer, claims: dict[str, Any]) -> str:
    header, _, signature = signed(issuer, claims).split(".")
    return f"{header}.{part(claims | {'groups': ['ml-admins']})}.{signature}"


def _gibberish(_issuer: Issuer, _claims: dict[str, Any]) -> str:
    return "no.token.\u00fc"


@pytest.mark.parametrize(
    "sign",
    [_unsigned, _signed_with_the_public_key, _signed_by_another, _signed_by_a_key_of_its_own, _changed, _gibberish],
)
def test_signatures_that_prove_nothing(person: Person, issuer: Issuer, sign: Any) -> None:
    assert person.signs_in().status_code == 303, "the keys are known"
    person.browser.cookies.clear()
    issuer.sign = sign
    _assert_refused(person, person.signs_in(), "cannot be believed")


def test_a_state_of_another_sign_in(person: Person) -> None:
    first = person.leaves()
    person.leaves()
    _assert_refused(person, person.browser.get(first), "not begun by this browser")


def test_another_browser(person: Person) -> None:
    back = person.leaves()
    stranger = dataclasses.replace(person, browser=TestClient(person.app, follow_redirects=False))
    _assert_refused(stranger, stranger.browser.get(back), "not begun by this browser")


@pytest.mark.parametrize("kept", ["made-up", "e30.made-up", "\u00fc", "x" * 3000])
def test_a_cookie_that_the_service_did_not_sign(person: Person, kept: str) -> None:
    back = person.leaves()
    person.browser.cookies.clear()
    answer = person.browser.get(back, headers=[(b"Cookie", b"caviar_sign_in=" + kept.encode("latin-1"))])
    _assert_refused(person, answer, "not begun by this browser")


def test_a_sign_in_that_took_too_long(person: Person) -> None:
    back = person.leaves()
    person.clock.late = timedelta(minutes=10, seconds=1)
    _assert_refused(person, person.browser.get(back), "not begun by this browser")


def test_a_code_is_good_once(person: Person) -> None:
    back = person.leaves()
    kept = person.browser.cookies["caviar_sign_in"]
    assert person.browser.get(back).status_code == 303
    person.browser.cookies.clear()
    _assert_refused(person, person.browser.get(back), "not begun by this browser")
    # Not even by somebody who has kept everything that the browser had.
    answer = person.browser.get(back, headers={"Cookie": f"caviar_sign_in={kept}"})
    _assert_refused(person, answer, "invalid_grant")
    assert "never mind" not in answer.text


@pytest.mark.parametrize(
    ("error", "shown"), [("access_denied", "access_denied"), ("<script>alert(1)</script>", "an error without a name")]
)
def test_what_the_provider_refuses(person: Person, issuer: Issuer, error: str, shown: str) -> None:
    issuer.error = error
    answer = person.signs_in()
    _assert_refused(person, answer, shown)
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False}, {"email_verified": None}, {"email_verified": "true"}, {"email": None},
        {"email": "ada@evil.example"}, {"email": "ada@example.org.evil.example"}, {"email": "ada@sub.example.org"},
        {"email": "example.org"},
    ],
    ids=str,
)  # fmt: skip
def test_addresses_that_are_not_let_in(arrive: Arrive, issuer: Issuer, claims: dict[str, Any]) -> None:
    person = arrive(oidc_allowed_domains="Example.org,other.example")
    assert person.signs_in().status_code == 303
    person.browser.cookies.clear()
    issuer.person |= claims
    _assert_refused(person, person.signs_in(), "address")


def test_an_address_that_nobody_has_verified_is_no_name(person: Person, issuer: Issuer) -> None:
    issuer.person = {"email": "root@example.org"}
    assert person.signs_in().status_code == 303
    assert person.who()["name"] == "person-1"


@pytest.mark.parametrize("sub", ["a\u0000b", "line\nbreak", "\u202eevil", "x" * 201])
def test_names_that_nobody_can_read(person: Person, issuer: Issuer, sub: str) -> None:
    issuer.person = {"sub": sub}
    _assert_refused(person, person.signs_in(), "printable")


def test_somebody_whom_no_rule_lets_in(arrive: Arrive, issuer: Issuer) -> None:
    person = arrive(oidc_roles="ml-admins=admin")
    issuer.person |= {"groups": ["ml-admins-not-quite", "everyone"]}
    _assert_refused(person, person.signs_in(), "ada@example.org is in no group")


def test_a_provider_that_is_away(arrive: Arrive, issuer: Issuer) -> None:
    person = arrive()
    issuer.is_down = True
    answer = person.browser.get("/login/oidc")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert "retry-after" in answer.headers
    issuer.is_down = False
    back = person.leaves()
    issuer.is_down = True
    answer = person.browser.get(back)
    assert (answer.status_code, COOKIE in person.browser.cookies) == (503, False)
    issuer.is_down = False
    assert person.signs_in().status_code == 303, "it is back"


def test_a_provider_that_nobody_listens_for(arrive: Arrive) -> None:
    person = arrive(oidc_issuer="http://127.0.0.1:9")
    began = time.monotonic()
    assert person.browser.get("/login/oidc").status_code == 503
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/token"}, {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"}, {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"id_token_signing_alg_values_supported": 7},
    ],
    ids=str,
)  # fmt: skip
def test_a_provider_that_describes_itself_so_that_it_cannot_be_used(
    arrive: Arrive, issuer: Issuer, metadata: dict[str, Any]
) -> None:
    issuer.metadata = metadata
    assert arrive().browser.get("/login/oidc").status_code == 503


def _num_refused(person: Person) -> int:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    asked = {"action": "session.refuse", "limit": "1000"}
    return len(TestClient(person.app, headers=headers).get("/api/v1/audit", params=asked).json()["items"])


def test_whoever_fails_again_and_again_must_wait(arrive: Arrive) -> None:
    person = arrive()
    before = _num_refused(person)
    answers = [person.browser.get("/login/oidc/callback?code=1&state=guess") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [403] * 10 + [429] * 2
    assert person.browser.get("/login/oidc").status_code == 429
    assert _num_refused(person) == before + 10


@pytest.mark.parametrize("name", ["code", "state", "error"])
def test_parameters_without_end(person: Person, name: str) -> None:
    assert person.browser.get("/login/oidc/callback", params={name: "x" * 5000}).status_code == 422
