"""Asking what may hang."""

from __future__ import annotations

import asyncio
import threading

import pytest

from service.use_cases.probing import Probe


class _Question:
    """A question whose answer is the number of times that it was asked."""

    def __init__(self) -> None:
        self.num_asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self) -> int:
        self.num_asked += 1
        self.may_answer.wait()
        if self.num_asked == 3:
            raise ValueError("the third is the last")
        return self.num_asked


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_shared_until_it_is_old() -> None:
    question, clock = _Question(), _Clock()
    probe = Probe(question, kept_s=2.0, clock=clock)

    async def ask() -> None:
        assert probe.age_s is None
        assert set(await asyncio.gather(probe.answer(5), probe.answer(5))) == {1}
        clock.now += 1.9
        assert await probe.answer(5) == 1
        assert probe.age_s == pytest.approx(1.9)
        clock.now += 0.2
        assert await probe.answer(5) == 2
        clock.now += 2.0
        with pytest.raises(ValueError, match="third"):
            await probe.answer(5)
        clock.now += 2.0
        assert await probe.answer(5) == 4

    asyncio.run(ask())


def test_a_question_without_an_answer_is_asked_once() -> None:
    question, clock = _Question(), _Clock()
    probe = Probe(question, kept_s=0.0, clock=clock)
    question.may_answer.clear()

    async def ask() -> None:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await probe.answer(0.01)
            clock.now += 60
        assert question.num_asked == 1
        question.may_answer.set()
        assert await probe.answer(5) == 1

    asyncio.run(ask())
