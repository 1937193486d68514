"""The executions of a trial as a story: who trained it on what, how that ended, and where its log is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from caviar.contract.states import AttemptEnd, Outcome
from caviar.contract.views import AttemptView, TrialDetail
from service.web import formats
from service.web.tables import evidence
from service.web.tables.fleet import circumstances

_ENDED = {
    AttemptEnd.STOPPED: "was told to stop",
    AttemptEnd.PAUSED: "paused at a rung, to be compared with others",
    AttemptEnd.RELEASED: "was given back by its worker, which is not charged",
    AttemptEnd.EXPIRED: "was lost: its worker gave no sign of life, and the lease ran out",
    AttemptEnd.CANCELLED: "was cancelled with its study",
}
_OUTCOMES = {
    Outcome.COMPLETE: "trained to its end",
    Outcome.FAILED: "failed",
    Outcome.DIVERGED: "diverged",
    Outcome.OUT_OF_MEMORY: "ran out of memory",
    Outcome.INFEASIBLE: "found the configuration infeasible",
    Outcome.STALLED: "was ended because nothing was heard from the training",
}
_TONES = {None: "running", AttemptEnd.PAUSED: "paused", AttemptEnd.EXPIRED: "failed", AttemptEnd.CANCELLED: "cancelled"}


@dataclass(frozen=True, slots=True)
class Story:
    """One execution.

    Attributes:
        view: As it is stored.
        ended: How it ended.
        tone: The state whose colour it has.
        device: What it ran on; empty while that is not known.
        epochs: The epochs that it trained, in words.
        duration_s: Seconds that it took, or has taken so far.
        promoted: Why it was promoted; empty if it was not.
        facts: Circumstances by name.
        is_newest: Whether there is none after it.
    """

    view: AttemptView
    ended: str
    tone: str
    device: str
    epochs: str
    duration_s: float
    promoted: str
    facts: dict[str, str]
    is_newest: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision in words."""

    epoch: int
    attempt: int
    decision: str
    words: str
    grounds: str
    at: datetime


def stories(trial: TrialDetail, last_epochs: dict[int, int], now: datetime) -> list[Story]:
    """The executions of a trial, the oldest first.

    Args:
        trial: The trial.
        last_epochs: The last epoch that each attempt reported, of those that reported any.
        now: The time.
    """
    newest = max((attempt.attempt for attempt in trial.attempts), default=0)
    return [_story(trial, attempt, last_epochs, now, newest) for attempt in trial.attempts]


def decisions(trial: TrialDetail) -> list[Decided]:
    """The decisions about a trial in words, the oldest first."""
    return [
        Decided(
            epoch=one.epoch,
            attempt=one.attempt,
            decision=one.decision,
            words=evidence.decided(one.decision),
            grounds=evidence.grounds(one.evidence, trial.metric),
            at=one.at,
        )
        for one in trial.decisions
    ]


def last_epochs(measured: Sequence[tuple[int, int]]) -> dict[int, int]:
    """The last epoch of each attempt, of pairs of attempt and epoch."""
    found: dict[int, int] = {}
    for attempt, epoch in measured:
        found[attempt] = max(epoch, found.get(attempt, 0))
    return found


def _story(trial: TrialDetail, attempt: AttemptView, last_epochs: dict[int, int], now: datetime, newest: int) -> Story:
    facts = attempt.facts
    device = "" if facts is None else facts.device_name or facts.device or ""
    return Story(
        view=attempt,
        ended=_ended(attempt),
        tone=_tone(attempt),
        device=device,
        epochs=_epochs(attempt, last_epochs.get(attempt.attempt)),
        duration_s=max(0.0, ((attempt.ended_at or now) - attempt.started_at).total_seconds()),
        promoted="" if attempt.evidence is None else evidence.grounds(attempt.evidence, trial.metric),
        facts={} if facts is None else circumstances(facts),
        is_newest=attempt.attempt == newest,
    )


def _ended(attempt: AttemptView) -> str:
    if attempt.end is None:
        return "is in training"
    if attempt.end is AttemptEnd.FINISHED:
        return "ended" if attempt.outcome is None else _OUTCOMES[attempt.outcome]
    return _ENDED[attempt.end]


def _tone(attempt: AttemptView) -> str:
    if attempt.end in _TONES:
        return _TONES[attempt.end]
    return "complete" if attempt.outcome in (None, Outcome.COMPLETE) else "failed"


def _epochs(attempt: AttemptView, last: int | None) -> str:
    first = attempt.first_epoch
    if last is None or last < first:
        return f"from epoch {formats.count(first)}, none reported"
    return f"epoch {formats.count(first)}" if first == last else f"epochs {formats.count(first)}–{formats.count(last)}"
