"""Time takes leases back, but never for a silence of the service itself."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy.exc import OperationalError

from caviar.contract.errors import Unavailable
from caviar.contract.messages import Assignment, Claim, Finish, RegisterWorker
from caviar.contract.states import Outcome, StopReason, StudyState, TrialState
from caviar.contract.study import StudySpec
from service.api.examples import BODIES
from service.domain.principal import SYSTEM
from service.loops.clockwork import Clockwork
from service.store.engine import connect
from service.store.transaction import Transaction
from service.use_cases import claiming, controlling, finishing, fleet, reading, registering, submitting
from service.use_cases.service import Service

_TTL_S = 30.0
Story = Callable[["Hand"], Awaitable[None]]


class Hand:
    """A service whose clock is moved by hand."""

    def __init__(self, url: str) -> None:
        self.now = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
        self.passed_s = 0.0
        self.service = Service(connect(url), lease_ttl_s=_TTL_S, clock=lambda: self.now).acting_for(SYSTEM)
        self.clockwork = Clockwork(self.service, monotonic=lambda: self.passed_s)

    async def tick(self, *, after_s: float, moved_by_s: float = 0.0) -> None:
        """Let time pass, perhaps set the clock meanwhile, then tick."""
        self.passed_s += after_s
        self.now += timedelta(seconds=after_s + moved_by_s)
        await self.clockwork.tick()

    async def claimed(self, **budget: float) -> Assignment:
        """A trial that a worker holds."""
        spec = StudySpec.model_validate({**BODIES["create_study"], "retries": 0, "budget": {"max_trials": 3, **budget}})
        await self.service.submit(lambda tx: submitting.create(tx, spec))
        body = RegisterWorker.model_validate(BODIES["register_worker"])
        worker = await self.service.submit(partial(registering.register, body=body, lease_ttl_s=_TTL_S))
        answer = await claiming.claim(self.service, worker.worker_id, Claim(request_id="1"))
        return answer.assigned[0]

    def state(self, trial_id: int) -> TrialState:
        """State of a trial."""
        with self.service.reading() as tx:
            return reading.trial(tx, trial_id).state


def _tell(url: str, story: Story) -> None:
    async def told() -> None:
        hand = Hand(url)
        hand.service.start()
        try:
            await hand.clockwork.tick()
            await story(hand)
        finally:
            await asyncio.to_thread(hand.service.close)

    asyncio.run(told())


def test_a_lease_is_taken_back_when_its_time_is_over(ready_database_url: str) -> None:
    async def story(hand: Hand) -> None:
        trial = await hand.claimed()
        await hand.tick(after_s=14)
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.RUNNING
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.FAILED

    _tell(ready_database_url, story)


def test_after_a_silence_of_the_service_workers_get_a_full_term(ready_database_url: str) -> None:
    async def story(hand: Hand) -> None:
        trial = await hand.claimed()
        await hand.tick(after_s=3600)
        assert hand.state(trial.trial_id) is TrialState.RUNNING
        await hand.tick(after_s=15)
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.RUNNING
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.FAILED

    _tell(ready_database_url, story)


def test_a_study_ends_when_its_seconds_are_used_up(ready_database_url: str) -> None:
    async def story(hand: Hand) -> None:
        trial = await hand.claimed(max_seconds=20.0)
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.RUNNING
        await hand.tick(after_s=14)
        with hand.service.reading() as tx:
            study = reading.study(tx, trial.study)
            ended = reading.trial(tx, trial.trial_id)
        assert (study.state, study.end_reason) == (StudyState.COMPLETE, "max_seconds")
        assert (ended.state, ended.stop_reason) == (TrialState.CANCELLED, StopReason.TIME_LIMIT)

    _tell(ready_database_url, story)


def test_a_paused_study_ends_by_its_seconds_too(ready_database_url: str) -> None:
    async def story(hand: Hand) -> None:
        trial = await hand.claimed(max_seconds=20.0)
        await hand.service.submit(lambda tx: controlling.pause(tx, trial.study))
        await hand.tick(after_s=21)
        with hand.service.reading() as tx:
            assert reading.study(tx, trial.study).state is StudyState.COMPLETE

    _tell(ready_database_url, story)


def test_a_silent_trial_ends_when_its_seconds_are_used_up(ready_database_url: str) -> None:
    async def story(hand: Hand) -> None:
        trial = await hand.claimed(max_trial_seconds=10.0)
        await hand.tick(after_s=11)
        with hand.service.reading() as tx:
            ended = reading.trial(tx, trial.trial_id)
        assert (ended.state, ended.stop_reason) == (TrialState.FAILED, StopReason.TIME_LIMIT)
        assert ended.evidence == {"rule": "max_trial_seconds", "epoch": 0, "threshold": 10.0}

    _tell(ready_database_url, story)


def test_the_loop_outlives_a_failure(ready_database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def story(hand: Hand) -> None:
        ticks = 0
        again = asyncio.Event()
        clock = hand.service.clock

        def failing() -> datetime:
            nonlocal ticks
            ticks += 1
            if ticks == 1:
                raise OSError("the clock is broken")
            again.set()
            return clock()

        hand.service.clock = failing
        hand.service.lease_ttl_s = 0.5
        running = asyncio.create_task(hand.clockwork.run())
        await asyncio.wait_for(again.wait(), timeout=30)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    _tell(ready_database_url, story)


def test_a_worker_that_ends_a_trial_at_its_time_limit_is_believed(ready_database_url: str) -> None:
    async def story(hand: Hand) -> None:
        trial = await hand.claimed(max_trial_seconds=10.0)
        hand.now += timedelta(seconds=10.5)
        body = Finish(lease=trial.lease, outcome=Outcome.COMPLETE)
        ended = await hand.service.submit(lambda tx: finishing.finish(tx, hand.service.searches, trial.trial_id, body))
        assert (ended.state, ended.stop_reason) == (TrialState.FAILED, StopReason.TIME_LIMIT)

    _tell(ready_database_url, story)


@pytest.mark.parametrize("moved_by_s", [3600.0, 86400.0 * 365, 31.0, 4.0])
def test_a_clock_that_jumps_forward_takes_no_lease(ready_database_url: str, moved_by_s: float) -> None:
    async def story(hand: Hand) -> None:
        trial = await hand.claimed(max_trial_seconds=50.0)
        await hand.tick(after_s=14)
        await hand.tick(after_s=1, moved_by_s=moved_by_s)
        assert hand.state(trial.trial_id) is TrialState.RUNNING
        await hand.tick(after_s=14)
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.RUNNING
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.FAILED

    _tell(ready_database_url, story)


@pytest.mark.parametrize("moved_by_s", [-3600.0, -86400.0 * 365, -4.0])
def test_a_clock_that_is_set_back_keeps_no_dead_lease(ready_database_url: str, moved_by_s: float) -> None:
    async def story(hand: Hand) -> None:
        trial = await hand.claimed()
        await hand.tick(after_s=14)
        await hand.tick(after_s=1, moved_by_s=moved_by_s)
        await hand.tick(after_s=14)
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.RUNNING
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.FAILED
        with hand.service.reading() as tx:
            assert [worker.is_alive for worker in fleet.workers(tx, lease_ttl_s=_TTL_S).items] == [False]

    _tell(ready_database_url, story)


@pytest.mark.parametrize("moved_by_s", [-3600.0, 3600.0])
def test_the_seconds_of_a_trial_are_those_that_passed_and_not_those_of_the_clock(
    ready_database_url: str, moved_by_s: float
) -> None:
    async def story(hand: Hand) -> None:
        trial = await hand.claimed(max_trial_seconds=40.0)
        for passed_s, moved in ((14, 0.0), (5, moved_by_s), (14, 0.0)):
            await hand.tick(after_s=passed_s, moved_by_s=moved)
        assert hand.state(trial.trial_id) is TrialState.RUNNING
        await hand.tick(after_s=8)
        with hand.service.reading() as tx:
            ended = reading.trial(tx, trial.trial_id)
        assert ended.stop_reason is StopReason.TIME_LIMIT

    _tell(ready_database_url, story)


def test_a_database_that_refused_to_write_is_no_silence_of_the_workers(ready_database_url: str) -> None:
    async def story(hand: Hand) -> None:
        trial = await hand.claimed()

        def refused(_tx: Transaction) -> None:
            raise OperationalError("UPDATE", {}, sqlite3.OperationalError("database or disk is full"))

        for _ in range(4):
            with pytest.raises(Unavailable):
                await hand.service.submit(refused)
            await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.RUNNING
        await hand.tick(after_s=14)
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.RUNNING
        await hand.tick(after_s=14)
        assert hand.state(trial.trial_id) is TrialState.FAILED

    _tell(ready_database_url, story)
