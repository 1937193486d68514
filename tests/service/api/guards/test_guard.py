"""The first that sees a request, and the last that sees an answer."""

from __future__ import annotations

import pytest

from tests.service.api.guards.asking import HOST, Answer, Behind, ask, guarded

PAGE = "http://localhost:8700"
EVIL = ("Origin", "http://evil.example")


@pytest.mark.parametrize("path", ["/api/v1/studies", "/", "/login", "/static/0/main.js", "/studies/x/live"])
@pytest.mark.parametrize("host", ["evil.example", "EVIL.example:8700", "localhost.evil.example", "192.168.1.2"])
def test_a_name_that_is_not_ours_is_refused_everywhere(path: str, host: str) -> None:
    behind = Behind()
    answer = ask(guarded(behind), path, ("Host", host))
    assert answer.status == 421
    assert answer.problem["code"] == "wrong_host"
    assert host.lower().removesuffix(":8700") in answer.problem["detail"]
    assert "CAVIAR_ALLOWED_HOSTS" in answer.problem["detail"]
    assert not behind.scopes


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["localhost", "localhost"],
        ["localhost", "evil.example"],
        [""],
        ["ann@localhost"],
        ["a" * 300],
        ["b\xfccher"],
    ],
)
def test_a_request_names_one_host(hosts: list[str]) -> None:
    behind = Behind()
    answer = ask(guarded(behind), "/", ("Accept", "*/*"), *(("Host", host) for host in hosts))
    assert answer.status == 400
    assert not behind.scopes


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_call_by_any_name(path: str) -> None:
    assert ask(guarded(Behind()), path, ("Host", "10.1.2.3:8700")).status == 200
    assert ask(guarded(Behind()), path, ("Host", "lb.example")).status == 200
    assert ask(guarded(Behind()), path, ("Accept", "*/*")).status == 200


def test_known_hosts_stay_few() -> None:
    guard = guarded(Behind(), allowed=["*"])
    for number in range(1100):
        assert ask(guard, "/", ("Host", f"a{number}.example")).status == 200
    assert len(guard._known) <= 1000


