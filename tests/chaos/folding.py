"""The story of a study as its events tell it, told again from the first: each must follow from those before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from caviar.contract.states import FINISHED, StudyState, TrialState
from tests.chaos.books import Row

Problem = tuple[str, str]
"""What kind of breach it is, and what is wrong."""


@dataclass
class FoldedTrial:
    """A trial as of some event.

    Attributes:
        curve: Value and attempt by epoch, as the curve stands.
        measured: All attempts and epochs that were ever measured.
        num_charged: Attempts that counted against the retries since a person last renewed them.
    """

    trial_id: int
    number: int
    state: str = TrialState.WAITING
    attempt: int = 0
    stop_reason: str | None = None
    curve: dict[int, tuple[float, int]] = field(default_factory=dict)
    measured: set[tuple[int, int]] = field(default_factory=set)
    num_charged: int = 0


class Fold:
    """Takes the events of a study one by one.

    Attributes:
        trials: By number.
        specs: All bodies that the study has had, the newest last.
        state: Of the study.
        problems: Events that do not follow from those before.
        best: The best value ever measured.
    """

    def __init__(self) -> None:
        self.trials: dict[int, FoldedTrial] = {}
        self.specs: list[dict[str, Any]] = []
        self.state = ""
        self.problems: list[Problem] = []
        self.best: float | None = None

    def apply(self, event: Row) -> None:
        """Take in the next event."""
        kind, data = event["kind"], event["data"]
        handle = getattr(self, f"_{kind}", None)
        if handle is None:
            return
        is_known = data.get("number") in self.trials if "number" in data else bool(self.specs)
        if not is_known and kind not in ("study_created", "trial_created"):
            self.problems.append(("feed", f"event {event['seq']} ({kind}) tells of what was never created: {data}"))
            return
        for what, detail in handle(data) or ():
            self.problems.append((what, f"event {event['seq']} ({kind}): {detail}: {data}"))

    @property
    def _budget(self) -> dict[str, Any]:
        return dict(self.specs[-1]["budget"])

    @property
    def is_minimized(self) -> bool:
        """Whether lower values are better."""
        return bool(self.specs[0]["metric"]["direction"] == "minimize")

    def most(self, limit: str) -> int | None:
        """The largest that a limit of the budget ever was; None if there was none at a time."""
        limits = [spec["budget"][limit] for spec in self.specs]
        return None if None in limits else max(limits)

    def best_of(self, trial: FoldedTrial) -> tuple[float | None, int | None]:
        """Best value and its first epoch of a trial's curve."""
        sign = 1 if self.is_minimized else -1
        found = sorted((sign * value, epoch) for epoch, (value, _) in trial.curve.items())
        return (sign * found[0][0], found[0][1]) if found else (None, None)

    def _study_created(self, data: Row) -> None:
        self.specs.append(data["spec"])
        self.state = data["state"]

    def _study_edited(self, data: Row) -> None:
        self.specs.append(data["spec"])

    def _study_changed(self, data: Row) -> None:
        self.state = data["state"]

    def _trial_created(self, data: Row) -> Iterator[Problem]:
        if data["number"] != len(self.trials):
            yield "feed", f"expected number {len(self.trials)}"
        self.trials[data["number"]] = FoldedTrial(data["trial_id"], data["number"])

    def _trial_started(self, data: Row) -> Iterator[Problem]:
        trial = self.trials[data["number"]]
        if trial.state not in (TrialState.WAITING, TrialState.PAUSED):
            yield "held_twice", f"it was {trial.state} in attempt {trial.attempt}"
        if data["attempt"] != trial.attempt + 1:
            yield "held_twice", f"expected attempt {trial.attempt + 1}"
        if self.state != StudyState.RUNNING:
            yield "budgets", f"the study is {self.state}"
        trial.state, trial.attempt, trial.stop_reason = TrialState.RUNNING, data["attempt"], None
        trial.curve = {epoch: point for epoch, point in trial.curve.items() if epoch < data["first_epoch"]}
        num_running = sum(one.state == TrialState.RUNNING for one in self.trials.values())
        limit = self._budget["max_parallel"]
        if limit is not None and num_running > limit:
            yield "budgets", f"{num_running} trials run, at most {limit} may"

    def _measured(self, data: Row) -> Iterator[Problem]:
        trial = self.trials[data["number"]]
        if trial.state != TrialState.RUNNING or trial.attempt != data["attempt"]:
            yield "held_twice", f"the trial was {trial.state} in attempt {trial.attempt}"
        key = (data["attempt"], data["epoch"])
        if key in trial.measured:
            yield "doubled", "this epoch of this attempt was measured before"
        trial.measured.add(key)
        trial.curve[data["epoch"]] = (data["value"], data["attempt"])
        values = [data["value"]] if self.best is None else [data["value"], self.best]
        self.best = min(values) if self.is_minimized else max(values)

    def _trial_paused(self, data: Row) -> Iterator[Problem]:
        yield from self._leave(data, TrialState.PAUSED)

    def _trial_requeued(self, data: Row) -> Iterator[Problem]:
        trial = self.trials[data["number"]]
        if data["reason"] == "by_hand":
            if trial.state not in FINISHED:
                yield "feed", f"it was {trial.state}, not ended"
            trial.state, trial.stop_reason, trial.num_charged = TrialState.WAITING, None, 0
            return
        yield from self._leave(data, TrialState.WAITING)
        trial.num_charged += int(data["is_charged"])
        if trial.num_charged > self.specs[-1]["retries"]:
            yield "budgets", f"{trial.num_charged} attempts are charged, {self.specs[-1]['retries']} retries allowed"

    def _leave(self, data: Row, state: str) -> Iterator[Problem]:
        trial = self.trials[data["number"]]
        if trial.state != TrialState.RUNNING or trial.attempt != data["attempt"]:
            yield "held_twice", f"it was {trial.state} in attempt {trial.attempt}"
        trial.state = state

    def _trial_ended(self, data: Row) -> Iterator[Problem]:
        trial = self.trials[data["number"]]
        if trial.state in FINISHED:
            yield "feed", f"it had ended as {trial.state}"
        trial.state, trial.stop_reason = data["state"], data["stop_reason"]
        if (data["value"], data["best_epoch"]) != self.best_of(trial):
            yield "feed", f"its curve says {self.best_of(trial)}"
