"""The course of one training function: its epochs on their way, its checkpoints, and how it comes to an end."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caviar.contract.messages import Assignment, TrainingError
from caviar.contract.states import Outcome
from worker.callbacks import StopRequest
from worker.channel import EpochDone
from worker.checkpoints.errors import Unkeepable
from worker.checkpoints.keeping import Keeping
from worker.checkpoints.shelf import Shelf, identity
from worker.failures import writable
from worker.forms import archive
from worker.forms.patience import Patience


@dataclass(frozen=True)
class Ending:
    """How a trial ends.

    Attributes:
        outcome: None if it was asked to stop.
        error: What went wrong, unless the outcome is `complete` or None.
    """

    outcome: Outcome | None
    error: TrainingError | None = None


class Course:
    """What a `Trial` does behind the user's back.

    Attributes:
        required: Metrics without which an epoch makes no sense.
        next_epoch: The epoch that is to be reported next.
    """

    def __init__(
        self,
        assignment: Assignment,
        *,
        shelf: Shelf,
        stop: StopRequest,
        started: float,
        send: Callable[[EpochDone], None],
    ) -> None:
        """Begin one attempt.

        Args:
            assignment: What to train.
            shelf: Where the checkpoints lie.
            stop: Where another thread asks for the end.
            started: Reading of `time.perf_counter` at the start of the attempt.
            send: Takes every finished epoch; must not wait.
        Raises:
            NotTrainable: The rule of early stopping does not say what a gain is.
        """
        self._keeping = Keeping(shelf, assignment)
        self.next_epoch = assignment.first_epoch
        self._assignment = assignment
        self._shelf = shelf
        self._stop = stop
        self._started = started
        self._send = send
        limit = assignment.max_trial_seconds
        self._deadline = math.inf if limit is None else started + limit
        stopping = assignment.early_stopping
        self._patience = None if stopping is None else Patience(stopping, assignment.metric)
        self.required = {assignment.metric.name, self._patience.monitor if self._patience else assignment.metric.name}
        self._ending: Ending | None = None
        self._saved: tempfile.TemporaryDirectory[str] | None = None
        self._missed: str | None = None

    def expected(self, epoch: int) -> dict[str, Any]:
        """What tells a checkpoint of this trial from all others."""
        return {"identity": identity(self._assignment), "epoch": epoch}

    def go_on(self, facts: Mapping[str, Any]) -> None:
        """Take up the state of early stopping from a checkpoint."""
        former = facts.get("early_stopping")
        if self._patience is not None and former is not None:
            self._patience.best, self._patience.wait = former["best"], former["wait"]

    def is_due(self, epoch: int) -> bool:
        """Whether a checkpoint of an epoch that has just ended is wanted."""
        return self._keeping.is_due(epoch, is_stopped=self._stop.wanted == "epoch")

    def ending(self) -> Ending | None:
        """How the trial ends; None while it goes on."""
        # A request for the end of the epoch is heard in `take`, so that the epoch counts.
        if self._ending is None and self._stop.wanted == "batch":
            self._ending = Ending(None)
        if self._ending is None and time.perf_counter() >= self._deadline:
            self._ending = Ending(Outcome.COMPLETE)
        return self._ending

    @property
    def settled(self) -> Ending | None:
        """How the trial ends, as far as the function was told; None if it was not."""
        return self._ending

    def end(self, ending: Ending) -> None:
        """End the trial in this way."""
        self._ending = ending

    def take(self, epoch: int, values: Mapping[str, float]) -> None:
        """Send a finished epoch, after its checkpoint."""
        is_over = self._patience is not None and self._patience.is_over(epoch, values[self._patience.monitor])
        is_last = is_over or epoch >= self._assignment.max_epochs or time.perf_counter() >= self._deadline
        if is_last:
            self._ending = Ending(Outcome.COMPLETE)
        has_checkpoint = self._saved is not None and self._write(epoch, Path(self._saved.name))
        self._send(
            EpochDone(
                lease=self._assignment.lease,
                epoch=epoch,
                metrics={name: value for name, value in values.items() if math.isfinite(value)},
                elapsed_s=time.perf_counter() - self._started,
                checkpoint=has_checkpoint,
                checkpoint_error=self._missed,
                is_last=is_last,
            )
        )
        self._missed = None
        self.next_epoch = epoch + 1
        # A training that ends here anyway has reached its own end.
        if self._stop.wanted is not None and not is_last:
            self._ending = Ending(None)

    def keep(self, epoch: int, folder: tempfile.TemporaryDirectory[str]) -> None:
        """Write the files of a folder as the checkpoint of this epoch when it is reported, and remove the folder."""
        self.drop()
        self._saved = folder
        self._keeping.note(epoch)

    def miss(self, epoch: int, error: Exception) -> None:
        """There is no checkpoint of this epoch."""
        self._missed = writable(f"{type(error).__name__}: {error}")
        self._keeping.note(epoch)

    def drop(self) -> None:
        """Remove the folder of a checkpoint that was not written."""
        if self._saved is not None:
            self._saved.cleanup()
            self._saved = None

    def _write(self, epoch: int, folder: Path) -> bool:
        # Only now is the state of early stopping after this epoch known.
        watched = self._patience
        facts = {
            **self.expected(epoch),
            "early_stopping": None if watched is None else {"best": watched.best, "wait": watched.wait},
        }
        try:
            self._shelf.unmark(self._assignment.trial_id, epoch)
            archive.pack(folder, self._shelf.path(self._assignment.trial_id, epoch), facts)
        except (OSError, Unkeepable) as error:
            self.miss(epoch, error)
            return False
        finally:
            self.drop()
        return True
