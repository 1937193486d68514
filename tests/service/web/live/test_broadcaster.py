"""One rendering for all pages, each of which hears what it has missed and nothing twice."""

from __future__ import annotations

import asyncio

import pytest

from caviar.contract.errors import Unavailable
from service.web.live import broadcaster
from tests.service.web.live.stage import DEADLINE_S, Page, Stage, perform


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcaster, "MIN_PAUSE_S", 0.0)
    monkeypatch.setattr(broadcaster, "_RETRY_S", 0.0)


async def _greeted(stage: Stage) -> Page:
    """A page that was rendered from the newest state."""
    page = stage.open(stage.seq)
    assert await page.read() == [("hello", {})]
    return page


def test_a_page_hears_only_what_has_changed() -> None:
    async def story(stage: Stage) -> None:
        page = await _greeted(stage)
        stage.happen(b="2")
        news = await page.news()
        assert list(news["blocks"]["block"]["parts"]) == ["b"]
        assert news["blocks"]["block"]["runs"] == {"0": ["a", "b"]}
        assert news["curves"] == {"steps": [["point", 7, 3, 2, 0.5]]}

    perform(story)


def test_all_pages_get_the_same_bytes_of_one_rendering() -> None:
    async def story(stage: Stage) -> None:
        streams = [stage.open(1)._stream for _ in range(5)]
        for stream in streams:
            await anext(stream)
        rendered = stage.num_rendered
        stage.happen(a="9")
        found = [await anext(stream) for stream in streams]
        assert all(messages == found[0] for messages in found)
        assert found[0][0].plain is found[4][0].plain
        assert stage.num_rendered == rendered + 1

    perform(story)


def test_points_go_on_while_nothing_more_may_be_rendered() -> None:
    async def story(stage: Stage) -> None:
        page = await _greeted(stage)
        await stage.pace.run(lambda: (None, 1000.0))
        rendered = stage.num_rendered
        stage.happen(b="2")
        news = await page.news()
        assert news == {"seq": 1, "curves": {"steps": [["point", 7, 3, 2, 0.5]]}}
        assert stage.num_rendered == rendered

    perform(story)


def test_a_page_of_an_unknown_state_gets_everything_once() -> None:
    async def story(stage: Stage) -> None:
        page = stage.open(0)
        hello, curves, whole = await page.read()
        assert hello == ("hello", {})
        assert curves == ("news", {"curves": {"reload": True}})
        assert list(whole[1]["blocks"]["block"]["parts"]) == ["a"]
        assert "<!--run 0-->" in whole[1]["blocks"]["block"]["skeleton"]
        stage.happen(b="2")
        assert list((await page.news())["blocks"]["block"]["parts"]) == ["b"]

    perform(story)


def test_until_it_has_heard_everything_a_page_is_given_no_place_to_resume_from() -> None:
    async def story(stage: Stage) -> None:
        first = await anext(stage.open(0)._stream)
        assert b"id:" not in first[0].plain
        assert b"id:" in first[-1].plain

    perform(story)


def test_a_page_resumes_where_it_was() -> None:
    async def story(stage: Stage) -> None:
        other = await _greeted(stage)
        page = await _greeted(stage)
        stage.happen(a="2")
        await page.news()
        await other.news()
        await page.close()
        stage.happen(b="3")
        await other.news()
        stage.happen(c="4")
        await other.news()
        again = stage.open(last=page.last)
        found = await again.read()
        assert found[0] == ("hello", {})
        assert found[1][1]["curves"]["steps"] == [["point", 7, 3, 3, 0.5], ["point", 7, 3, 4, 0.5]]
        changes = await again.read()
        assert [list(data["blocks"]["block"]["parts"]) for _, data in changes] == [["b"], ["c"]]

    perform(story)


def test_who_heard_another_broadcaster_gets_everything() -> None:
    async def story(stage: Stage) -> None:
        found = await stage.open(last="elsewhere.0.1").read()
        assert [kind for kind, _ in found] == ["hello", "news"]
        assert "skeleton" in found[1][1]["blocks"]["block"]

    perform(story)


