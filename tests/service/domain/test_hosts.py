"""By which names a service may be called."""

from __future__ import annotations

import pytest

from service.domain.hosts import Hosts, host_name, pattern

LOOPBACK = Hosts.of("127.0.0.1", "box.example.org", ())
OPEN = Hosts.of("0.0.0.0", "Box.example.org", ())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8700", "localhost"),
        ("caviar.example.org.", "caviar.example.org"),
        ("caviar.example.org.:443", "caviar.example.org"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8700", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("gpu_box-1", "gpu_box-1"),
        ("", None),
        (".", None),
        ("a..b", None),
        (".example.org", None),
        ("ann@evil.example", None),
        ("localhost:port", None),
        ("localhost:123456", None),
        ("localhost:", None),
        ("localhost/evil", None),
        ("localhost evil.example", None),
        ("localhost,evil.example", None),
        ("bücher.example", None),
        ("[::1", None),
        ("[localhost]", None),
        ("::1", None),
        ("a" * 256, None),
    ],
)
def test_a_header_names_a_host(text: str, name: str | None) -> None:
    assert host_name(text) == name


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "caviar.localhost"])
def test_a_service_of_this_machine_alone_has_its_loopback_names(name: str) -> None:
    assert LOOPBACK.allow(name)
    assert OPEN.allow(name)


@pytest.mark.parametrize(
    "name",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.example", "box", "box.example.org", "192.168.1.2",
     "local", "0.0.0.0"],
)  # fmt: skip
def test_and_no_others(name: str) -> None:
    assert not LOOPBACK.allow(name)


@pytest.mark.parametrize(
    ("name", "is_allowed"),
    [
        ("192.168.1.2", True),
        ("2001:db8::1", True),
        ("service", True),
        ("caviar", True),
        ("box.example.org", True),
        ("gpu-box.local", True),
        ("caviar.caviar.svc", True),
        ("evil.example", False),
        ("caviar.example.org", False),
        ("evil.local.example", False),
    ],
)
def test_a_service_for_others_has_the_names_that_nobody_else_can_own(name: str, is_allowed: bool) -> None:
    assert OPEN.allow(name) is is_allowed


def test_named_hosts_take_the_place_of_guessed_ones() -> None:
    named = Hosts.of("0.0.0.0", "box", (pattern("Caviar.Example.org"), pattern("*.lab.example")))
    assert named.allow("caviar.example.org")
    assert named.allow("a.lab.example")
    assert named.allow("a.b.lab.example")
    assert named.allow("10.0.0.7")
    assert named.allow("localhost")
    assert not named.allow("lab.example")
    assert not named.allow("evillab.example")
    assert not named.allow("service")
    assert not named.allow("a.caviar.example.org")
    assert Hosts.of("127.0.0.1", "", ("*",)).allow("evil.example")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("*", "*"),
        (" Caviar.example.ORG ", "caviar.example.org"),
        ("*.example.org", "*.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("caviar.example.org:8443", "caviar.example.org"),
    ],
)
def test_an_operator_writes_a_pattern(text: str, kept: str) -> None:
    assert pattern(text) == kept


@pytest.mark.parametrize("text", ["https://caviar.example.org", "a b", "*.*.org", "*example.org", "a..b", "x" * 300])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a name"):
        pattern(text)
