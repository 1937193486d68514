"""Studies that write down their events as the service does, without a service."""

from __future__ import annotations

from typing import Any

from caviar.contract.study import StudySpec
from service.search.following import apply_event, moved
from service.search.mirror import Mirror
from service.search.registry import build_sampler
from service.search.replaying import Happening
from tests.service.search.studies import loss


class Chronicle:
    """A study played by workers that take turns, and its events.

    Attributes:
        events: All events so far.
        mirror: The study as of the last event.
    """

    def __init__(self, spec: StudySpec, *, num_workers: int = 3) -> None:
        self.events: list[Happening] = []
        self.mirror = Mirror(spec)
        self._sampler = build_sampler(spec)
        self._num_workers = num_workers
        self._running: list[int] = []
        self._emit("study_created", name=spec.name, spec=spec.model_dump(mode="json"))

    def until(self, num_trials: int) -> Chronicle:
        """Play until so many trials were created."""
        while len(self.mirror.trials) < num_trials:
            while len(self._running) < self._num_workers:
                self._running.append(self._propose())
            for number in list(self._running):
                self._train(number)
        return self

    def edit(self, spec: StudySpec) -> None:
        """Give the study a new body."""
        self._keep("study_edited", state="running", spec=spec.model_dump(mode="json"))
        self.mirror, self._sampler = moved(self.mirror, spec), build_sampler(spec)

    def enqueue(self, params: dict[str, Any]) -> None:
        """A hand-made trial, which ends at once."""
        number = len(self.mirror.trials)
        self._emit("trial_created", trial_id=number + 1, number=number, params=params, origin="enqueued", round=None)
        self._end(number, "cancelled", "cancelled")

    def bring(self, params: dict[str, Any], values: dict[int, float]) -> None:
        """A trial with its results from elsewhere."""
        number = len(self.mirror.trials)
        told = {str(epoch): value for epoch, value in values.items()}
        facts = {"trial_id": number + 1, "number": number, "params": params, "values": told}
        self._emit("trial_imported", **facts, state="complete", stop_reason="max_epochs")

    def _propose(self) -> int:
        number, as_of = len(self.mirror.trials), len(self.events)
        proposal = self._sampler.propose(self.mirror, number)
        # What is committed while the sampler computes is in the feed before the trial, but was not known to it.
        for other in self._running[:1]:
            self._measure(other)
        if proposal.opened is not None:
            self._emit("round_opened", **proposal.opened.model_dump(mode="json"))
        facts = {"trial_id": number + 1, "number": number, "params": proposal.params, "round": proposal.round}
        self._emit("trial_created", **facts, origin="sampler", as_of=as_of)
        self._emit("trial_started", trial_id=number + 1, number=number, first_epoch=1, promoted_epoch=0)
        return number

    def _train(self, number: int) -> None:
        epoch = self._measure(number)
        if number % 5 == 3 and epoch == 2:
            self._emit("trial_requeued", number=number)
            self._emit("trial_started", number=number, first_epoch=2, promoted_epoch=0)
        elif number % 3 == 1 and epoch >= 2:
            self._emit("trial_paused", number=number, epoch=epoch)
            self._running.remove(number)
        elif epoch >= 4:
            self._end(number, "complete", "max_epochs")
            self._running.remove(number)

    def _measure(self, number: int) -> int:
        trial = self.mirror.trials[number]
        epoch = max(trial.values, default=0) + 1
        self._emit("measured", number=number, epoch=epoch, value=loss(trial.params, epoch))
        return epoch

    def _end(self, number: int, state: str, reason: str) -> None:
        self._emit("trial_ended", number=number, state=state, stop_reason=reason)

    def _emit(self, kind: str, **data: Any) -> None:
        self._keep(kind, **data)
        apply_event(self.mirror, kind, data)

    def _keep(self, kind: str, **data: Any) -> None:
        self.events.append((len(self.events) + 1, kind, data))
