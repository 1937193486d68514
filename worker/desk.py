"""Write down what becomes of trainings, with their circumstances."""

from __future__ import annotations

import structlog

from caviar.contract.fleet import RunFacts
from caviar.contract.messages import Finish, Measurement, Release, TrainingError
from caviar.contract.states import Outcome
from worker.channel import EpochDone
from worker.outbox import Outbox
from worker.runs import Place, Run
from worker.tray import Tray

_log = structlog.get_logger(__name__)


class Desk:
    """Turns what trainings say into measurements and endings; used by one thread only, whose log names the trial.

    Attributes:
        tray: Where they go.
    """

    def __init__(self, outbox: Outbox) -> None:
        """Write into an outbox."""
        self.tray = Tray(outbox)

    def measured(self, place: Place, run: Run, done: EpochDone) -> None:
        """Report an epoch; the first one of an attempt tells what it is trained with."""
        if done.checkpoint_error is not None and not run.is_warned:
            run.is_warned = True
            _log.warning("checkpoint_not_kept", epoch=done.epoch, detail=done.checkpoint_error)
        run.num_epochs += 1
        if not run.is_gone:
            self.tray.put(
                Measurement(
                    trial_id=run.assignment.trial_id,
                    lease=run.lease,
                    epoch=done.epoch,
                    metrics=done.metrics,
                    elapsed_s=done.elapsed_s,
                    checkpoint=done.checkpoint,
                    is_last=done.is_last,
                    facts=_facts(place, run) if run.num_epochs == 1 else None,
                )
            )

    def finished(self, place: Place, run: Run, outcome: Outcome, error: TrainingError | None) -> None:
        """Report the end of an attempt, with its peaks and the last lines of its log."""
        if run.is_gone:
            return
        if error is not None:
            _log.warning("training_failed", outcome=outcome, kind=error.kind, detail=error.message)
        peaks = {
            "is_alone": run.is_alone,
            "peak_memory_bytes": run.peak_memory_bytes,
            "peak_device_memory_bytes": run.peak_device_memory_bytes,
        }
        facts = _facts(place, run).model_copy(update=peaks)
        tail = place.slot.log_tail(run.log_start) or None
        self.tray.end(Finish(lease=run.lease, outcome=outcome, error=error, facts=facts, log_tail=tail))

    def stopped(self, run: Run, missing_checkpoint: str | None) -> None:
        """Give back a trial whose training has ended because it was asked to, or that could not go on here."""
        if missing_checkpoint is not None:
            epoch = run.assignment.first_epoch - 1
            _log.warning("checkpoint_missing", epoch=epoch, detail=missing_checkpoint)
        self.tray.end(Release(lease=run.lease, is_checkpoint_missing=missing_checkpoint is not None))

    def given_back(self, lease: str, *, is_checkpoint_missing: bool = False) -> None:
        """Give back a trial that has not begun."""
        self.tray.end(Release(lease=lease, is_checkpoint_missing=is_checkpoint_missing))


def _facts(place: Place, run: Run) -> RunFacts:
    return RunFacts(
        slot=place.index,
        device=place.device or "cpu",
        device_name=place.slot.device_name,
        backend=None if place.ready is None else place.ready.backend,
        versions={} if place.ready is None else place.ready.versions,
        code_version=run.code_version,
    )
