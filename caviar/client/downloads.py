"""Files of the service, saved on this machine: whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from caviar.client.connection import Connection
from caviar.contract.errors import Unavailable


def download(connection: Connection, address: str, path: Path) -> None:
    """Save what an address answers with, in place of a former file of this name.

    Args:
        connection: To the service.
        address: Below the prefix.
        path: The file; its folder must exist.
    Raises:
        CaviarError: As the service's problem body says.
        Unavailable: The service cannot be reached, or the file did not arrive as it was sent.
        OSError: The file cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    digest = hashlib.sha256()
    try:
        with connection.stream(address) as answer:
            expected = answer.headers["caviar-sha256"]
            with draft.open("xb") as file:
                for portion in answer.iter_bytes():
                    file.write(portion)
                    digest.update(portion)
        if digest.hexdigest() != expected:
            raise Unavailable(f"received a damaged file from {connection.url}{address}; download it again")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
