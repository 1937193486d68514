"""What the supervisor's loop reacts to."""

from __future__ import annotations

from dataclasses import dataclass

from caviar.contract.messages import Assignment
from caviar.contract.states import WorkerMode
from worker.channel import Message


@dataclass(frozen=True)
class SlotSaid:
    """A training process sent a message.

    Attributes:
        slot: Index of its slot.
        process_id: Which process of that slot.
    """

    slot: int
    process_id: int
    message: Message


@dataclass(frozen=True)
class SlotExited:
    """A training process is gone.

    Attributes:
        slot: Index of its slot.
        process_id: Which process of that slot.
        status: Its exit status; negative for the number of the signal that killed it.
        last_words: The end of what it wrote to its log.
    """

    slot: int
    process_id: int
    status: int
    last_words: str


@dataclass(frozen=True)
class Answered:
    """A claim came back.

    Attributes:
        assigned: The trials to train.
        retry_after_s: Seconds after which to ask again.
        was_idle: Whether nothing was running or undelivered when it was sent.
        mode: What the operator wants; None if the service did not answer.
    """

    assigned: tuple[Assignment, ...]
    retry_after_s: float
    was_idle: bool
    mode: WorkerMode | None = None


@dataclass(frozen=True)
class Fetched:
    """The checkpoint of an assignment is at hand, or cannot be had.

    Attributes:
        assignment: Goes on from the checkpoint.
        problem: Why the checkpoint is not at hand; None if it is.
        is_lost: Whether it cannot be had anywhere: the trial has to begin anew.
    """

    assignment: Assignment
    problem: str | None = None
    is_lost: bool = False


@dataclass(frozen=True)
class LeaseGone:
    """The service has taken a trial away, or decided that it is over.

    Attributes:
        reason: Why, a word of the service.
    """

    lease: str
    reason: str


@dataclass(frozen=True)
class ModeTold:
    """The service says, with a heartbeat, what the operator wants of the worker."""

    mode: WorkerMode


@dataclass(frozen=True)
class Refused:
    """The service will not work with this worker; asking again would not help."""

    detail: str


@dataclass(frozen=True)
class Signalled:
    """The operator asked the worker to end."""

    number: int


Event = SlotSaid | SlotExited | Answered | Fetched | LeaseGone | ModeTold | Refused | Signalled