def test_a_slow_page_is_brought_to_the_newest_state_at_once() -> None:
    async def story(stage: Stage) -> None:
        slow, quick = await _greeted(stage), await _greeted(stage)
        for number in range(20):
            stage.happen(a=str(number), **{f"row-{number}": "new"})
            await quick.news()
        found = await slow.read()
        assert len(found) == 2
        assert len(found[0][1]["curves"]["steps"]) == 20
        assert len(found[1][1]["blocks"]["block"]["parts"]) == 21
        stage.happen(a="last")
        assert await slow.news() == await quick.news()

    perform(story)


def test_nothing_is_rendered_without_listeners_or_without_change() -> None:
    async def story(stage: Stage) -> None:
        page = await _greeted(stage)
        stage.happen(a="2")
        await page.news()
        rendered = stage.num_rendered
        await asyncio.sleep(0)
        await page.close()
        assert stage.broadcaster.num_listeners == 0
        stage.happen(a="3")
        # What was published is in the feed once this has run.
        await asyncio.to_thread(lambda: None)
        assert stage.feed.last_seq(1) == 3
        assert stage.num_rendered == rendered

    perform(story)


def test_what_changes_without_an_event_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcaster, "QUIET_S", 0.02)

    async def story(stage: Stage) -> None:
        page = await _greeted(stage)
        assert await page.read() == [("beat", {})]
        rendered = stage.num_rendered
        stage.rows["a"], stage.standing = "two workers", 2
        kinds = ["beat"]
        while kinds == ["beat"]:
            found = await page.read()
            kinds = [kind for kind, _ in found]
        assert list(found[0][1]["blocks"]["block"]["parts"]) == ["a"]
        assert stage.num_rendered == rendered + 1

    perform(story)


def test_changes_during_a_rendering_are_not_missed() -> None:
    async def story(stage: Stage) -> None:
        page = await _greeted(stage)
        stage.gate.clear()
        stage.begun.clear()
        stage.happen(a="2")
        await asyncio.to_thread(stage.begun.wait, DEADLINE_S)
        stage.happen(b="3")
        stage.happen(c="4")
        stage.gate.set()
        steps: list[list[object]] = []
        keys: set[str] = set()
        while len(steps) < 3 or not {"a", "b", "c"} <= keys:
            news = await page.news()
            steps += news.get("curves", {}).get("steps", [])
            keys |= set(news.get("blocks", {}).get("block", {}).get("parts", {}))
        assert [step[3] for step in steps] == [2, 3, 4]

    perform(story)


def test_a_deleted_study_ends_its_streams() -> None:
    async def story(stage: Stage) -> None:
        page = await _greeted(stage)
        stage.delete()
        assert await page.read() == [("end", {"reason": "deleted"})]
        with pytest.raises(StopAsyncIteration):
            await page.read()
        assert stage.broadcaster.num_listeners == 0

    perform(story)


def test_a_shutdown_ends_the_streams() -> None:
    async def story(stage: Stage) -> None:
        page = await _greeted(stage)
        stage.feed.close()
        with pytest.raises(StopAsyncIteration):
            await page.read()

    perform(story)


def test_an_outage_of_the_database_is_waited_for() -> None:
    async def story(stage: Stage) -> None:
        page = await _greeted(stage)
        stage.failure = Unavailable("away")
        stage.begun.clear()
        stage.happen(a="2")
        await asyncio.to_thread(stage.begun.wait, DEADLINE_S)
        stage.failure = None
        stage.happen(b="3")
        found: set[str] = set()
        while not {"a", "b"} <= found:
            found |= set((await page.news()).get("blocks", {}).get("block", {}).get("parts", {}))

    perform(story)


def test_a_broken_view_ends_its_streams() -> None:
    async def story(stage: Stage) -> None:
        page = await _greeted(stage)
        stage.failure = ValueError("a template is wrong")
        stage.happen(a="2")
        with pytest.raises(StopAsyncIteration):
            await page.read()
        assert stage.broadcaster.num_listeners == 0

    perform(story)
