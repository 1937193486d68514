"""What a screen shows at one moment, asked for as sparingly as the screen is small."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from caviar.client import Client
from caviar.contract.ranking import Leaderboard
from caviar.contract.states import TrialState
from caviar.contract.views import History, RoundView, StudyView, TrialView, WorkerView

MAX_RUNNING = 16
"""Trials in training that are looked at; more would cost a request each."""

_PACE_S = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """A study at one moment.

    Attributes:
        study: The study.
        board: Its best trials, as many as were asked for.
        running: Those in training, at most `MAX_RUNNING`.
        curves: The metric of each of those, epoch by epoch, by trial id.
        workers: Those that are connected.
        history: How its best value came about.
        round: Its newest round; None without rounds.
        pace: Epochs a second in the last minute; None until that is known.
    """

    study: StudyView
    board: Leaderboard
    running: Sequence[TrialView]
    curves: dict[int, list[float]]
    workers: list[WorkerView]
    history: History
    round: RoundView | None
    pace: float | None


@dataclass
class Looker:
    """Looks at one study again and again, and asks only for what may have changed.

    Attributes:
        client: Of the service.
        name: The study.
        clock: Tells seconds, for the pace.
    """

    client: Client
    name: str
    clock: Callable[[], float] = time.monotonic
    _curves: dict[int, tuple[int, list[float]]] = field(default_factory=dict)
    _round: RoundView | None = None
    _history: tuple[float | None, History] | None = None
    _paces: deque[tuple[float, int]] = field(default_factory=deque)

    def look(self, rows: int) -> Look:
        """The study as it is now.

        Args:
            rows: Trials of the leaderboard that are shown.
        Raises:
            CaviarError: The service says what is wrong, or cannot be reached.
        """
        study = self.client.study(self.name)
        board = self.client.leaderboard(self.name, limit=rows)
        workers = [worker for worker in self.client.workers().items if worker.is_alive]
        running = self._running(study)
        return Look(
            study=study,
            board=board,
            running=running,
            curves={trial.trial_id: self._curve(study, trial) for trial in running},
            workers=workers,
            history=self._best_so_far(study),
            round=self._newest_round(study),
            pace=self._pace(study),
        )

    def _running(self, study: StudyView) -> Sequence[TrialView]:
        if not study.counts.get(TrialState.RUNNING):
            return []
        found = self.client.leaderboard(self.name, limit=MAX_RUNNING, state=TrialState.RUNNING).items
        return sorted(found, key=lambda trial: trial.number)

    def _curve(self, study: StudyView, trial: TrialView) -> list[float]:
        known = self._curves.get(trial.trial_id)
        if known is None or known[0] != trial.num_epochs:
            items = self.client.measurements(trial.trial_id).items if trial.num_epochs else []
            values = [item.metrics[study.metric.name] for item in items if study.metric.name in item.metrics]
            self._curves[trial.trial_id] = known = (trial.num_epochs, values)
        return known[1]

    def _best_so_far(self, study: StudyView) -> History:
        best = None if study.best is None else study.best.value
        if self._history is None or self._history[0] != best:
            self._history = (best, self.client.history(self.name))
        return self._history[1]

    def _newest_round(self, study: StudyView) -> RoundView | None:
        if study.round is not None and (self._round is None or self._round.number != study.round):
            rounds = self.client.rounds(self.name).items
            self._round = rounds[-1] if rounds else None
        return self._round

    def _pace(self, study: StudyView) -> float | None:
        now = self.clock()
        self._paces.append((now, study.num_epochs))
        while len(self._paces) > 2 and now - self._paces[1][0] >= _PACE_S:
            self._paces.popleft()
        then, epochs = self._paces[0]
        return None if now - then < 1.0 else max(0, study.num_epochs - epochs) / (now - then)
