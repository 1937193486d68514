"""Train an objective that is a function: in any framework, or in none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from caviar.contract.messages import Assignment
from caviar.contract.states import Outcome
from worker.callbacks import StopRequest
from worker.channel import EpochDone
from worker.checkpoints.shelf import Shelf
from worker.failures import NotTrainable
from worker.forms import archive
from worker.forms.course import Course
from worker.forms.result import Result
from worker.forms.trial import Trial
from worker.objectives.errors import TrialOver
from worker.objectives.function import FunctionObjective


@dataclass(frozen=True)
class FunctionForm:
    """Trains assignments of training functions.

    Attributes:
        data_dir: Folder of the data files that studies may name.
        shelf: Where the checkpoints lie from which trials go on.
        send: Takes every finished epoch; must not wait.
    """

    data_dir: Path
    shelf: Shelf
    send: Callable[[EpochDone], None]

    def train(self, objective: FunctionObjective, assignment: Assignment, stop: StopRequest, started: float) -> Result:
        """Call the function, and tell how the trial has ended.

        Args:
            objective: The function.
            assignment: What to train.
            stop: Where another thread asks for the end.
            started: Reading of `time.perf_counter` at the start of the attempt.
        Raises:
            Exception: Whatever the function raises.
            NotTrainable: It returned without a report.
            CheckpointUnusable: It cannot go on from its checkpoint.
        """
        course = Course(assignment, shelf=self.shelf, stop=stop, started=started, send=self.send)
        with tempfile.TemporaryDirectory(prefix="caviar-", ignore_cleanup_errors=True) as folder:
            checkpoint = self._checkpoint(assignment, course, Path(folder))
            if stop.wanted is not None:
                return Result(None)
            try:
                objective.function(Trial(assignment, course, data_dir=self.data_dir, checkpoint=checkpoint))
            except TrialOver:
                # It went on after its end, of which its last report has told.
                pass
            finally:
                course.drop()
        return _result(objective, assignment, course)

    def _checkpoint(self, assignment: Assignment, course: Course, folder: Path) -> Path | None:
        if assignment.checkpoint is None:
            return None
        epoch = assignment.checkpoint.epoch
        course.go_on(archive.unpack(self.shelf.path(assignment.trial_id, epoch), folder, course.expected(epoch)))
        return folder


def _result(objective: FunctionObjective, assignment: Assignment, course: Course) -> Result:
    ending = course.settled
    if ending is not None:
        return Result(ending.outcome, ending.error)
    if course.next_epoch == assignment.first_epoch:
        raise NotTrainable(
            f"the function {objective.name} returned without a report, expected trial.report(epoch, metrics) after "
            "every epoch"
        )
    return Result(Outcome.COMPLETE)
