"""Pages that fetch their parts themselves hear that something happened, seldom, and of what kinds."""

from __future__ import annotations

import asyncio

import pytest

from service.store.transaction import Event
from service.web.live import signal
from service.web.live.broadcaster import Seen
from service.web.live.signal import Signal
from tests.service.web.live.stage import AT, Page, Stage, perform


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "STUDY_PAUSE_S", 0.0)
    monkeypatch.setattr(signal, "TRIAL_PAUSE_S", 0.0)


async def _greeted(stage: Stage, made: Signal, seq: int = 1) -> Page:
    page = Page(made.follow(Seen(seq), stage.seq))
    assert (await page.read())[0] == ("hello", {})
    return page


def test_a_signal_names_the_kinds_of_events() -> None:
    async def story(stage: Stage) -> None:
        page = await _greeted(stage, Signal(stage.feed, 1, None))
        listening = asyncio.create_task(page.read())
        await asyncio.sleep(0)
        stage.feed.publish([Event(1, seq, kind, AT, {}) for seq, kind in ((2, "measured"), (3, "trial_ended"))])
        assert await listening == [("changed", {"seq": 3, "kinds": ["measured", "trial_ended"]})]

    perform(story)


def test_a_page_that_was_made_before_the_last_event_hears_at_once() -> None:
    async def story(stage: Stage) -> None:
        stage.seq = 9
        page = Page(Signal(stage.feed, 1, None).follow(Seen(4), 9))
        assert await page.read() == [("hello", {}), ("changed", {"seq": 9, "kinds": []})]

    perform(story)


def test_the_page_of_a_trial_hears_of_its_own_trial_and_of_the_study() -> None:
    async def story(stage: Stage) -> None:
        page = await _greeted(stage, Signal(stage.feed, 1, 7))
        listening = asyncio.create_task(page.read())
        await asyncio.sleep(0)
        stage.feed.publish([Event(1, 2, "measured", AT, {"trial_id": 8})])
        stage.feed.publish([Event(1, 3, "measured", AT, {"trial_id": 7})])
        assert await listening == [("changed", {"seq": 3, "kinds": ["measured"]})]
        listening = asyncio.create_task(page.read())
        stage.feed.publish([Event(1, 4, "study_changed", AT, {"state": "paused"})])
        assert await listening == [("changed", {"seq": 4, "kinds": ["study_changed"]})]

    perform(story)


def test_a_page_that_did_not_listen_hears_once() -> None:
    async def story(stage: Stage) -> None:
        made = Signal(stage.feed, 1, None)
        slow, quick = await _greeted(stage, made), await _greeted(stage, made)
        for _ in range(5):
            listening = asyncio.create_task(quick.read())
            await asyncio.sleep(0)
            stage.happen()
            await listening
        assert await slow.read() == [("changed", {"seq": 6, "kinds": ["measured"]})]

    perform(story)


def test_deletions_and_the_shutdown_are_told() -> None:
    async def story(stage: Stage) -> None:
        made = Signal(stage.feed, 1, None)
        page = await _greeted(stage, made)
        listening = asyncio.create_task(page.read())
        await asyncio.sleep(0)
        stage.feed.drop(1)
        assert await listening == [("changed", {"seq": 1, "kinds": ["study_deleted"]})]
        listening = asyncio.create_task(page.read())
        await asyncio.sleep(0)
        stage.feed.close()
        with pytest.raises(StopAsyncIteration):
            await listening
        assert made.num_listeners == 0

    perform(story)
