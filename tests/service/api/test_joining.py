"""The head of an answer goes out with its body, and alone if nothing follows at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from service.api.joining import Joining

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Recorded(asyncio.Transport):
    """Notes what is sent, each piece by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[bytes | str] = []
        self.is_gone = False

    def is_closing(self) -> bool:
        return self.is_gone

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.told.append(bytes(data))

    def close(self) -> None:
        self.told.append("closed")

    def abort(self) -> None:
        self.told.append("aborted")


def _done(*steps: Callable[[Joining], object], is_gone: bool = False) -> list[bytes | str]:
    """What is sent in a round of the loop, and in the next one, before which the client may go."""
    recorded = Recorded()

    async def run() -> None:
        joining = Joining(recorded, asyncio.get_running_loop())
        for step in steps:
            step(joining)
        recorded.told.append("round")
        recorded.is_gone = is_gone
        await asyncio.sleep(0)

    asyncio.run(run())
    return recorded.told


def _written(data: bytes | bytearray | memoryview) -> Callable[[Joining], object]:
    return lambda joining: joining.write(data)


def test_a_head_and_its_body_are_one_piece() -> None:
    assert _done(_written(HEAD), _written(b"body")) == [HEAD + b"body", "round"]


def test_a_head_without_a_body_goes_out_at_the_end_of_the_round() -> None:
    assert _done(_written(HEAD)) == ["round", HEAD]


@pytest.mark.parametrize("piece", [b"a", bytearray(b"a"), memoryview(b"a"), b""])
def test_what_is_no_head_goes_out_at_once(piece: bytes | bytearray | memoryview) -> None:
    assert _done(_written(piece), _written(b"more")) == [bytes(piece), b"more", "round"]


def test_answers_in_one_round_keep_their_order() -> None:
    steps = [_written(HEAD), _written(b"1"), _written(HEAD), _written(HEAD + b"3")]
    assert _done(*steps) == [HEAD + b"1", HEAD + HEAD + b"3", "round"]


def test_a_head_is_sent_before_the_connection_is_closed() -> None:
    assert _done(_written(HEAD), lambda joining: joining.close()) == [HEAD, "closed", "round"]


def test_nothing_is_sent_after_the_connection_was_broken_off() -> None:
    assert _done(_written(HEAD), lambda joining: joining.abort()) == ["aborted", "round"]


def test_nothing_is_sent_to_a_client_that_has_gone() -> None:
    assert _done(_written(HEAD), is_gone=True) == ["round"]
