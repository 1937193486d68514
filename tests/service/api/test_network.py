"""The whole application against what comes over a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr, ValidationError

from service.settings import ServiceSettings
from tests.service.api.conftest import TOKEN

_JSON = {"Content-Type": "application/json"}


def test_by_default_a_service_of_this_machine_has_no_other_names() -> None:
    names = ServiceSettings(allowed_hosts="").host_names
    assert names.allow("localhost")
    assert not names.allow("evil.example")
    assert not names.allow("testserver")
    assert ServiceSettings(host="0.0.0.0", allowed_hosts="a.example, b.example").host_names.allow("b.example")


@pytest.mark.parametrize(
    "wrong",
    [{"allowed_hosts": "https://a.example"}, {"allowed_origins": "*"}, {"trusted_proxies": "all"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_setting_that_cannot_be_meant_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="received"):
        ServiceSettings(**wrong)  # type: ignore[arg-type]


def test_what_every_answer_carries(client: TestClient) -> None:
    script = client.get("/login", headers={"Accept": "text/html"}).text.partition('src="')[2].partition('"')[0]
    answers = {
        "page": client.get("/", headers={"Accept": "text/html"}),
        "script": client.get(script),
        "list": client.get("/api/v1/studies"),
        "problem": client.get("/api/v1/studies/none"),
        "unknown": client.get("/nothing"),
        "wrong verb": client.delete("/api/v1/studies"),
        "too large": client.post("/api/v1/studies", content=b" " * (17 << 20), headers=_JSON),
        "probe": client.get("/healthz"),
        "redirect": client.get(f"/login?token={TOKEN}"),
        "schema": client.get("/api/v1/openapi.json"),
        "stranger": client.get("/api/v1/studies", headers={"Authorization": "Bearer nobody's"}),
        "wrong host": client.get("/", headers={"Host": "evil.example"}),
    }
    assert {what: answer.status_code for what, answer in answers.items()} == {
        "page": 200, "script": 200, "list": 200, "problem": 404, "unknown": 404, "wrong verb": 405, "too large": 413,
        "probe": 200, "redirect": 303, "schema": 200, "stranger": 401, "wrong host": 421,
    }  # fmt: skip
    for what, answer in answers.items():
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff", what
        assert "frame-ancestors 'none'" in headers["content-security-policy"], what
        assert headers["cross-origin-opener-policy"] == "same-origin", what
        assert headers["cross-origin-resource-policy"] == "same-origin", what
        assert headers["referrer-policy"] in ("no-referrer", "same-origin"), what
        assert "geolocation=()" in headers["permissions-policy"], what
        kept = {"page": "private, no-cache", "script": "public, max-age=31536000, immutable"}
        assert headers["cache-control"] == kept.get(what, "no-store"), what
        assert len([name for name, _ in headers.multi_items() if name == "content-security-policy"]) == 1, what


def test_a_failure_of_the_service_itself_is_careful_too(app: FastAPI, client: TestClient) -> None:
    def broken() -> None:
        raise RuntimeError("a mistake of ours")

    app.add_api_route("/api/v1/broken", broken)
    answer = client.get("/api/v1/broken")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_bodies_have_the_measure_of_their_route(client: TestClient) -> None:
    spaces = b" " * (2 << 20)
    for path, status in (("/studies", 422), ("/studies:preview", 422), ("/studies/x/trials:import", 422),
                         ("/measurements", 422), ("/workers", 413), ("/workers/w:claim", 413),
                         ("/trials/1:finish", 413), ("/studies/x:clone", 413)):  # fmt: skip
        answer = client.post(f"/api/v1{path}", content=spaces, headers=_JSON)
        assert answer.status_code == status, path
        # Without a length, it is counted while it comes.
        streamed = client.post(f"/api/v1{path}", content=iter([spaces[: 1 << 20], spaces]), headers=_JSON)
        assert streamed.status_code == status, path
        assert streamed.json()["code"] == ("too_large" if status == 413 else "invalid_request")
    form = client.post("/login", content=b"a=" + spaces, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert form.status_code == 413


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[" * (15 << 20), "values"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"name": "a", "name": "b"}', "the key 'name' twice"),
    ],
    ids=["brackets", "deep", "twice"],
)
def test_json_that_means_harm_is_refused_with_a_reason(client: TestClient, text: bytes, said: str) -> None:
    answer = client.post("/api/v1/studies", content=text, headers=_JSON)
    assert answer.status_code == 422
    assert said in answer.json()["errors"][0]["received"]


@pytest.mark.parametrize("number", [b"1" * 100_000, b"-" * 10, b"0." + b"3" * 100_000, b"1e" + b"9" * 5000])
def test_numbers_of_any_length_are_answered(client: TestClient, number: bytes) -> None:
    body = b'{"name": "x", "objective": {"name": "mlp"}, "space": {}, "seed": ' + number + b"}"
    answer = client.post("/api/v1/studies", content=body, headers=_JSON)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_page_on_the_network_can_be_settled_by_its_operator(tmp_path: Path) -> None:
    settings = ServiceSettings(
        database_url=f"sqlite:///{tmp_path}/x.db", token=SecretStr(TOKEN), host="0.0.0.0",
        trusted_proxies="10.0.0.0/8, ::1", allowed_origins="https://Pages.example/",
    )  # fmt: skip
    assert settings.page_origins == ("https://pages.example",)
    assert "10.9.9.9" in settings.proxy_networks
    assert "11.0.0.1" not in settings.proxy_networks
