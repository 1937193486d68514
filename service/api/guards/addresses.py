"""Refusing addresses that no program of good will sends."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from caviar.contract.errors import FieldError, InvalidRequest, NotFound, RequestError, TooLong

MAX_PATH_BYTES = 2048
# A comparison names its trials, a leaderboard its columns and filters.
MAX_QUERY_BYTES = 32 * 1024
MAX_QUERY_PARAMETERS = 1000
_SLASHES = (b"%2f", b"%5c")
_DOTS = frozenset({".", ".."})


def check(scope: Scope) -> None:
    """See that an address means what it seems to.

    Raises:
        RequestError: Its path is written in a way that a proxy might understand otherwise (400).
        TooLong: Path or query are longer than any of ours (414).
        NotFound: Its path holds the character NUL, which is in no name (404).
        InvalidRequest: Its query does, which is in no text (422).
    """
    path: str = scope["path"]
    query: bytes = scope["query_string"]
    raw: bytes = scope.get("raw_path") or path.encode()
    if len(raw) > MAX_PATH_BYTES:
        raise TooLong(f"received a path of {len(raw)} bytes, expected at most {MAX_PATH_BYTES}")
    if query and (len(query) > MAX_QUERY_BYTES or query.count(b"&") >= MAX_QUERY_PARAMETERS):
        raise TooLong(
            f"received a query of {len(query)} bytes with {query.count(b'&') + 1} parameters, expected at most "
            f"{MAX_QUERY_BYTES} bytes and {MAX_QUERY_PARAMETERS} parameters"
        )
    # Postgres fails on a text that holds this character, so nothing can have such a name.
    if "\0" in path:
        raise NotFound("received an address with the character NUL (%00), which is in no name")
    if b"%00" in query:
        field = FieldError(field="", received="the character NUL (%00)", expected="texts without it")
        raise InvalidRequest("received an address with the character NUL (%00), which is in no text", errors=[field])
    if b"%" in raw:
        _check_escapes(raw)
    if "//" in path or "/." in path or "\\" in path:
        _check_segments(path)


def _check_escapes(raw: bytes) -> None:
    lowered = raw.lower()
    if any(slash in lowered for slash in _SLASHES):
        raise RequestError("received a path with an escaped slash (%2F or %5C), expected names without slashes")
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"received a path whose escapes are no UTF-8 ({error.reason})") from error


def _check_segments(path: str) -> None:
    if "\\" in path:
        raise RequestError("received a path with a backslash, expected slashes")
    if "//" in path:
        raise RequestError("received a path with an empty part (//), expected a name between two slashes")
    if not _DOTS.isdisjoint(path.split("/")):
        raise RequestError("received a path with . or .. as a part, expected the path that it comes down to")
