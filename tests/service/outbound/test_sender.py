"""A message goes to the address that was checked, over a connection of its own, and its answer may be anything."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from caviar.contract.errors import InvalidRequest
from service.outbound.resolver import Resolver, system_lookup
from service.outbound.sender import Refused, Sender
from tests.service.outbound.receiver import (
    Behaviour,
    Receiver,
    answering,
    babbling,
    dripping,
    flooding,
    hanging,
    hanging_up,
    receiving,
)

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
NAME = "hooks.example"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Where messages go to."""
    with receiving() as receiver:
        yield receiver


class Names:
    """A name server: answers as it is told, the last answer again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def post(
    url: str,
    *,
    names: Names | None = None,
    allowed: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = LOOPBACK,
    timeout_s: float = 5.0,
    context: ssl.SSLContext | None = None,
) -> int:
    """Send a message; returns the status."""
    sender = Sender(Resolver(allowed, lookup=names or system_lookup), timeout_s=timeout_s, context=context)
    try:
        return asyncio.run(sender.post(url, {"webhook-id": "msg_1"}, b"{}"))
    finally:
        sender.close()


def refused(url: str, **options: object) -> Refused:
    """Why a message was not taken."""
    with pytest.raises(Refused) as caught:
        post(url, **options)  # type: ignore[arg-type]
    return caught.value


def test_a_message_arrives(receiver: Receiver) -> None:
    receiver.behaviours.append(answering(201, body=b"thanks"))
    assert post(receiver.url) == 201
    [received] = receiver.received
    assert received.body == b"{}"
    assert received.headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.behaviours.append(answering(status, f"Location: {receiver.url}"))
    error = refused(receiver.url)
    assert error.status == status
    assert "redirect" in error.reason
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_another_status_is_no_success(receiver: Receiver, status: int) -> None:
    receiver.behaviours.append(answering(status, body=b"secrets of the receiver"))
    error = refused(receiver.url)
    assert error.status == status
    assert "secrets" not in error.reason


@pytest.mark.parametrize("behaviour", [hanging, dripping])
def test_a_receiver_that_takes_its_time_is_left(receiver: Receiver, behaviour: Behaviour) -> None:
    receiver.behaviours.append(behaviour)
    assert refused(receiver.url, timeout_s=0.5).reason == "no complete answer within 0.5 s"


def test_an_answer_without_end_is_read_for_a_few_kilobytes(receiver: Receiver) -> None:
    receiver.behaviours.append(flooding)
    assert post(receiver.url) == 200
    # What the sockets of both sides hold was sent as well.
    assert receiver.num_flooded < 16 * 2**20


@pytest.mark.parametrize("behaviour", [babbling, hanging_up])
def test_what_is_no_http_is_told(receiver: Receiver, behaviour: Behaviour) -> None:
    receiver.behaviours.append(behaviour)
    assert "no HTTP" in refused(receiver.url).reason


def test_a_head_without_end_is_refused(receiver: Receiver) -> None:
    receiver.behaviours.append(answering(200, *[f"X-{number}: {'a' * 4000}" for number in range(100)]))
    assert "no HTTP" in refused(receiver.url).reason


def test_a_port_on_which_nobody_listens_is_told() -> None:
    with receiving() as gone:
        url = gone.url
    assert refused(url).reason.startswith("no connection")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1%lo", "fd00::1", "0.0.0.0"],
)
def test_a_name_that_leads_to_a_private_address_is_refused_without_saying_which(address: str) -> None:
    names = Names([address])
    error = refused(f"https://{NAME}/", names=names, allowed=[])
    assert "private or reserved" in error.reason
    assert address not in error.reason
    assert names.asked == [NAME]


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    assert "private" in refused(f"https://{NAME}/", names=Names(["1.1.1.1", "10.0.0.1"]), allowed=[]).reason


def test_plain_http_goes_only_to_what_is_allowed() -> None:
    assert "https only" in refused(f"http://{NAME}/", names=Names(["1.1.1.1"]), allowed=[]).reason
    assert "private" in refused("http://10.0.0.1/").reason


def test_a_name_is_looked_up_once_and_its_address_connected_to(receiver: Receiver) -> None:
    # A second answer would lead elsewhere, as that of a name server does which wants to get around the check.
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    assert post(f"http://{NAME}:{receiver.port}/x", names=names) == 204
    assert names.asked == [NAME]
    assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"


def test_of_several_addresses_the_first_that_answers_is_taken(receiver: Receiver) -> None:
    # Nobody listens at the others: the receiver is bound to one address.
    names = Names(["127.0.0.3", "127.0.0.2", "127.0.0.1"])
    assert post(f"http://{NAME}:{receiver.port}/", names=names) == 204


@pytest.mark.parametrize("answer", [[], ["no address"]])
def test_a_name_without_a_usable_address_is_told(answer: list[str]) -> None:
    assert NAME in refused(f"https://{NAME}/", names=Names(answer)).reason


def test_a_name_that_does_not_exist_is_told() -> None:
    assert "not known" in refused("https://no-such-host.invalid/").reason


def test_a_name_server_that_does_not_answer_is_not_waited_for() -> None:
    is_over = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        is_over.wait(30)
        return []

    resolver = Resolver(LOOPBACK, lookup=hang)
    sender = Sender(resolver, timeout_s=0.5)
    try:
        with pytest.raises(Refused) as caught:
            asyncio.run(sender.post(f"https://{NAME}/", {}, b"{}"))
    finally:
        is_over.set()
        sender.close()
    assert "within 0.5 s" in caught.value.reason


def test_proxies_of_the_environment_do_not_count(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(receiver.url) == 204


def test_an_address_is_checked_before_anything_is_sent(receiver: Receiver) -> None:
    sender = Sender(Resolver(LOOPBACK, lookup=Names(["10.0.0.1"])), timeout_s=5.0)
    try:
        asyncio.run(sender.check(receiver.url))
        for url in ("https://[::1]/", f"https://{NAME}/", "https://127.1/"):
            with pytest.raises(InvalidRequest) as caught:
                asyncio.run(sender.check(url))
            assert [error.field for error in caught.value.errors] == ["url"]
    finally:
        sender.close()
    assert receiver.received == []


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of a receiver that is `hooks.example`, and of a sender that believes it."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain = folder / "chain.pem"
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return _contexts(chain)


def _contexts(chain: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(chain)
    return theirs, ssl.create_default_context(cafile=str(chain))


def test_tls_verifies_the_name_although_the_address_is_connected_to(
    certified: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    theirs, ours = certified
    with receiving(theirs) as receiver:
        names = Names(["127.0.0.1"])
        assert post(f"https://{NAME}:{receiver.port}/", names=names, context=ours) == 204
        other = refused(f"https://other.example:{receiver.port}/", names=names, context=ours)
        unknown = refused(f"https://{NAME}:{receiver.port}/", names=names)
    assert "ostname mismatch" in other.reason
    assert "certificate verify failed" in unknown.reason
    assert len(receiver.received) == 1
