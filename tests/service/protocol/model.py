"""The rules of leases, attempts, rungs and budgets once more, as plain Python without a database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

TTL = timedelta(seconds=30)
LONGEST_SILENCE = TTL / 2
RETRIED = ("failed", "stalled")
REASONS = {
    "failed": "error",
    "stalled": "time_limit",
    "out_of_memory": "infeasible",
    "diverged": "diverged",
    "infeasible": "infeasible",
}
UNFINISHED = ("waiting", "running", "paused")
# Of those that have come to a rung, one in so many goes on; rungs are its powers.
ETA = 2


@dataclass(eq=False)
class Lease:
    """One attempt: who got it, until when, what it goes on from, how it ended, and what it measured."""

    trial: Trial
    attempt: int
    worker: str
    request: str
    started_at: datetime
    expires_at: datetime
    assignment: dict[str, Any] = field(default_factory=dict)
    kept: dict[int, tuple[int, float]] = field(default_factory=dict)
    end: str | None = None
    outcome: str | None = None
    epochs: dict[int, float] = field(default_factory=dict)


@dataclass(eq=False)
class Trial:
    """Where one trial ought to stand."""

    number: int
    origin: str
    state: str = "waiting"
    stop_reason: str | None = None
    charged: int = 0
    is_alone: bool = False
    checkpoint: int = 0
    promoted: int = 0
    trial_id: int = 0
    leases: list[Lease] = field(default_factory=list)

    @property
    def lease(self) -> Lease | None:
        """The current lease."""
        return self.leases[-1] if self.leases and self.leases[-1].end is None else None

    @property
    def told(self) -> dict[int, tuple[int, float]]:
        """Attempt and value by epoch: of the newest attempt, and of those before it up to its checkpoint."""
        if not self.leases:
            return {}
        newest = self.leases[-1]
        return newest.kept | {epoch: (newest.attempt, value) for epoch, value in newest.epochs.items()}

    @property
    def curve(self) -> dict[int, float]:
        """Value by epoch."""
        return {epoch: value for epoch, (_, value) in self.told.items()}

    @property
    def best(self) -> tuple[float | None, int | None]:
        """Least value and its earliest epoch."""
        return min(((value, epoch) for epoch, value in self.curve.items()), default=(None, None))


@dataclass(frozen=True)
class Standing:
    """What the service knows of a trial when it compares: the best value up to each rung, and whether it waits."""

    trial: Trial
    at_rung: dict[int, float]
    is_paused: bool
    promoted: int
    last_epoch: int


@dataclass
class Study:
    """Where the study ought to stand, and how each request ought to change it."""

    limits: dict[str, Any]
    retries: int
    created_at: datetime
    now: datetime
    ticked_at: datetime | None = None
    state: str = "running"
    end_reason: str | None = None
    trials: list[Trial] = field(default_factory=list)
    has_rungs: bool = False
    standings: list[Standing] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        """Whether it hands out no more trials, for good."""
        return self.state in ("complete", "stopped")

    @property
    def leases(self) -> list[Lease]:
        """All leases ever given, in the order of trials and attempts."""
        return [lease for trial in self.trials for lease in trial.leases]

    @property
    def num_epochs(self) -> int:
        """Epochs of all attempts."""
        return sum(len(lease.epochs) for lease in self.leases)

    def running(self) -> list[Trial]:
        """Trials that somebody holds."""
        return [trial for trial in self.trials if trial.lease is not None]

    def limit(self) -> str | None:
        """The limit that forbids a new trial."""
        seconds, epochs = self.limits["max_seconds"], self.limits["max_total_epochs"]
        if seconds is not None and self.now >= self.created_at + timedelta(seconds=seconds):
            return "max_seconds"
        if epochs is not None and self.num_epochs >= epochs:
            return "max_total_epochs"
        return "max_trials" if len(self.trials) >= self.limits["max_trials"] else None

    def claim(self, worker: str, request: str, num: int, known: list[Lease]) -> list[Lease]:
        """Leases that the claim ought to be answered with."""
        before = [lease for lease in self.leases if (lease.worker, lease.request) == (worker, request)]
        if before:
            for lease in before:
                self._renew(lease)
            return sorted((lease for lease in before if lease.end is None), key=lambda lease: lease.trial.trial_id)
        own = [lease for lease in self.leases if lease.end is None and lease.worker == worker and lease not in known]
        for lease in own:
            self._lose(lease)
        if self.state != "running":
            return []
        first = [lease.trial for lease in own]
        waiting = sorted(
            (trial for trial in self.trials if trial.state == "waiting"),
            key=lambda trial: (trial not in first, not trial.leases, trial.number),
        )
        limit = self.limits["max_parallel"]
        granted: list[Lease] = []
        may_create = self.limit() is None
        while len(granted) < num and (limit is None or len(self.running()) < limit):
            found = waiting.pop(0) if waiting else self._next(may_create=may_create)
            if found is None:
                break
            granted.append(self._grant(found, worker, request))
        return granted

    def add(self, origin: str) -> Trial:
        """A new waiting trial."""
        trial = Trial(number=len(self.trials), origin=origin)
        self.trials.append(trial)
        return trial

    def look(self) -> None:
        """Take in where all trials stand; within one request the service does not see what that request changes."""
        self.standings = [
            Standing(
                trial,
                self._at_rungs(trial.curve),
                trial.state == "paused",
                trial.promoted,
                max(trial.curve, default=0),
            )
            for trial in self.trials
        ]

    def report(self, lease: Lease, epoch: int, value: float, *, is_kept: bool = False) -> str:
        """A decision, or the code of a refusal."""
        trial, stored = lease.trial, lease.epochs.get(epoch)
        if lease.end is not None:
            said = {"stopped": "stop", "paused": "pause"}.get(lease.end)
            return said if said is not None and stored == value else "lease_lost"
        if stored is not None and stored != value:
            return "report_conflict"
        self._renew(lease)
        if stored is not None:
            return "continue"
        lease.epochs[epoch] = value
        trial.checkpoint = epoch if is_kept else trial.checkpoint
        if self.limits["target"] is not None and value <= self.limits["target"]:
            self._end(trial, "complete", "early_stopped", "stopped")
            self.end("complete", "target")
        elif self.limits["max_total_epochs"] is not None and self.num_epochs >= self.limits["max_total_epochs"]:
            self._end(trial, "cancelled", "cancelled", "stopped")
            self.end("complete", "max_total_epochs")
        elif epoch > self.limits["max_epochs"]:
            self._end(trial, "complete", "max_epochs", "stopped")
        elif epoch < self.limits["max_epochs"] and self._is_overdue(lease):
            self._end(trial, "complete", "time_limit", "stopped")
        elif epoch < self.limits["max_epochs"] and self._pauses(trial, epoch):
            lease.end, trial.state = "paused", "paused"
            return "pause"
        else:
            return "continue"
        self.settle()
        return "stop"

    def finish(self, lease: Lease, outcome: str) -> str:
        """The state of the trial, or the code of a refusal."""
        trial = lease.trial
        if lease.end == "finished":
            return trial.state if lease.outcome == outcome else "state_conflict"
        if lease.end is not None:
            return trial.state if lease.end in ("stopped", "paused") else "lease_lost"
        lease.outcome = outcome
        is_full = max(trial.curve, default=0) >= self.limits["max_epochs"]
        if outcome == "complete" and not is_full and self._is_overdue(lease):
            self._end(trial, "complete" if trial.curve else "failed", "time_limit", "finished")
        elif outcome == "complete" and trial.curve:
            self._end(trial, "complete", "max_epochs" if is_full else "early_stopped", "finished")
        elif outcome == "out_of_memory" and not trial.is_alone:
            trial.is_alone = True
            self._requeue(lease, "finished")
        elif outcome == "out_of_memory":
            self._end(trial, "failed", REASONS[outcome], "finished")
        else:
            said = "failed" if outcome == "complete" else outcome
            trial.charged += 1
            if said in RETRIED and trial.charged <= self.retries:
                self._requeue(lease, "finished")
            else:
                self._end(trial, "failed", REASONS[said], "finished")
        self.settle()
        return trial.state

    def release(self, lease: Lease, *, is_checkpoint_missing: bool = False) -> str:
        """The state of the trial, or the code of a refusal."""
        if lease.end is not None:
            return lease.trial.state if lease.end in ("released", "stopped", "paused") else "lease_lost"
        if is_checkpoint_missing:
            lease.trial.checkpoint = 0
        self._requeue(lease, "released")
        return lease.trial.state

    def heartbeat(self, worker: str, leases: list[Lease]) -> list[Lease]:
        """Leases that are lost."""
        held = [lease for lease in leases if lease.end is None and lease.worker == worker]
        for lease in held:
            self._renew(lease)
        return [lease for lease in leases if lease not in held]

    def tick(self) -> None:
        """What time does; after a silence of the service, every lease gets a full term instead."""
        is_outage = self.ticked_at is None or self.now - self.ticked_at > LONGEST_SILENCE
        self.ticked_at = self.now
        for lease in self.leases:
            if is_outage:
                lease.expires_at = max(lease.expires_at, self.now + TTL)
            elif lease.end is None and lease.expires_at <= self.now:
                self._lose(lease)
        if self.state not in ("running", "paused"):
            return
        if self.limit() == "max_seconds":
            self.end("complete", "max_seconds")
            return
        for lease in self.leases:
            if lease.end is None and self._is_overdue(lease):
                self._end(lease.trial, "complete" if lease.trial.curve else "failed", "time_limit", "stopped")
                self.settle()

    def stop_trial(self, trial: Trial) -> None:
        """A person cancels a trial."""
        if trial.state in UNFINISHED:
            self._end(trial, "cancelled", "cancelled", "stopped")
            self.settle()

    def retry_trial(self, trial: Trial) -> str:
        """A person runs a trial again: its state, or the code of a refusal."""
        if trial.state in UNFINISHED or self.has_ended:
            return "state_conflict"
        trial.state, trial.stop_reason, trial.charged, trial.checkpoint = "waiting", None, 0, 0
        return "waiting"

    def end(self, state: str, reason: str) -> None:
        """The study ends; what waits or runs is cancelled, what is paused was pruned."""
        for trial in self.trials:
            if trial.state == "paused":
                self._end(trial, "pruned", "pruned", "paused")
            elif trial.state in UNFINISHED:
                self._end(trial, "cancelled", "time_limit" if reason == "max_seconds" else "cancelled", "cancelled")
        self.state, self.end_reason = state, reason

    def settle(self) -> None:
        """A running study ends once it may create no more trials and has none left."""
        reason = self.limit()
        if self.state == "running" and reason is not None and not any(t.state in UNFINISHED for t in self.trials):
            self.state, self.end_reason = "complete", reason

    def _next(self, *, may_create: bool) -> Trial | None:
        self.look()
        found = self._promoted(is_last_call=False)
        if found is not None:
            return found
        if may_create:
            return self.add("sampler") if self.limit() is None else None
        if any(trial.state in ("running", "waiting") for trial in self.trials):
            return None
        found, reason = self._promoted(is_last_call=True), self.limit()
        if found is None and reason is not None and any(trial.state == "paused" for trial in self.trials):
            self.end("complete", reason)
        return found

    def _promoted(self, *, is_last_call: bool) -> Trial | None:
        for rung in reversed(self._rungs()):
            ranked = self._ranked(rung)
            waiting = [entry for entry in ranked if self._waits_at(entry[1]) == rung]
            was_left = any(max(standing.promoted, standing.last_epoch - 1) >= rung for standing in self.standings)
            is_due = is_last_call and not was_left
            if waiting and (is_due or waiting[0] in ranked[: len(ranked) // ETA]):
                trial = self.trials[waiting[0][1]]
                trial.promoted = rung
                return trial
        return None

    def _pauses(self, trial: Trial, epoch: int) -> bool:
        before = max((other for other in trial.curve if other < epoch), default=0)
        entered = [rung for rung in self._rungs() if before < rung <= epoch]
        if not entered or entered[-1] <= trial.promoted:
            return False
        rung, own = entered[-1], (min(trial.curve.values()), trial.number)
        ranked = sorted([*(entry for entry in self._ranked(rung) if entry[1] != trial.number), own])
        if own not in ranked[: len(ranked) // ETA]:
            return True
        # It goes on if nobody who waits is better off: higher up, or on this rung and before it.
        for other in reversed(self._rungs()):
            if other < rung:
                return False
            others = self._ranked(other)
            better = [entry for entry in others[: len(others) // ETA] if self._waits_at(entry[1]) == other]
            if better and (other > rung or better[0] < own):
                return True
        return False

    def _rungs(self) -> list[int]:
        return [rung for rung in (1, 2, 4) if self.has_rungs and rung < self.limits["max_epochs"]]

    def _at_rungs(self, curve: dict[int, float]) -> dict[int, float]:
        found = {}
        for rung in self._rungs():
            first = min((epoch for epoch in curve if epoch >= rung), default=None)
            if first is not None:
                found[rung] = min(value for epoch, value in curve.items() if epoch <= first)
        return found

    def _ranked(self, rung: int) -> list[tuple[float, int]]:
        return sorted((one.at_rung[rung], one.trial.number) for one in self.standings if rung in one.at_rung)

    def _waits_at(self, number: int) -> int | None:
        standing = self.standings[number]
        return max(standing.at_rung) if standing.is_paused and standing.at_rung else None

    def _grant(self, trial: Trial, worker: str, request: str) -> Lease:
        kept = {epoch: told for epoch, told in trial.told.items() if epoch <= trial.checkpoint}
        lease = Lease(trial, len(trial.leases) + 1, worker, request, self.now, self.now + TTL, kept=kept)
        trial.leases.append(lease)
        trial.state = "running"
        return lease

    def _renew(self, lease: Lease) -> None:
        lease.expires_at = self.now + TTL

    def _lose(self, lease: Lease) -> None:
        trial = lease.trial
        trial.charged += 1
        if trial.charged <= self.retries:
            self._requeue(lease, "expired")
        else:
            self._end(trial, "failed", "lost", "expired")
        self.settle()

    @staticmethod
    def _requeue(lease: Lease, how: str) -> None:
        lease.end, lease.trial.state = how, "waiting"

    @staticmethod
    def _end(trial: Trial, state: str, reason: str, how: str) -> None:
        if trial.lease is not None:
            trial.lease.end = how
        trial.state, trial.stop_reason = state, reason

    def _is_overdue(self, lease: Lease) -> bool:
        seconds = self.limits["max_trial_seconds"]
        return seconds is not None and self.now >= lease.started_at + timedelta(seconds=seconds)
