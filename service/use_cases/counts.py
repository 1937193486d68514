"""What has happened since the process began, counted for those who watch over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from caviar.contract.states import AttemptEnd, StopReason
from service.store.transaction import Event


class Counts:
    """Counts of this process alone: of several on one database, each tells its own.

    Attributes:
        num_epochs: Measurements that were stored.
        num_leases: Leases that were granted.
        num_expired: Leases that ran out, because nothing was heard of their workers or those had forgotten them.
        num_lost: Times that a worker heard that a lease is not its own (any more).
        num_claims: Claims by whether they got a trial.
        num_created: Trials that were created.
        num_ended: Trials that ended, by state and reason.
        num_requeued: Attempts that ended without an end of their trial, by how they did.
        num_paused: Trials that paused at a rung.
        num_streams: Streams of events that are open now.
    """

    def __init__(self) -> None:
        """Nothing counted yet."""
        self.num_epochs = 0
        self.num_leases = 0
        self.num_expired = 0
        self.num_lost = 0
        self.num_created = 0
        self.num_paused = 0
        self.num_streams = 0
        self.num_claims: Counter[bool] = Counter({True: 0, False: 0})
        self.num_ended: Counter[tuple[str, str]] = Counter()
        self.num_requeued: Counter[str] = Counter()

    def apply(self, events: Sequence[Event]) -> None:
        """Count what a commit of this process has brought; on the writer's thread."""
        for event in events:
            if event.kind == "measured":
                self.num_epochs += 1
            elif event.kind == "trial_started":
                self.num_leases += 1
            elif event.kind == "trial_created":
                self.num_created += 1
            elif event.kind == "trial_paused":
                self.num_paused += 1
            elif event.kind == "trial_requeued":
                self._requeued(event)
            elif event.kind == "trial_ended":
                self._ended(event)

    def claimed(self, num_assigned: int) -> None:
        """Count a claim that was answered; on the event loop's thread."""
        self.num_claims[num_assigned > 0] += 1

    def lost(self, num_leases: int) -> None:
        """Count leases that a worker was told to have lost; on the event loop's thread."""
        self.num_lost += num_leases

    def _requeued(self, event: Event) -> None:
        reason = str(event.data["reason"])
        self.num_requeued[reason] += 1
        self.num_expired += reason == AttemptEnd.EXPIRED

    def _ended(self, event: Event) -> None:
        reason = str(event.data["stop_reason"])
        self.num_ended[str(event.data["state"]), reason] += 1
        self.num_expired += reason == StopReason.LOST
