"""Speaking TLS by itself, for a service without a proxy in front."""

from __future__ import annotations

import ssl
from pathlib import Path

from caviar.contract.errors import FieldError, InvalidRequest


class _Encrypted(Exception):
    """A password would be needed, and nobody is there to type it."""


def server_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """What a server needs to speak TLS 1.2 and later.

    Args:
        certificate: PEM file of the certificate, followed by those that lead to one that clients know.
        key: PEM file of its private key.
    Returns:
        None if neither is given.
    Raises:
        InvalidRequest: One is missing or cannot be used, or they do not belong together.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "tls_cert" if certificate is None else "tls_key"
        raise _refused(missing, "nothing", "a PEM file: certificate and key are given together")
    for name, path in (("tls_cert", certificate), ("tls_key", key)):
        _check_readable(name, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_ask_nobody)
    except _Encrypted as error:
        raise _refused("tls_key", str(key), "a key that is not encrypted; protect the file instead") from error
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _refused("tls_key", str(key), f"the key that belongs to {certificate}") from error
        raise _refused(
            "tls_cert", str(certificate), f"PEM files of a certificate and its key ({error.reason})"
        ) from error
    return context


def _ask_nobody() -> str:
    raise _Encrypted


def _check_readable(name: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise _refused(name, str(path), f"a PEM file that can be read ({error.strerror})") from error


def _refused(field: str, received: str, expected: str) -> InvalidRequest:
    errors = [FieldError(field=field, received=received, expected=expected)]
    return InvalidRequest("TLS cannot be used as it is set up", errors=errors)
