"""Sending answers in one piece: the head goes out together with the body that follows it."""

from __future__ import annotations

import asyncio
from typing import Any

_HEAD = b"HTTP/1.1 "


class Joining(asyncio.Transport):
    """A connection's transport that keeps the head of an answer until the next bytes are written, a moment at most.

    The server writes the head and the body of an answer one after the other, and either costs a call of the system that
    wakes the client: for the short answers that workers get, this is a good part of all that a request costs.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Write to a transport.

        Args:
            transport: Of the connection.
            loop: On which it works; what is kept goes out at the end of its round, also if nothing follows.
        """
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send something, or keep it if it is a head."""
        if self._head:
            data, self._head = b"".join((self._head, data)), b""
        elif data[: len(_HEAD)] == _HEAD:
            self._head = bytes(data)
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Send what was written, then close."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever was written."""
        self._head = b""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or will be once all is sent."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Take no more bytes from the client for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Bytes that the system has not taken yet."""
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known of the connection."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let somebody else have the connection."""
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            if not self._transport.is_closing():  # The client may have gone meanwhile.
                self._transport.write(head)
