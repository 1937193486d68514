"""How many workers a cluster should have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.engines.scaling import Limits, MemberState, Step, next_step

LIMITS = Limits(min_workers=0, max_workers=10, idle_s=60.0)


def training(name: str, num_slots: int = 1) -> MemberState:
    return MemberState(name, is_placed=True, num_slots=num_slots)


def idle(name: str, seconds: float, num_slots: int = 1) -> MemberState:
    return MemberState(name, is_placed=True, num_slots=num_slots, idle_s=seconds)


def starting(name: str) -> MemberState:
    return MemberState(name, is_placed=True)


def pending(name: str) -> MemberState:
    return MemberState(name, is_placed=False)


def step(num_wanted: int, *members: MemberState, limits: Limits = LIMITS, slots_expected: int = 1) -> Step:
    return next_step(num_wanted, members, limits, slots_expected=slots_expected)


def test_every_wanted_trial_gets_a_slot() -> None:
    assert step(3) == Step(num_new=3)
    assert step(3, training("a"), pending("b")) == Step(num_new=1)
    assert step(9, training("a", 4), slots_expected=4) == Step(num_new=2)


def test_the_slots_that_a_worker_turned_out_to_have_count() -> None:
    assert step(8, training("a", 8), slots_expected=1) == Step()


def test_no_more_workers_than_allowed() -> None:
    assert step(100, training("a")) == Step(num_new=9)


def test_the_least_number_stays_without_work() -> None:
    limits = Limits(min_workers=2, max_workers=10, idle_s=60.0)
    assert step(0, limits=limits) == Step(num_new=2)
    assert step(0, idle("a", 100.0), idle("b", 100.0), limits=limits) == Step()
    assert step(0, idle("a", 70.0), idle("b", 90.0), idle("c", 80.0), limits=limits) == Step(drained=("b",))


def test_an_idle_worker_ends_only_after_a_while() -> None:
    assert step(0, idle("a", 59.0)) == Step()
    assert step(0, idle("a", 60.0)) == Step(drained=("a",))


def test_an_idle_worker_that_is_wanted_stays() -> None:
    assert step(1, idle("a", 1000.0)) == Step()
    assert step(2, training("a"), idle("b", 1000.0)) == Step()
    assert step(1, training("a"), idle("b", 1000.0)) == Step(drained=("b",))


def test_a_request_without_a_place_is_taken_back_at_once() -> None:
    assert step(1, training("a"), pending("b"), pending("c")) == Step(cancelled=("b", "c"))


def test_a_worker_that_is_starting_is_left_alone() -> None:
    assert step(0, starting("a")) == Step()


MEMBERS = st.lists(
    st.builds(
        MemberState,
        member_id=st.uuids().map(str),
        is_placed=st.booleans(),
        num_slots=st.none() | st.integers(0, 5),
        idle_s=st.none() | st.floats(0, 200),
    ),
    max_size=12,
)


@given(num_wanted=st.integers(0, 40), members=MEMBERS, slots=st.integers(1, 4), least=st.integers(0, 5))
def test_limits_hold_whatever_is_there(num_wanted: int, members: list[MemberState], slots: int, least: int) -> None:
    limits = Limits(min_workers=least, max_workers=8, idle_s=60.0)
    now = next_step(num_wanted, members, limits, slots_expected=slots)
    by_id = {member.member_id: member for member in members}
    ended = {*now.cancelled, *now.drained}
    assert not (ended and now.num_new)
    assert len(members) + now.num_new <= max(8, len(members))
    assert len(members) + now.num_new - len(ended) >= min(least, len(members) + now.num_new)
    for name in now.drained:
        assert (by_id[name].idle_s or 0.0) >= 60.0
    assert not any(by_id[name].is_placed for name in now.cancelled)


@pytest.mark.parametrize("num_wanted", range(1, 12))
def test_what_was_asked_for_is_enough_and_not_asked_for_again(num_wanted: int) -> None:
    first = step(num_wanted, slots_expected=2)
    members = [pending(str(number)) for number in range(first.num_new)]
    assert step(num_wanted, *members, slots_expected=2) == Step()
