"""Where Caviar keeps its files for this user, and the access token among them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from caviar.contract.errors import InvalidRequest

_TOKEN_FILE = "token"


def home() -> Path:
    """The folder of this user's files: `CAVIAR_HOME`, or `~/.caviar`. It need not exist yet."""
    given = os.environ.get("CAVIAR_HOME", "").strip()
    return Path(given).expanduser() if given else Path.home() / ".caviar"


def read_token() -> str | None:
    """The access token of this user: `CAVIAR_TOKEN`, or the file `token` in `home()`; None without either.

    Raises:
        OSError: The file exists but cannot be read.
    """
    given = os.environ.get("CAVIAR_TOKEN", "").strip()
    if given:
        return given
    try:
        stored = (home() / _TOKEN_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return stored or None


def write_token(token: str) -> Path:
    """Store the access token so that its owner alone can read it; readers see the old or the new one, never a part.

    Args:
        token: Visible ASCII characters without spaces, at least one.
    Returns:
        The file that holds it.
    Raises:
        InvalidRequest: The token could not be sent in a header.
        OSError: The folder or the file cannot be written.
    """
    check_token(token)
    folder = home()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp creates with mode 0600, so the token is at no moment readable by others.
    descriptor, name = tempfile.mkstemp(prefix=".token-", dir=folder)
    unfinished = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(file.fileno())
        target = folder / _TOKEN_FILE
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def check_token(token: str) -> str:
    """The token itself, if it can travel in an `Authorization` header.

    Raises:
        InvalidRequest: It is empty or holds spaces, line ends or characters beyond ASCII.
    """
    if not token or not all("!" <= character <= "~" for character in token):
        # The value is a secret, perhaps mistyped in one character only: it is not repeated.
        raise InvalidRequest(
            "the access token is empty or holds spaces, line ends or characters beyond ASCII; "
            "pass it exactly as `caviar token show` prints it"
        )
    return token
