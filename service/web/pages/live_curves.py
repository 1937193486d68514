"""What pages that stay open are told of a study's curves beside the measurements: the axes, and the history."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

from caviar.contract.states import TrialState
from caviar.contract.study import Metric
from caviar.contract.views import Curve, StudyView
from service.store.transaction import Transaction
from service.use_cases import access, reading
from service.use_cases.service import Service
from service.web.acting import rights_of
from service.web.live.broadcaster import Shown, View
from service.web.pages import curves
from service.web.pictures.chart import Frame, study_frame
from service.web.pictures.curve_view import CurveView, parse
from service.web.rendering import render

ALL_S = 30.0
"""Seconds between two looks at all curves; in between, those of running trials and of the best one tell enough."""
HISTORY_S = 5.0
"""Seconds after which the history is drawn again although nothing has improved."""
_MAX_SLACK = 1.25


class Frames:
    """The axes of one view of a study's curves, told when they have to change.

    Axes that show all that is to be seen, and not much more, stay as they are: a picture that moves all the time cannot
    be read.
    """

    def __init__(self, query: Mapping[str, str] | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was told yet.

        Args:
            query: Parameters of the address of the page of curves; None for the leaderboard's page.
            clock: Tells seconds.
        """
        self._view = parse(query or {})
        self._clock = clock
        self._due_at = -math.inf
        self._known: dict[int, Curve] = {}
        self._metric: Metric | None = None
        self._told: Frame | None = None

    def newer(self, tx: Transaction, study: StudyView) -> str | None:
        """The axes, rendered; None if those told last will do."""
        self._look(tx, study)
        metric = self._metric or study.metric
        found = study_frame(self._known.values(), metric, max_epochs=study.budget.max_epochs, scale=self._view.scale)
        if self._told is not None and _will_do(self._told, found):
            return None
        self._told = found
        best = study.best.trial_id if study.best else None
        return render("fragments/curve_frame.html", {"frame": found, "metric": metric, "best": best})

    def _look(self, tx: Transaction, study: StudyView) -> None:
        now = self._clock()
        if now >= self._due_at:
            everything = curves.seen(tx, study, self._view)
            self._known = {curve.trial_id: curve for curve in everything.items}
            self._metric = everything.metric
            self._due_at = now + ALL_S
            return
        if self._view.gate is not None or self._view.top is not None:
            return
        some = [curves.seen(tx, study, self._view, top=1)]
        if study.counts.get(TrialState.RUNNING) and TrialState.RUNNING not in self._view.hide:
            some.append(curves.seen(tx, study, self._view, states=(TrialState.RUNNING,)))
        self._known |= {curve.trial_id: curve for found in some for curve in found.items}


def live_view(service: Service, name: str, query: Sequence[tuple[str, str]]) -> View:
    """The page of curves, for those who keep it open.

    Args:
        service: The service.
        name: The study.
        query: The page's query string as pairs.

    Raises:
        NotFound: There is no such study (404).
        InvalidRequest: The query asks for a picture that there is not (422).
    """
    with service.reading() as tx:
        study_id = int(access.study(tx, name).id)
    asked = parse(dict(query))
    frames = Frames(dict(query))
    history = _History(service, asked)

    def shown() -> Shown:
        with service.reading() as tx:
            study = reading.study(tx, name)
            return Shown(study.last_event_seq, {"history": history.newest(tx, study)}, frames.newer(tx, study))

    return View(("curves", study_id, asked, rights_of(service)), study_id, shown, lambda: None)


class _History:
    def __init__(self, service: Service, view: CurveView) -> None:
        self._service = service
        self._view = view
        self._due_at = -math.inf
        self._drawn: object = None
        self._html = ""

    def newest(self, tx: Transaction, study: StudyView) -> str:
        state = (study.best, study.round)
        if state != self._drawn or time.monotonic() >= self._due_at:
            context = curves.history(tx, study, self._view, self._service.clock())
            self._html = render("fragments/history.html", context)
            self._drawn, self._due_at = state, time.monotonic() + HISTORY_S
        return self._html


def _will_do(old: Frame, new: Frame) -> bool:
    holds = old.axis.low <= new.axis.low and old.axis.high >= new.axis.high and old.axis.is_log == new.axis.is_log
    is_tight = old.axis.high - old.axis.low <= _MAX_SLACK * (new.axis.high - new.axis.low)
    return holds and is_tight and (old.left, old.right) == (new.left, new.right)
