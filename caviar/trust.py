"""Which certificate authorities a client trusts beside those of the system."""

from __future__ import annotations

import os
import ssl

from caviar.contract.errors import InvalidRequest

VARIABLE = "CAVIAR_CA_FILE"


def verification() -> ssl.SSLContext | bool:
    """How to check the certificates of services: by the system's authorities, and those in the file `CAVIAR_CA_FILE`.

    Raises:
        InvalidRequest: The file cannot be read, or holds no certificates.
    """
    path = os.environ.get(VARIABLE, "").strip()
    if not path:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:  # Also what OpenSSL says of a file without certificates.
        reason = error.strerror or getattr(error, "reason", None) or str(error)
        raise InvalidRequest(
            f"{VARIABLE} names {path!r} ({reason}); expected a PEM file of the authorities to trust"
        ) from error
    return context
