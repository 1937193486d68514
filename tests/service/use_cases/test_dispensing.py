"""What claims are given: one after the other, or at once what need not know of each other; never the same twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from service.use_cases.dispensing import Dispenser


class Numbers:
    """Makes numbers, each of which has to be stored before another of the same is made."""

    def __init__(self, most: int) -> None:
        self.stored: list[int] = []
        self.asked: list[tuple[bool, int]] = []
        self.fails = False
        self._most = most

    def make(self, may_create: bool, room: int) -> Sequence[int]:
        self.asked.append((may_create, room))
        if self.fails:
            raise LookupError("no more numbers")
        return range(len(self.stored), len(self.stored) + min(room, self._most))


async def _take(dispenser: Dispenser[int], numbers: Numbers, *, may_create: bool = True) -> int:
    async with dispenser.next(may_create=may_create) as number:
        # What is given together is stored in the order that it was given in.
        assert number == len(numbers.stored)
        numbers.stored.append(number)
        await asyncio.sleep(0)
        return number


def _run(numbers: Numbers, happen: Callable[[Dispenser[int]], object]) -> None:
    async def main() -> None:
        result = happen(Dispenser(numbers.make))
        assert asyncio.iscoroutine(result)
        await result

    asyncio.run(main())


@pytest.mark.parametrize(("most", "num_asked"), [(1, 9), (3, 3), (100, 3)])
def test_everyone_is_given_something_else_in_the_order_of_coming(most: int, num_asked: int) -> None:
    numbers = Numbers(most)

    async def happen(dispenser: Dispenser[int]) -> None:
        assert await asyncio.gather(*(_take(dispenser, numbers) for _ in range(9))) == list(range(9))

    _run(numbers, happen)
    assert len(numbers.asked) == num_asked


def test_who_may_not_create_is_served_alone() -> None:
    numbers = Numbers(100)

    async def happen(dispenser: Dispenser[int]) -> None:
        await asyncio.gather(*(_take(dispenser, numbers, may_create=number != 1) for number in range(4)))

    _run(numbers, happen)
    assert numbers.asked == [(True, 1), (False, 1), (True, 2)]


def test_what_goes_wrong_is_told_to_those_who_waited_for_it_and_the_next_are_served() -> None:
    numbers = Numbers(100)

    async def happen(dispenser: Dispenser[int]) -> None:
        numbers.fails = True
        found = await asyncio.gather(*(_take(dispenser, numbers) for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in found] == [LookupError] * 3
        numbers.fails = False
        assert await _take(dispenser, numbers) == 0

    _run(numbers, happen)


def test_who_leaves_the_line_holds_up_nobody() -> None:
    numbers = Numbers(1)

    async def happen(dispenser: Dispenser[int]) -> None:
        async with dispenser.next(may_create=True) as first:
            waiting = [asyncio.create_task(_take(dispenser, numbers)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[1].cancel()
            numbers.stored.append(first)
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [one if isinstance(one, int) else type(one) for one in found] == [1, asyncio.CancelledError, 2]

    _run(numbers, happen)


def test_an_error_while_storing_gives_the_same_to_the_next() -> None:
    numbers = Numbers(1)

    async def happen(dispenser: Dispenser[int]) -> None:
        with pytest.raises(ValueError, match="disk"):
            async with dispenser.next(may_create=True):
                raise ValueError("the disk is full")
        assert await _take(dispenser, numbers) == 0

    _run(numbers, happen)
