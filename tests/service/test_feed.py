"""Those who follow a study hear of everything, and of its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from service.store.transaction import Event
from service.use_cases.feed import Feed

_AT = datetime(2026, 11, 21, tzinfo=UTC)


def _event(seq: int, study_id: int = 1, kind: str = "measured") -> Event:
    return Event(study_id, seq, kind, _AT, {})


def _with_feed(story: Callable[[Feed], Awaitable[None]]) -> None:
    async def told() -> None:
        feed = Feed()
        feed.bind(asyncio.get_running_loop())
        await story(feed)

    asyncio.run(told())


def _seqs(found: list[Event] | None) -> list[int] | None:
    return None if found is None else [event.seq for event in found]


def test_whoever_waits_is_woken_by_the_next_commit() -> None:
    async def story(feed: Feed) -> None:
        waiting = asyncio.create_task(feed.wait(30))
        await asyncio.to_thread(feed.publish, [_event(1), _event(2)])
        assert await waiting
        assert _seqs(feed.since(1, 0)) == [1, 2]
        assert _seqs(feed.since(1, 1)) == [2]
        assert _seqs(feed.since(1, 2)) == []

    _with_feed(story)


def test_nothing_happens_in_time() -> None:
    async def story(feed: Feed) -> None:
        assert not await feed.wait(0.01)

    _with_feed(story)


def test_what_is_not_kept_must_be_read_from_the_database() -> None:
    async def story(feed: Feed) -> None:
        assert feed.since(1, 0) is None
        feed.publish([_event(5)])
        assert await feed.wait(30)
        assert feed.since(1, 3) is None
        assert _seqs(feed.since(1, 4)) == [5]
        # A gap: another process has written in between.
        feed.publish([_event(8)])
        assert await feed.wait(30)
        assert feed.since(1, 5) is None
        assert _seqs(feed.since(1, 7)) == [8]

    _with_feed(story)


def test_measurements_do_not_wake_those_who_wait_for_work() -> None:
    async def story(feed: Feed) -> None:
        seen = feed.num_openings
        feed.publish([_event(1)])
        assert await feed.wait(30)
        assert feed.num_openings == seen
        waiting = asyncio.create_task(feed.wait_for_work(seen, 30))
        await asyncio.to_thread(feed.publish, [_event(2, kind="trial_ended")])
        assert await waiting
        # What came between looking and waiting is not missed.
        assert await feed.wait_for_work(seen, 30)

    _with_feed(story)


def test_followers_of_a_deleted_study_are_woken_and_find_nothing() -> None:
    async def story(feed: Feed) -> None:
        feed.publish([_event(1), _event(1, study_id=2)])
        assert await feed.wait(30)
        waiting = asyncio.create_task(feed.wait(30))
        await asyncio.to_thread(feed.drop, 1)
        assert await waiting
        assert feed.since(1, 1) is None
        assert _seqs(feed.since(2, 0)) == [1]

    _with_feed(story)


def test_closing_wakes_everybody() -> None:
    async def story(feed: Feed) -> None:
        waiting = [asyncio.create_task(feed.wait(30)), asyncio.create_task(feed.wait_for_work(0, 30))]
        await asyncio.to_thread(feed.close_soon)
        assert await asyncio.gather(*waiting) == [True, True]
        assert feed.is_closed

    _with_feed(story)
