"""States, outcomes, reasons and decisions: the closed lists of words."""

from enum import StrEnum


class TrialState(StrEnum):
    """Where a trial is in its life: `waiting → running → complete | pruned | failed | cancelled`, and `paused`."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_finished(self) -> bool:
        """Whether the trial will never run again."""
        return self in FINISHED


FINISHED = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.CANCELLED})


class StopReason(StrEnum):
    """Why a trial ended."""

    MAX_EPOCHS = "max_epochs"
    EARLY_STOPPED = "early_stopped"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    ERROR = "error"
    LOST = "lost"
    TIME_LIMIT = "time_limit"
    CANCELLED = "cancelled"
    INFEASIBLE = "infeasible"


class StudyState(StrEnum):
    """Where a study is in its life: `running ⇄ paused`, then `complete` by its budget or `stopped` by a person."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    STOPPED = "stopped"

    @property
    def is_finished(self) -> bool:
        """Whether the study hands out no more trials, for good."""
        return self in (StudyState.COMPLETE, StudyState.STOPPED)


class EndReason(StrEnum):
    """What ended a study: a limit of its budget, a search space without any new configuration, or a person."""

    MAX_TRIALS = "max_trials"
    MAX_TOTAL_EPOCHS = "max_total_epochs"
    MAX_SECONDS = "max_seconds"
    TARGET = "target"
    STAGNATION = "stagnation"
    SPACE_EXHAUSTED = "space_exhausted"
    STOPPED = "stopped"


class Decision(StrEnum):
    """What a worker does with a trial after a report."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


class Outcome(StrEnum):
    """How a training ended, as its worker saw it."""

    COMPLETE = "complete"
    FAILED = "failed"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    INFEASIBLE = "infeasible"
    STALLED = "stalled"


class AttemptEnd(StrEnum):
    """How one attempt of a trial ended: by its worker, by the service, or by the loss of its lease."""

    FINISHED = "finished"
    STOPPED = "stopped"
    PAUSED = "paused"
    RELEASED = "released"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class WorkerMode(StrEnum):
    """What the operator wants of a worker: to work, to take nothing new, or to end once what it trains is done."""

    WORKING = "working"
    PAUSED = "paused"
    DRAINING = "draining"


class SlotState(StrEnum):
    """What a slot does: start its process, wait for a trial, train, or wait after failures in a row."""

    STARTING = "starting"
    IDLE = "idle"
    TRAINING = "training"
    PAUSED = "paused"


class Direction(StrEnum):
    """Whether lower or higher values are better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"
