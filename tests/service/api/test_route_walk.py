"""Every route is walked by every kind of caller, and lets in whom the table in the docs lets in, and nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.api.authentication import COOKIE
from service.api.examples import BODIES
from service.app import create_app
from service.domain.principal import Origin
from service.serving import prepare
from service.settings import ServiceSettings
from service.use_cases import identity
from tests.service.api.conftest import TOKEN
from tests.service.api.rights import COLUMNS, Row, routes, table
from tests.service.web.trials import ScriptedWorker

STUDY = "digits"
_API = "/api/v1"
_SAFE = ("GET", "HEAD")
_LEASED = {"Caviar-Lease": "no-lease", "Caviar-SHA256": "0" * 64, "Caviar-Epoch": "1"}
_QUERIES = {
    "/api/v1/studies/{name}/trials:compare": "?trial=0&trial=1",
    "/api/v1/studies/{name}/contour": "?x=units&y=learning_rate",
    "/api/v1/studies:compare": f"?study={STUDY}&study=other",
    "/compare": f"?study={STUDY}&study=other",
}
_FORMS: dict[str, dict[str, str]] = {
    "/studies/{name}/clone": {"new_name": "copy"},
    "/studies/{name}/delete": {"confirmed": STUDY},
    "/studies/{name}/retest": {"top": "1", "repeats": "1"},
    "/workers/hosts/{verb}": {"host": "box"},
    "/tokens": {"name": "one", "role": "viewer"},
    "/webhooks": {"name": "one", "url": "https://192.0.2.1/hook", "events": "new_best"},
    "/login": {"token": "wrong"},
}
_MORE_BODIES: dict[str, Any] = {
    f"PATCH {_API}/studies/{{name}}": {"tags": {"a": "b"}},
    f"POST {_API}/studies/{{name}}/trials": {"params": {"x": 0.5}},
    f"POST {_API}/studies/{{name}}/trials:import": {"study": "other"},
    f"POST {_API}/studies/{{name}}/rounds": {"windows": {"units": {"low": 32, "high": 64}}},
    f"POST {_API}/studies": BODIES["create_study"] | {"name": STUDY},
}


class Walk:
    """A service with a study and a trial, and everybody who may come."""

    def __init__(self, folder: Path) -> None:
        self.secrets: dict[str, str] = {}
        self.elsewhere: dict[str, str] = {}
        self.ended: dict[str, str] = {}
        self.now = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
        settings = ServiceSettings(
            database_url=f"sqlite:///{folder / 'caviar.db'}",
            token=SecretStr(TOKEN),
            allowed_hosts="testserver",
            requests_per_s=0,
            stranger_requests_per_s=0,
            failures_per_s=0,
        )
        prepare(settings)
        self.app = create_app(settings, clock=lambda: self.now)
        self.client = TestClient(self.app, follow_redirects=False, raise_server_exceptions=False)
        self.operations = {
            (method.upper(), path): operation["operationId"]
            for path, item in self.app.openapi()["paths"].items()
            for method, operation in item.items()
        }
        self.values: dict[str, str] = {
            "name": STUDY,
            "verb": "pause",
            "epoch": "1",
            "webhook_id": "1",
            "delivery_id": "1",
            "switch": "off",
            "digest": "0",
            "version": "0",
        }
        self.values["secret"] = "cvr_nobody"

    def settle(self) -> None:
        """Make the studies, a trial, and tokens for everybody."""
        self.client.headers["Authorization"] = f"Bearer {TOKEN}"
        self.secrets = {role: self.made(role) for role in ("viewer", "worker", "submitter")} | {"admin": TOKEN}
        self.furnish()
        self.secrets["share link"] = self.ask("POST", f"{_API}/studies/{STUDY}:share", json={})["secret"]
        self.elsewhere = {role: self.made(role, scope=["elsewhere-*"]) for role in self.secrets if role != "share link"}
        revoked = self.ask("POST", f"{_API}/tokens", json={"name": "revoked", "role": "admin"})
        self.client.delete(f"{_API}/tokens/{revoked['token_id']}").raise_for_status()
        self.ended = {"revoked": revoked["secret"], "expired": self.made("admin", expires_in_s=60)}
        self.values["token_id"] = str(revoked["token_id"])
        del self.client.headers["Authorization"]

    def furnish(self) -> None:
        """See to it that the studies are there, and that a worker of the worker's token has a trial of the first."""
        self.client.headers["Authorization"] = f"Bearer {self.secrets['worker']}"
        worker = ScriptedWorker(self.client)
        self.client.headers["Authorization"] = f"Bearer {TOKEN}"
        for name in ("other", STUDY):
            worker.submit(name, priority=int(name == STUDY))
        self.client.headers["Authorization"] = f"Bearer {self.secrets['worker']}"
        trial = worker.claim(1)[0]
        self.values |= {"trial_id": str(trial["trial_id"]), "worker_id": worker.worker_id}
        self.client.headers["Authorization"] = f"Bearer {TOKEN}"

    def made(self, role: str, **more: Any) -> str:
        return str(self.ask("POST", f"{_API}/tokens", json={"name": role, "role": role, **more})["secret"])

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self.client.request(method, path, **body)
        assert answer.is_success, answer.text
        return answer.json()

    def go(self, row: Row, secret: str | None, **headers: str) -> Any:
        """The answer to a request on a route that says what it must, and nothing more."""
        path = re.sub(r"\{(\w+)\}", lambda match: self.values[match.group(1)], row.path) + _QUERIES.get(row.path, "")
        sent: dict[str, Any] = {"headers": dict(headers)}
        if secret is not None:
            sent["headers"]["Authorization"] = f"Bearer {secret}"
        operation = self.operations.get((row.method, row.path))
        if "/checkpoints/" in row.path or (row.method == "PUT" and row.path.endswith("/weights")):
            is_person = row.method == "GET" and secret not in (self.secrets["worker"], self.elsewhere["worker"])
            sent["headers"] |= {} if is_person else _LEASED
            sent["content"] = b"x" if row.method == "PUT" else None
        elif operation is not None and row.method not in _SAFE:
            body = _MORE_BODIES.get(f"{row.method} {row.path}", BODIES.get(operation))
            sent["json"] = body if operation != "report_measurements" else self._measurement(body)
        elif row.method == "POST":
            sent["data"] = _FORMS.get(row.path, {"csrf": "none"})
        return self.client.request(row.method, path, **sent)

    def _measurement(self, body: Any) -> Any:
        return {"items": [item | {"trial_id": int(self.values["trial_id"])} for item in body["items"]]}


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """The service, walked in the order of the tests: what changes it comes last."""
    made = Walk(tmp_path_factory.mktemp("walk"))
    with made.client:
        made.settle()
        yield made


