"""Messages to pages as bytes that any number of connections can share.

A compressed stream is the concatenation of pieces that know nothing of each other: a gzip header, then deflate blocks,
each message compressed by itself and ended by a full flush. So one message is compressed once, whoever reads it.
Source: RFC 1951, section 3.2.4 (an empty stored block aligns to bytes); RFC 1952, section 2.3 (the header).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LEVEL = 5
_MIN_COMPRESSED_BYTES = 200


class Message:
    """A piece of a stream.

    Attributes:
        plain: Its bytes.
    """

    def __init__(self, plain: bytes) -> None:
        """Wrap bytes."""
        self.plain = plain

    @cached_property
    def compressed(self) -> bytes:
        """A piece of any gzip stream, made once."""
        if len(self.plain) < _MIN_COMPRESSED_BYTES:
            return _stored(self.plain)
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        return packer.compress(self.plain) + packer.flush(zlib.Z_FULL_FLUSH)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the bytes of one connection are written.

    Attributes:
        is_compressed: Whether the client takes gzip.
    """

    is_compressed: bool

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        return {"Content-Encoding": "gzip"} if self.is_compressed else {}

    @property
    def begin(self) -> bytes:
        """What comes before the first message."""
        return _GZIP_HEADER if self.is_compressed else b""

    def write(self, messages: Iterable[Message]) -> bytes:
        """Messages as they go out."""
        return b"".join(one.compressed if self.is_compressed else one.plain for one in messages)


def event(kind: str, data: Any, event_id: str | None = None) -> Message:
    """A server-sent event."""
    head = f"id: {event_id}\nevent: {kind}\ndata: " if event_id else f"event: {kind}\ndata: "
    return Message(head.encode() + orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS) + b"\n\n")


def _stored(plain: bytes) -> bytes:
    size = len(plain)
    return b"\x00" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + plain
