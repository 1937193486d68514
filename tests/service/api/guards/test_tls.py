"""The service speaks TLS by itself, with a certificate that the client is told to trust."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from caviar import Client
from caviar.contract.errors import InvalidRequest, Unavailable
from service.api.guards.connections import Patience, connection_class
from service.api.guards.tls import server_context
from service.app import create_app
from service.serving import prepare
from service.settings import ServiceSettings
from tests.service.api.conftest import TOKEN
from worker.line import Line, LineError

_YEAR = dt.timedelta(days=365)


def _key_file(path: Path, key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> Path:
    hiding: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        hiding = serialization.BestAvailableEncryption(password)
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, hiding))
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, ec.EllipticCurvePrivateKey]:
    """A certificate for 127.0.0.1, its key as a file, and the key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Caviar's tests")])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(x509.random_serial_number()).not_valid_before(now - _YEAR).not_valid_after(now + _YEAR)
    )
    builder = builder.add_extension(address, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    certificate = folder / "cert.pem"
    made = builder.sign(key, hashes.SHA256())
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return certificate, _key_file(folder / "key.pem", key), key


@pytest.fixture
def address(tmp_path: Path, pair: tuple[Path, Path, ec.EllipticCurvePrivateKey]) -> Iterator[tuple[str, int]]:
    """Where a service listens for TLS."""
    settings = ServiceSettings(database_url=f"sqlite:///{tmp_path / 'caviar.db'}", token=SecretStr(TOKEN))
    prepare(settings)
    context = server_context(*pair[:2])
    assert context is not None
    config = uvicorn.Config(
        create_app(settings),
        http=connection_class(Patience()),
        log_config=None,
        access_log=False,
        ssl_context_factory=lambda _config, _default: context,
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def test_a_client_that_trusts_the_certificate_talks_and_others_do_not(
    address: tuple[str, int],
    pair: tuple[Path, Path, ec.EllipticCurvePrivateKey],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"https://127.0.0.1:{address[1]}"
    with Client(url, TOKEN) as stranger, pytest.raises(Unavailable, match="certificate verify failed"):
        stranger.workers()
    with closing(Line(url, TOKEN)) as line, pytest.raises(LineError, match="certificate verify failed"):
        line.post("/api/v1/workers", b"{}", patience_s=30)
    monkeypatch.setenv("CAVIAR_CA_FILE", str(pair[0]))
    with Client(url, TOKEN) as client:
        assert not client.workers().items
    with closing(Line(url, TOKEN)) as line:
        assert [line.post("/api/v1/workers", b"{}", patience_s=30).status for _ in range(3)] == [422] * 3
    old = ssl.create_default_context(cafile=str(pair[0]))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(address) as plain, old.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
        assert wrapped.version() == "TLSv1.2"
    ancient = ssl.create_default_context(cafile=str(pair[0]))
    ancient.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        ancient.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="deprecated"):
        ancient.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(address) as plain, pytest.raises(ssl.SSLError):
        ancient.wrap_socket(plain, server_hostname="127.0.0.1")


def test_what_cannot_be_used_is_named(
    tmp_path: Path, pair: tuple[Path, Path, ec.EllipticCurvePrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key, made = pair
    other = _key_file(tmp_path / "other.pem", ec.generate_private_key(ec.SECP256R1()))
    locked = _key_file(tmp_path / "locked.pem", made, b"secret")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    assert server_context(None, None) is None
    for wrong, field, said in (
        ((certificate, None), "tls_key", "given together"),
        ((None, key), "tls_cert", "given together"),
        ((tmp_path / "none.pem", key), "tls_cert", "No such file"),
        ((certificate, tmp_path), "tls_key", "directory"),
        ((certificate, other), "tls_key", "belongs to"),
        ((certificate, locked), "tls_key", "not encrypted"),
        ((text, key), "tls_cert", "PEM files"),
    ):
        with pytest.raises(InvalidRequest, match="TLS") as caught:
            server_context(*wrong)
        (error,) = caught.value.errors
        assert (error.field, said in error.expected) == (field, True), error
    for path in (text, tmp_path / "none.pem"):
        monkeypatch.setenv("CAVIAR_CA_FILE", str(path))
        with pytest.raises(InvalidRequest, match="CAVIAR_CA_FILE"):
            Client("https://127.0.0.1:1", TOKEN)
