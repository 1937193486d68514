"""Notices between processes are short enough to be sent, and say all."""

from __future__ import annotations

from service.store.notices import Notice, parsed, written


def test_a_notice_is_read_as_it_was_written() -> None:
    notice = Notice("a1b2", {7: (3, 9), 12: (1, 1)}, [4], is_waking=True)
    [payload] = written(notice)
    assert parsed(payload) == notice


def test_a_notice_that_says_nothing_is_not_sent() -> None:
    assert list(written(Notice("a1b2"))) == []


def test_a_long_notice_comes_in_parts_that_postgres_takes() -> None:
    news = {10**6 + number: (10**8, 10**8 + 5) for number in range(2000)}
    payloads = list(written(Notice("a1b2", news, list(range(500)), is_waking=True)))
    assert max(len(payload.encode()) for payload in payloads) < 8000
    parts = [parsed(payload) for payload in payloads]
    assert {key: value for part in parts for key, value in part.news.items()} == news
    assert [study_id for part in parts for study_id in part.gone] == list(range(500))
    assert sum(part.is_waking for part in parts) == 1


def test_words_of_another_version_are_passed_over() -> None:
    assert parsed("a1b2 5:1-2 new:word ?") == Notice("a1b2", {5: (1, 2)}, [])
