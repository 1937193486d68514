"""Keep the checkpoints that the service wishes for, and go on from the one that it names."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from caviar.contract.messages import Assignment
from worker.checkpoints import file, snapshot
from worker.checkpoints.errors import CheckpointBroken, CheckpointForeign, Unkeepable
from worker.checkpoints.shelf import Shelf, identity
from worker.checkpoints.snapshot import Snapshot

# Weights may serve any backend, but the same curve takes the same one.
_SAME = ("identity", "epoch", "backend")


class Keeping:
    """The checkpoints of one trial, for the time of one attempt."""

    def __init__(self, shelf: Shelf, assignment: Assignment, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with the attempt.

        Args:
            shelf: Where they lie.
            assignment: The trial, with the rules by which to keep one.
            clock: Seconds of a monotonic clock.
        """
        self._shelf = shelf
        self._assignment = assignment
        self._clock = clock
        self._last_epoch = assignment.first_epoch - 1
        self._last_s = clock()

    def is_due(self, epoch: int, *, is_stopped: bool = False) -> bool:
        """Whether the service wishes for a checkpoint of this epoch, which has ended now.

        Args:
            epoch: Completed epochs, from 1.
            is_stopped: Whether the training ends here because it was asked to: another one is to go on from here.
        """
        wishes = self._assignment
        every_epochs, every_s = wishes.checkpoint_every_epochs, wishes.checkpoint_every_s
        return (
            epoch in wishes.checkpoint_epochs
            or (every_epochs is not None and epoch >= self._last_epoch + every_epochs)
            or (every_s is not None and self._clock() >= self._last_s + every_s)
            or (is_stopped and (every_epochs is not None or every_s is not None))
        )

    def note(self, epoch: int) -> None:
        """A checkpoint of this epoch was written, or tried to be, by someone else."""
        self._last_epoch, self._last_s = epoch, self._clock()

    def keep(self, model: Any, callbacks: Sequence[Any], epoch: int) -> str | None:
        """Write a checkpoint; it is complete on disk when this returns.

        Args:
            model: After the last step of the epoch.
            callbacks: After their `on_epoch_end`.
            epoch: Completed epochs, from 1.
        Returns:
            None, or why there is no checkpoint: nothing that should end the training.
        """
        assignment = self._assignment
        # One that fails counts too: a full disk is not asked again after every epoch.
        self._last_epoch = epoch
        trial = assignment.model_dump(mode="json", include={"study", "trial_id", "number", "attempt", "seed", "params"})
        facts = {**self._expected(epoch), "keras": keras.__version__, "trial": trial}
        try:
            content = snapshot.to_content(snapshot.take(model, callbacks), facts)
            self._shelf.unmark(assignment.trial_id, epoch)
            file.write(self._shelf.path(assignment.trial_id, epoch), content)
        except (OSError, Unkeepable) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self._last_s = self._clock()
        return None

    def load(self) -> Snapshot | None:
        """What the trial goes on from; None if it begins at its beginning.

        Raises:
            CheckpointUnusable: There is no checkpoint here, it is broken, or it is another trial's.
        """
        checkpoint = self._assignment.checkpoint
        if checkpoint is None:
            return None
        path = self._shelf.path(self._assignment.trial_id, checkpoint.epoch)
        content = file.read(path)
        for name, expected in self._expected(checkpoint.epoch).items():
            if content.facts.get(name) != expected:
                raise CheckpointForeign(f"{path} has the {name} {content.facts.get(name)}, expected {expected}")
        try:
            return snapshot.from_content(content)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise CheckpointBroken(f"{path} has not the parts of a checkpoint: {error}") from error

    def _expected(self, epoch: int) -> dict[str, Any]:
        values = (identity(self._assignment), epoch, keras.backend.backend())
        return dict(zip(_SAME, values, strict=True))
