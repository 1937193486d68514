"""How many workers a cluster should have: a pure decision on what is wanted and what is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the operator allows.

    Attributes:
        min_workers: Workers that stay without any work.
        max_workers: Most workers at a time, those that wait for a place included.
        idle_s: Seconds after which a worker that is not wanted ends.
    """

    min_workers: int
    max_workers: int
    idle_s: float


@dataclass(frozen=True)
class MemberState:
    """A worker that the engine keeps.

    Attributes:
        member_id: What the engine calls it.
        is_placed: Whether the cluster has found a node for it.
        num_slots: Trainings that it runs at the same time; None until the service knows it.
        idle_s: Seconds for which it has had nothing to train; None while it trains or is not known yet.
    """

    member_id: str
    is_placed: bool
    num_slots: int | None = None
    idle_s: float | None = None


@dataclass(frozen=True)
class Step:
    """What to do now.

    Attributes:
        num_new: Workers to ask the cluster for.
        cancelled: Members that have no node yet and are not wanted any more.
        drained: Members that are to end.
    """

    num_new: int = 0
    cancelled: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()


def next_step(num_wanted: int, members: Sequence[MemberState], limits: Limits, *, slots_expected: int) -> Step:
    """Compare what is wanted with what is there.

    A worker that trains is never ended, one that idles only after a while, one without a node at once: it is what
    makes an autoscaler start machines.

    Args:
        num_wanted: Trials that could be in training on this cluster.
        members: The workers that are there or on their way, without those that are ending.
        limits: What the operator allows.
        slots_expected: Trainings that a worker is taken for until the service knows it, at least 1.
    """
    ranked = sorted(members, key=_rank)
    target = _num_needed(num_wanted, ranked, slots_expected)
    target = min(limits.max_workers, max(limits.min_workers, target))
    surplus = ranked[target:]
    return Step(
        num_new=max(0, target - len(ranked)),
        cancelled=tuple(member.member_id for member in surplus if not member.is_placed),
        drained=tuple(
            member.member_id for member in surplus if member.idle_s is not None and member.idle_s >= limits.idle_s
        ),
    )


def _num_needed(num_wanted: int, ranked: Sequence[MemberState], slots_expected: int) -> int:
    """Members, in this order, whose slots are enough; more than there are if all of them are not."""
    left = num_wanted
    for number, member in enumerate(ranked):
        if left <= 0:
            return number
        left -= slots_expected if member.num_slots is None else member.num_slots
    return len(ranked) + max(0, math.ceil(left / slots_expected))


def _rank(member: MemberState) -> tuple[int, float]:
    """Those that train first, those that have idled for the longest time and those without a node last."""
    if not member.is_placed:
        return (3, 0.0)
    if member.num_slots is None:
        return (1, 0.0)
    return (0, 0.0) if member.idle_s is None else (2, member.idle_s)
