"""Keep the checkpoints that the service wishes for, and go on from the one that it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from caviar.contract.messages import Assignment
from worker.checkpoints import file, snapshot
from worker.checkpoints.errors import CheckpointBroken, CheckpointForeign, Unkeepable
from worker.checkpoints.shelf import Shelf, identity
from worker.checkpoints.snapshot import Snapshot

# Weights may serve any backend, but the same curve takes the same one.
_SAME = ("identity", "epoch", "backend")


@dataclass(frozen=True)
class Keeping:
    """The checkpoints of one trial.

    Attributes:
        shelf: Where they lie.
        assignment: The trial, with the epochs after which to keep one.
    """

    shelf: Shelf
    assignment: Assignment

    def is_due(self, epoch: int) -> bool:
        """Whether the service wishes for a checkpoint of this epoch."""
        return epoch in self.assignment.checkpoint_epochs

    def keep(self, model: Any, callbacks: Sequence[Any], epoch: int) -> str | None:
        """Write a checkpoint; it is complete on disk when this returns.

        Args:
            model: After the last step of the epoch.
            callbacks: After their `on_epoch_end`.
            epoch: Completed epochs, from 1.
        Returns:
            None, or why there is no checkpoint: nothing that should end the training.
        """
        assignment = self.assignment
        trial = assignment.model_dump(mode="json", include={"study", "trial_id", "number", "attempt", "seed", "params"})
        facts = {**self._expected(epoch), "keras": keras.__version__, "trial": trial}
        try:
            content = snapshot.to_content(snapshot.take(model, callbacks), facts)
            file.write(self.shelf.path(assignment.trial_id, epoch), content)
        except (OSError, Unkeepable) as error:
            return f"{type(error).__name__}: {error}"
        return None

    def load(self) -> Snapshot | None:
        """What the trial goes on from; None if it begins at its beginning.

        Raises:
            CheckpointUnusable: There is no checkpoint here, it is broken, or it is another trial's.
        """
        checkpoint = self.assignment.checkpoint
        if checkpoint is None:
            return None
        path = self.shelf.path(self.assignment.trial_id, checkpoint.epoch)
        content = file.read(path)
        for name, expected in self._expected(checkpoint.epoch).items():
            if content.facts.get(name) != expected:
                raise CheckpointForeign(f"{path} has the {name} {content.facts.get(name)}, expected {expected}")
        try:
            return snapshot.from_content(content)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise CheckpointBroken(f"{path} has not the parts of a checkpoint: {error}") from error

    def _expected(self, epoch: int) -> dict[str, Any]:
        values = (identity(self.assignment), epoch, keras.backend.backend())
        return dict(zip(_SAME, values, strict=True))