@pytest.mark.parametrize("path", ["/api/v1/studies", "/login", "/logout", "/studies/x/pause"])
@pytest.mark.parametrize("credentials", [("Cookie", "caviar_session=x"), ("Authorization", "Bearer x"), ("X-A", "b")])
def test_another_site_writes_nothing_whatever_it_shows(path: str, credentials: tuple[str, str]) -> None:
    for foreign in (EVIL, ("Origin", "null"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site")):
        behind = Behind()
        answer = ask(guarded(behind), path, HOST, foreign, credentials, method="POST")
        assert (answer.status, answer.problem["code"]) == (403, "forbidden")
        assert not behind.scopes


@pytest.mark.parametrize("path", ["/api/v1/studies/x/events", "/studies/x/live"])
def test_another_site_follows_nothing(path: str) -> None:
    assert ask(guarded(Behind()), path, HOST, EVIL).status == 403
    assert ask(guarded(Behind()), path, HOST, ("Sec-Fetch-Site", "cross-site")).status == 403
    assert ask(guarded(Behind()), path, HOST, ("Sec-Fetch-Site", "same-origin")).status == 200
    assert ask(guarded(Behind()), "/x", HOST, EVIL, ("Accept", "text/event-stream")).status == 403


def test_programs_our_pages_and_links_from_elsewhere_pass() -> None:
    app = guarded(Behind())
    assert ask(app, "/login", HOST, method="POST").status == 200
    assert ask(app, "/login", HOST, ("Origin", PAGE), ("Sec-Fetch-Site", "same-origin"), method="POST").status == 200
    assert ask(app, "/studies/x", HOST, ("Sec-Fetch-Site", "cross-site")).status == 200


def test_no_page_elsewhere_may_ask_unless_the_operator_names_it() -> None:
    asked = (("Origin", "https://pages.example"), ("Access-Control-Request-Method", "POST"))
    refused = ask(guarded(Behind()), "/api/v1/studies", HOST, *asked, method="OPTIONS")
    assert refused.status == 403
    assert not any(name.startswith("access-control-") for name in refused.headers)
    app = guarded(Behind(), origins=["https://pages.example"])
    granted = ask(app, "/api/v1/studies", HOST, *asked, method="OPTIONS")
    assert granted.status == 204
    assert granted.headers["access-control-allow-origin"] == "https://pages.example"
    assert "Authorization" in granted.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in granted.headers
    assert ask(app, "/login", HOST, *asked, method="OPTIONS").status == 403


def test_a_named_page_comes_with_a_token_and_never_with_a_cookie() -> None:
    behind = Behind()
    app = guarded(behind, origins=["https://pages.example"])
    sent = (("Origin", "https://pages.example"), ("Sec-Fetch-Site", "cross-site"), ("Cookie", "caviar_session=x"))
    answer = ask(app, "/api/v1/studies", HOST, *sent, ("Authorization", "Bearer t"), method="POST")
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://pages.example"
    assert answer.headers["vary"] == "Origin"
    assert behind.header("cookie") is None
    assert behind.header("authorization") == "Bearer t"
    assert ask(app, "/login", HOST, *sent, method="POST").status == 403


def _is_careful(answer: Answer) -> bool:
    headers = answer.headers
    return (
        headers["x-content-type-options"] == "nosniff"
        and headers["referrer-policy"] == "no-referrer"
        and headers["content-security-policy"].startswith("default-src 'none'")
        and "frame-ancestors 'none'" in headers["content-security-policy"]
        and headers["cross-origin-opener-policy"] == "same-origin"
        and headers["cross-origin-resource-policy"] == "same-origin"
        and "camera=()" in headers["permissions-policy"]
        and headers["cache-control"] == "no-store"
    )


def test_every_answer_is_careful_also_a_refusal() -> None:
    assert _is_careful(ask(guarded(Behind())))
    assert _is_careful(ask(guarded(Behind()), "/", ("Host", "evil.example")))
    assert _is_careful(ask(guarded(Behind()), "/", HOST, EVIL, method="POST"))


def test_browsers_come_by_tls_again_once_they_have() -> None:
    app = guarded(Behind(), allowed=["caviar.example"])
    name = "strict-transport-security"
    assert name in ask(app, "/", ("Host", "caviar.example"), scheme="https").headers
    assert name not in ask(app, "/", ("Host", "caviar.example")).headers
    assert name not in ask(app, "/", ("Host", "localhost"), scheme="https").headers, "it would lock up other ports"


@pytest.mark.parametrize(
    ("path", "raw", "status"),
    [
        ("//evil.example", None, 400),
        ("/studies//x", None, 400),
        ("/studies/../login", None, 400),
        ("/./login", None, 400),
        ("/studies/..", None, 400),
        ("/a\\b", None, 400),
        ("/studies/a/b", b"/studies/a%2Fb", 400),
        ("/studies/a\\b", b"/studies/a%5cb", 400),
        ("/studies/..", b"/studies/%2e%2e", 400),
        ("/studies/\ufffd", b"/studies/%ff", 400),
        ("/studies/\ufffd", b"/studies/%c0%af", 400),
        ("/studies/\0", b"/studies/%00", 404),
        ("/" + "a" * 3000, None, 414),
        ("/studies/..x", None, 200),
        ("/studies/.hidden", None, 200),
        ("/studies/\xe4", b"/studies/%c3%a4", 200),
        ("/", None, 200),
    ],
)
def test_paths_that_could_be_understood_otherwise_are_refused(path: str, raw: bytes | None, status: int) -> None:
    answer = ask(guarded(Behind()), path, HOST, raw=raw)
    assert answer.status == status
    assert status == 200 or answer.problem["detail"].startswith("received")


@pytest.mark.parametrize(
    ("query", "status"),
    [(b"a=" + b"x" * 40_000, 414), (b"&" * 1000, 414), (b"a=%00", 422), (b"a=1&" * 900, 200), (b"a=%ff", 200)],
)
def test_queries_have_a_measure(query: bytes, status: int) -> None:
    assert ask(guarded(Behind()), "/", HOST, query=query).status == status


def test_headers_have_a_measure() -> None:
    many = [(f"X-{number}", "y") for number in range(101)]
    answer = ask(guarded(Behind()), "/", HOST, *many)
    assert (answer.status, answer.problem["code"]) == (431, "too_many_headers")
    assert ask(guarded(Behind()), "/", HOST, *many[:90]).status == 200
