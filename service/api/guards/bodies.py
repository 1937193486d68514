"""Measuring bodies while they come, and looking at JSON before anything is built from it."""

from __future__ import annotations

import asyncio
import re

from starlette.types import Message, Receive, Scope

from caviar.contract.errors import FieldError, InvalidRequest, TooLarge, UnsupportedEncoding
from service.api.guards.facts import Facts
from service.domain import nesting

SMALL_BODY_BYTES = 2**20
"""What most routes take."""
LARGE_BODY_BYTES = 16 * 2**20
"""What routes take that are sent many trials or many epochs at once."""
LARGE = re.compile(r"/api/v1/(?:measurements|studies|studies:preview|studies/[^/]+/trials:import)")
FILES = re.compile(r"/api/v1/trials/[^/]+/(?:weights|checkpoints/[^/]+)")
"""What takes files: as large as the settings say, which the keeper counts."""
MAX_DEPTH = 64
MAX_VALUES = 2_000_000
# The parser of larger bodies would hold up everybody else.
_LONG_BYTES = 256 * 1024
_MAX_DIGITS = 15
_JSON = b"application/json"
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_WIRE_ENDINGS = (":claim", ":heartbeat", ":finish", ":release", "/measurements", "/workers")


def watched(scope: Scope, facts: Facts, receive: Receive) -> Receive:
    """The body of a request, which is counted as it comes, and of which JSON is looked at once it is whole.

    Args:
        scope: Of the request.
        facts: Of the request.
        receive: The body as it comes.
    Raises:
        UnsupportedEncoding: It is compressed (415).
        TooLarge: It says itself that it has more bytes than its route takes (413).
    """
    if scope["method"] in _BODILESS:
        return receive
    encoding = facts.text(b"content-encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise UnsupportedEncoding(f"received a body with Content-Encoding: {encoding}, expected one as it is")
    path: str = scope["path"]
    if scope["method"] == "PUT" and FILES.fullmatch(path):
        return receive
    length = facts.get(b"content-length")
    if length is not None and length.isdigit() and len(length) <= _MAX_DIGITS and int(length) <= SMALL_BODY_BYTES:
        limit = SMALL_BODY_BYTES
    else:
        limit = LARGE_BODY_BYTES if LARGE.fullmatch(path) else SMALL_BODY_BYTES
        if length is not None and length.isdigit() and (len(length) > _MAX_DIGITS or int(length) > limit):
            raise _too_large(limit)
    kind = facts.get(b"content-type")
    is_json = kind is not None and (kind == _JSON or b"json" in kind.lower())
    return _watching(receive, limit, is_json=is_json, is_wire=path.endswith(_WIRE_ENDINGS))


def _watching(receive: Receive, limit: int, *, is_json: bool, is_wire: bool) -> Receive:
    parts: list[bytes] = []
    num_bytes = 0

    async def watching() -> Message:
        nonlocal num_bytes
        message = await receive()
        if message["type"] == "http.request":
            part = message.get("body", b"")
            num_bytes += len(part)
            if num_bytes > limit:
                raise _too_large(limit)
            if not is_json:
                return message
            parts.append(part)
            if not message.get("more_body", False):
                # Programs write the worker wire many times a second; of a repeated key there the last counts.
                if is_wire or num_bytes <= _LONG_BYTES:
                    check_json(b"".join(parts), may_repeat_keys=is_wire)
                else:
                    await asyncio.to_thread(check_json, b"".join(parts), may_repeat_keys=is_wire)
                parts.clear()
        return message

    return watching


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"received a body of more than {limit} bytes, expected fewer; send fewer items per request")


def check_json(body: bytes, *, may_repeat_keys: bool) -> None:
    """Refuse JSON that costs more than it can be worth.

    Raises:
        InvalidRequest: It is nested too deeply, has too many values, or a key twice (422).
    """
    # There are fewer values than bytes.
    if len(body) > MAX_VALUES and (found := nesting.num_values(body)) > MAX_VALUES:
        raise _refused(f"up to {found} values", f"at most {MAX_VALUES}; send fewer items per request")
    if nesting.is_deeper(body, MAX_DEPTH):
        raise _refused("lists and objects nested deeper", f"at most {MAX_DEPTH} of them in each other")
    if not may_repeat_keys and (key := nesting.repeated_key(body)) is not None:
        raise _refused(f"the key {key[:60]!r} twice in one object", "each key once")


def _refused(received: str, expected: str) -> InvalidRequest:
    field = FieldError(field="", received=received, expected=expected)
    return InvalidRequest(f"the body cannot be read: received {received}, expected {expected}", errors=[field])
