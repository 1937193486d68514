"""What the client says when there is no service, no token, or something else at the address."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
from starlette.testclient import TestClient

from caviar import Client, credentials
from caviar.client.connection import DEFAULT_URL, Clock
from caviar.contract.errors import CaviarError, InvalidRequest, RateLimited, RequestError, Unauthorized, Unavailable
from tests.caviar.trainer import TOKEN

Handler = Callable[[httpx2.Request], httpx2.Response]


def _client(handler: Handler, clock: Clock | None = None) -> Client:
    http = httpx2.Client(base_url="http://service.test", transport=httpx2.MockTransport(handler))
    return Client(token=TOKEN, http=http, clock=clock)


def _refusing(_request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("connection refused")


def test_address_is_given_or_of_the_environment_or_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(token=TOKEN) as client:
        assert client.url == DEFAULT_URL
    monkeypatch.setenv("CAVIAR_URL", "https://caviar.example/")
    with Client(token=TOKEN) as client:
        assert client.url == "https://caviar.example"
    with Client("http://other.example:1/", TOKEN) as client:
        assert client.url == "http://other.example:1"


@pytest.mark.parametrize("url", ["caviar.example", "ftp://caviar.example", "http://", "http://a:port"])
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="address"):
        Client(url, TOKEN)


@pytest.mark.parametrize(
    ("url", "is_trusting"),
    [("http://127.0.0.1:8700", False), ("http://[::1]:8700", False), ("http://localhost", False), ("http://far", True)],
)
def test_proxy_of_the_environment_is_not_asked_for_this_machine(
    url: str, is_trusting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    original = httpx2.Client

    def spy(**options: bool) -> httpx2.Client:
        seen.append(options["trust_env"])
        return original()

    monkeypatch.setattr(httpx2, "Client", spy)
    Client(url, TOKEN).close()
    assert seen == [is_trusting]


def test_service_that_is_not_there_is_named_with_a_way_to_start_one() -> None:
    with pytest.raises(Unavailable, match=r"http://service\.test.*refused.*caviar serve.*--url or CAVIAR_URL"):
        _client(_refusing).study("small")


def test_missing_token_says_where_tokens_come_from() -> None:
    client = Client(http=httpx2.Client(base_url="http://service.test", transport=httpx2.MockTransport(_refusing)))
    with pytest.raises(Unauthorized) as refused:
        client.study("small")
    for place in ("--token", "CAVIAR_TOKEN", str(credentials.home() / "token"), "caviar serve"):
        assert place in refused.value.detail


def test_stored_token_is_found_even_if_it_comes_later(application: TestClient) -> None:
    client = Client(http=application)
    with pytest.raises(Unauthorized):
        client.objectives()
    credentials.write_token(TOKEN)
    assert client.objectives().items


def test_refused_token_says_where_it_came_from(application: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unauthorized, match=r"does not accept the access token \(the one given\)"):
        Client(token="wrong", http=application).objectives()
    credentials.write_token("wrong-too")
    with pytest.raises(Unauthorized, match="token"):
        Client(http=application).objectives()
    monkeypatch.setenv("CAVIAR_TOKEN", "wrong-as-well")
    with pytest.raises(Unauthorized, match="from CAVIAR_TOKEN"):
        Client(http=application).objectives()


def test_token_that_no_header_can_carry_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="access token"):
        Client(token="two\nlines")


@pytest.mark.parametrize(
    ("status", "kind"), [(404, RequestError), (302, RequestError), (502, Unavailable), (500, Unavailable)]
)
def test_answer_of_another_program_is_told_from_a_caviar_error(status: int, kind: type[CaviarError]) -> None:
    client = _client(lambda _request: httpx2.Response(status, html="<h1>nginx</h1>"))
    with pytest.raises(kind, match=f"status {status}.*check that a Caviar service") as raised:
        client.study("small")
    assert "nginx" not in str(raised.value)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[1, 2]", b'{"name": 3}', b"\xff"])
def test_success_of_another_program_is_not_taken_for_a_study(body: bytes) -> None:
    client = _client(lambda _request: httpx2.Response(200, content=body))
    with pytest.raises(RequestError, match=r"is no StudyView.*check that a Caviar service"):
        client.study("small")


def test_wait_outlasts_a_short_absence_but_not_a_long_one() -> None:
    now = [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    client = _client(_refusing, Clock(lambda: now[0], wait))
    with pytest.raises(Unavailable):
        client.wait("small", poll_s=1.0, patience_s=30.0)
    assert now == [30.0]


def test_own_http_client_stays_open() -> None:
    http = httpx2.Client(base_url="http://service.test", transport=httpx2.MockTransport(_refusing))
    with Client(token=TOKEN, http=http):
        pass
    assert not http.is_closed
    http.close()


def _limited(headers: dict[str, str]) -> httpx2.Response:
    return httpx2.Response(429, headers=headers, json={"code": "rate_limited", "detail": "too many"})


def test_too_many_requests_are_repeated_when_the_service_says_so() -> None:
    answers = [_limited({"Retry-After": "7"}), _limited({}), httpx2.Response(200, json={"items": []})]
    slept: list[float] = []
    client = _client(lambda _request: answers.pop(0), Clock(sleep=slept.append))
    assert not client.workers().items
    assert slept == [7.0, 2.0]


@pytest.mark.parametrize(("wait", "num_sleeps"), [("1", 3), ("3600", 0)])
def test_but_neither_for_ever_nor_for_hours(wait: str, num_sleeps: int) -> None:
    slept: list[float] = []
    client = _client(lambda _request: _limited({"Retry-After": wait}), Clock(sleep=slept.append))
    with pytest.raises(RateLimited) as caught:
        client.workers()
    assert caught.value.retry_after_s == float(wait)
    assert len(slept) == num_sleeps
