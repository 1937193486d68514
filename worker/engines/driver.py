"""The loop of an engine: as many workers on a cluster as there is work for."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from caviar.contract.errors import CaviarError, Unavailable
from worker.engines.demand import Standing
from worker.engines.hosting import Departure
from worker.engines.scaling import Limits, MemberState, next_step

_log = structlog.get_logger(__name__)

_POLL_S = 2.0
_MARGIN_S = 15.0
# A worker that ends within this time, or before the service heard of it, has not worked.
_QUICK_S = 30.0
_MAX_QUICK_ENDS = 5
_MAX_BACKOFF_S = 60.0


class Cluster(Protocol):
    """What a driver asks of a cluster; see `worker.engines.ray_cluster.RayCluster`."""

    def start(self, member_id: str) -> None:
        """Ask for a worker."""

    def is_placed(self, member_id: str) -> bool:
        """Whether it has a node."""

    def ended(self, timeout_s: float) -> list[tuple[str, Departure]]:
        """Those that have ended; waits so many seconds for the first."""

    def drain(self, member_id: str) -> None:
        """Ask a worker to end."""

    def cancel(self, member_id: str) -> None:
        """End it at once."""


@dataclass
class _Kept:
    """What the driver remembers of a member.

    Attributes:
        num_slots: Trainings at the same time, once the service knows.
        idle_since: When it was first seen without a trial; None while it trains.
        leaving_since: When it was asked to end.
        was_seen: Whether the service ever heard of its worker.
    """

    num_slots: int | None = None
    idle_since: float | None = None
    leaving_since: float | None = None
    was_seen: bool = False


@dataclass
class Driver:
    """Looks at the work, and starts and ends workers.

    Attributes:
        cluster: Where they run.
        look: What the service says now; it is told which members are ours.
        limits: What the operator allows.
        slots_expected: Trainings that a worker is taken for until the service knows it.
        grace_s: Seconds that a worker has to end when asked.
        exit_when_idle: Whether to end once nothing is left to do.
        now_s: Clock, in seconds, never falling.
    """

    cluster: Cluster
    look: Callable[[Callable[[str], bool]], Standing]
    limits: Limits
    slots_expected: int
    grace_s: float
    exit_when_idle: bool
    now_s: Callable[[], float] = time.monotonic
    status: int = 0
    is_ending: bool = False
    _members: dict[str, _Kept] = field(default_factory=dict)
    _prefix: str = field(default_factory=lambda: secrets.token_hex(4))
    _num_started: int = 0
    _num_quick_ends: int = 0
    _look_at: float = 0.0
    _start_at: float = 0.0

    @property
    def is_done(self) -> bool:
        """Whether it was asked to end, and no worker is left."""
        return self.is_ending and not self._members

    def end(self) -> None:
        """Have all workers come to their end; the members that never got a node are taken back."""
        self.is_ending = True
        for member_id, kept in list(self._members.items()):
            if not self.cluster.is_placed(member_id):
                self._cancel(member_id)
            elif kept.leaving_since is None:
                self._drain(member_id)

    def step(self, wait_s: float) -> None:
        """React to what has ended and, from time to time, to what the service says.

        Args:
            wait_s: Longest wait for something to end, in seconds.
        """
        for member_id, departure in self.cluster.ended(wait_s):
            self._mourn(departure, was_seen=self._members.pop(member_id).was_seen)
        self._cancel_overdue()
        if not self.is_ending and self.now_s() >= self._look_at:
            self._look_at = self.now_s() + _POLL_S
            self._adjust()

    def _adjust(self) -> None:
        try:
            standing = self.look(self._members.__contains__)
        except Unavailable as error:
            _log.warning("service_away", detail=error.detail)
            return
        except CaviarError as error:
            self._fail(error.detail)
            return
        self._remember(standing)
        if self.exit_when_idle and standing.is_idle:
            _log.info("ending", reason="there is nothing to train")
            self.end()
            return
        step = next_step(standing.num_wanted, self._states(), self.limits, slots_expected=self.slots_expected)
        for member_id in step.cancelled:
            self._cancel(member_id)
        for member_id in step.drained:
            _log.info("worker_not_wanted", name=standing.members[member_id].name)
            self._drain(member_id)
        if step.num_new and self.now_s() >= self._start_at:
            _log.info("workers_asked_for", num_new=step.num_new, num_wanted=standing.num_wanted)
            for _ in range(step.num_new):
                self._start()

    def _remember(self, standing: Standing) -> None:
        for member_id, kept in self._members.items():
            seen = standing.members.get(member_id)
            if seen is None:
                kept.num_slots = kept.idle_since = None
                continue
            if kept.num_slots is None:
                _log.info("worker_at_work", name=seen.name, slots=seen.num_slots)
            kept.num_slots, kept.was_seen = seen.num_slots, True
            if not seen.is_idle:
                kept.idle_since = None
                self._num_quick_ends = 0
            elif kept.idle_since is None:
                kept.idle_since = self.now_s()

    def _states(self) -> list[MemberState]:
        now_s = self.now_s()
        return [
            MemberState(
                member_id,
                is_placed=self.cluster.is_placed(member_id),
                num_slots=kept.num_slots,
                idle_s=None if kept.idle_since is None else now_s - kept.idle_since,
            )
            for member_id, kept in self._members.items()
            if kept.leaving_since is None
        ]

    def _start(self) -> None:
        self._num_started += 1
        member_id = f"{self._prefix}-{self._num_started}"
        self.cluster.start(member_id)
        self._members[member_id] = _Kept()

    def _drain(self, member_id: str) -> None:
        self._members[member_id].leaving_since = self.now_s()
        self.cluster.drain(member_id)

    def _cancel(self, member_id: str) -> None:
        self._members.pop(member_id)
        self.cluster.cancel(member_id)

    def _cancel_overdue(self) -> None:
        for member_id, kept in list(self._members.items()):
            if kept.leaving_since is not None and self.now_s() - kept.leaving_since > self.grace_s + _MARGIN_S:
                # Lost together with its node while it was to end, and Ray has no other place for it.
                _log.warning("worker_given_up", detail="it did not end in time")
                self._cancel(member_id)

    def _mourn(self, departure: Departure, *, was_seen: bool) -> None:
        if departure.was_asked or self.is_ending:
            _log.info("worker_ended", name=departure.name, status=departure.status)
            return
        _log.warning(
            "worker_lost", name=departure.name, status=departure.status, last_words=departure.last_words[-500:]
        )
        if was_seen and departure.lived_s > _QUICK_S:
            self._num_quick_ends = 0
            return
        self._num_quick_ends += 1
        self._start_at = self.now_s() + min(_MAX_BACKOFF_S, 2.0 ** (self._num_quick_ends - 1))
        if self._num_quick_ends >= _MAX_QUICK_ENDS:
            self._fail(
                f"{_MAX_QUICK_ENDS} workers in a row ended soon after their start; the last said: "
                f"{departure.last_words}"
            )

    def _fail(self, detail: str) -> None:
        _log.error("cannot_work", detail=detail)
        self.status = 1
        self.end()
