"""What proxies say is believed if they are ours."""

from __future__ import annotations

import pytest

from tests.service.api.guards.asking import Behind, ask, guarded

SAID = (("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "caviar.example"))
HOST = ("Host", "10.0.0.5:8700")
NAMES = ["caviar.example"]


def test_a_proxy_that_is_ours_tells_who_the_client_is() -> None:
    behind = Behind()
    app = guarded(behind, listen="0.0.0.0", allowed=NAMES, proxies=["10.0.0.0/8"])
    answer = ask(app, "/", HOST, *SAID, ("Origin", "https://caviar.example"), method="POST", client="10.0.0.1")
    assert answer.status == 200
    assert behind.scopes[0]["client"][0] == "203.0.113.9"
    assert behind.scopes[0]["scheme"] == "https"
    assert behind.header("host") == "caviar.example"
    assert "strict-transport-security" in answer.headers


@pytest.mark.parametrize(("client", "proxies"), [("198.51.100.1", ["10.0.0.0/8"]), ("10.0.0.1", [])])
def test_what_others_say_is_as_good_as_nothing(client: str, proxies: list[str]) -> None:
    behind = Behind()
    app = guarded(behind, listen="0.0.0.0", allowed=NAMES, proxies=proxies)
    answer = ask(app, "/", HOST, *SAID, client=client)
    assert answer.status == 200
    assert behind.scopes[0]["client"][0] == client
    assert behind.scopes[0]["scheme"] == "http"
    foreign = ask(app, "/", HOST, *SAID, ("Origin", "https://caviar.example"), method="POST", client=client)
    assert foreign.status == 403


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("127.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.66, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("", "10.0.0.1"),
        ("junk", "junk"),
    ],
)
def test_the_client_is_the_last_that_is_no_proxy_of_ours(chain: str, client: str) -> None:
    behind = Behind()
    ask(guarded(behind, proxies=["10.0.0.0/8"]), "/", ("Host", "localhost"), ("X-Forwarded-For", chain),
        client="10.0.0.1")  # fmt: skip
    assert behind.scopes[0]["client"][0] == client


def test_a_page_that_rebinds_its_name_to_a_proxy_of_this_machine_is_refused() -> None:
    app = guarded(Behind(), proxies=["127.0.0.1"])
    assert ask(app, "/", ("Host", "evil.example"), ("X-Forwarded-Host", "localhost")).status == 421
    assert ask(app, "/", ("Host", "localhost"), ("X-Forwarded-Host", "evil.example")).status == 421
    assert ask(app, "/", ("Host", "localhost"), ("X-Forwarded-Proto", "gopher")).status == 200
