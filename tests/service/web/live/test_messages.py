"""Messages that are packed once can be read by everybody, wherever they come in."""

from __future__ import annotations

import zlib

from service.web.live.messages import Encoding, Message, event

_MESSAGES = [Message(text.encode()) for text in ("short\n\n", "long " * 500 + "\n\n", "", "the end\n\n", "more " * 99)]


def test_an_event_is_written_as_the_standard_says() -> None:
    assert event("news", {"a": 1}, "x.1.2").plain == b'id: x.1.2\nevent: news\ndata: {"a":1}\n\n'
    assert event("beat", {}).plain == b"event: beat\ndata: {}\n\n"
    assert event("news", {1: "line\nbreak"}).plain.count(b"\n") == 3


def test_any_sequence_of_packed_messages_is_a_gzip_stream() -> None:
    packed = Encoding(is_compressed=True)
    for chosen in (_MESSAGES, _MESSAGES[::-1], _MESSAGES[2:], [_MESSAGES[1]] * 3):
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        assert unpacker.decompress(packed.begin) == b""
        for message in chosen:
            # Whole at once: nothing of a message waits for the next one.
            assert unpacker.decompress(packed.write([message])) == message.plain


def test_long_messages_get_smaller_and_are_packed_once() -> None:
    assert len(_MESSAGES[1].compressed) < len(_MESSAGES[1].plain) / 10
    assert _MESSAGES[1].compressed is _MESSAGES[1].compressed


def test_without_gzip_messages_go_as_they_are() -> None:
    plain = Encoding(is_compressed=False)
    assert plain.headers == {}
    assert plain.begin + plain.write(_MESSAGES[:2]) == _MESSAGES[0].plain + _MESSAGES[1].plain