ROWS = table()


def _guarded() -> list[Row]:
    return [row for row in ROWS.values() if not row.may["stranger"]]


def test_the_table_names_every_route_and_no_other(walk: Walk) -> None:
    known = set(routes(walk.app))
    assert known - set(ROWS) == set(), "these routes are missing in the table of docs/security.md"
    assert set(ROWS) - known == set(), "the table of docs/security.md names routes that there are not"


def test_nobody_comes_in_without_a_token(walk: Walk) -> None:
    for row in _guarded():
        assert walk.go(row, None).status_code == 401, row
    for row in ROWS.values():
        if row.may["stranger"] and row.path != "/login":
            assert walk.go(row, None).status_code in (200, 404), row


@pytest.mark.parametrize("caller", [column for column in COLUMNS if column != "stranger"])
def test_who_may_not_is_refused(walk: Walk, caller: str) -> None:
    for row in _guarded():
        if not row.may[caller]:
            answer = walk.go(row, walk.secrets[caller])
            assert answer.status_code == 403, (caller, row, answer.status_code, answer.text[:300])


@pytest.mark.parametrize("role", ["viewer", "submitter", "worker", "admin"])
def test_somebody_elses_study_does_not_exist(walk: Walk, role: str) -> None:
    walked = 0
    for row in _guarded():
        if row.may[role] and row.elsewhere != "–":
            answer = walk.go(row, walk.elsewhere[role])
            expected = 404 if row.elsewhere == "hidden" else 403
            assert answer.status_code == expected, (role, row, answer.status_code, answer.text[:300])
            walked += 1
    assert walked > 3
    if role != "worker":
        headers = {"Authorization": f"Bearer {walk.elsewhere[role]}"}
        assert walk.client.get(f"{_API}/studies", headers=headers).json()["total"] == 0


def test_a_signed_in_browser_writes_only_by_its_own_forms(walk: Walk) -> None:
    session = identity.open_session(walk.app.state.service, TOKEN, Origin())
    walk.client.cookies.set(COOKIE, session)
    try:
        for row in _guarded():
            if row.method not in _SAFE:
                answer = walk.go(row, None, Origin="http://testserver")
                assert answer.status_code == 403, (row, answer.status_code)
                assert "form" in answer.json()["detail"]
                wrong = walk.go(row, None, **{"Origin": "http://testserver", "X-CSRF-Token": "0" * 64})
                assert wrong.status_code == 403, row
    finally:
        walk.client.cookies.clear()


def test_so_far_nothing_was_changed(walk: Walk) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    study = walk.client.get(f"{_API}/studies/{STUDY}", headers=headers).json()
    assert (study["state"], study["num_trials"], study["tags"]) == ("running", 1, {})
    assert {item["name"] for item in walk.client.get(f"{_API}/studies", headers=headers).json()["items"]} == {
        STUDY,
        "other",
    }


def test_a_token_that_has_ended_opens_nothing(walk: Walk) -> None:
    walk.now += timedelta(seconds=61)
    for secret in walk.ended.values():
        for row in _guarded():
            assert walk.go(row, secret).status_code == 401, row


def test_who_may_is_let_in(walk: Walk) -> None:
    # Streams end at once, and what deletes comes last.
    walk.app.state.service.feed.close_soon()
    order = sorted(_guarded(), key=lambda row: (row.method not in _SAFE, "elete" in row.path + row.method.lower()))
    for caller in ("viewer", "share link", "worker", "submitter", "admin"):
        for row in order:
            # What a submitter may, an administrator may by the same checks.
            if row.may[caller] and not (caller == "admin" and row.may["submitter"]):
                answer = walk.go(row, walk.secrets[caller])
                assert answer.status_code not in (401, 403), (caller, row, answer.text[:300])
                assert answer.status_code < 500, (caller, row, answer.text[:300])
        if caller == "submitter":
            walk.furnish()
            del walk.client.headers["Authorization"]
