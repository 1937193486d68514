"""The learning curves of a study and the history of its best value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from caviar.contract.states import TrialState
from caviar.contract.views import Curves, StudyView
from service.store.transaction import Transaction
from service.use_cases import curves, reading
from service.use_cases.curves import Wanted
from service.use_cases.service import Service
from service.web import formats
from service.web.acting import service_of
from service.web.pages.parameters import Context, StudyName
from service.web.pictures.chart import Chart, study_chart
from service.web.pictures.curve_view import HIDEABLE, CurveView, parse
from service.web.pictures.history import history_chart
from service.web.rendering import page

LINES = 400
"""Lines on the page of curves."""
LINES_BESIDE = 200
"""Lines above the leaderboard."""
_POINTS_BESIDE = 24
_TOPS = (10, 20, 100)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Group:
    """Trials in one state, as an entry of the legend.

    Attributes:
        state: The state.
        count: Trials of the study that are in it.
        is_hidden: Whether they are left out.
        href: Leads to the picture with or without them.
    """

    state: TrialState
    count: int
    is_hidden: bool
    href: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What the section of curves shows.

    Attributes:
        chart: The lines.
        found: The curves that they are drawn from.
        view: What the reader chose.
        groups: The legend.
        names: Metrics to choose from; empty above the leaderboard, where there is no choice.
        partner: The metric of training for one of validation, and the reverse; empty if it is not reported.
        base: Address of the study's page of curves.
        own: Metric of the study.
    """

    chart: Chart
    found: Curves
    view: CurveView
    groups: list[Group]
    names: list[str]
    partner: str
    base: str
    own: str

    @property
    def is_full(self) -> bool:
        """Whether there is a choice of views."""
        return bool(self.names)

    @property
    def grows(self) -> str:
        """Which lines grow with what is measured: all (`more`), those that are there (`these`), or none."""
        view = self.view
        if self.found.metric.name != self.own:
            return ""
        is_open = view.at is None and view.top is None and TrialState.RUNNING not in view.hide
        return "more" if is_open else "these"

    @property
    def kept(self) -> list[tuple[str, str]]:
        """Parameters of the address that the form of numbers leaves as they are."""
        return parse_qsl(self.view.query(at=None, low=None, high=None, bold=None).removeprefix("?"))

    @property
    def api_query(self) -> str:
        """The query string of the same curves as JSON."""
        states = [] if not self.view.hide else [state.value for state in HIDEABLE if state not in self.view.hide]
        pairs = [("sample", str(LINES)), ("metric", self.view.metric), *(("state", state) for state in states)]
        bounds = [("top", self.view.top), ("at", self.view.at), ("from", self.view.low), ("to", self.view.high)]
        return urlencode([(name, value) for name, value in [*pairs, *bounds] if value not in ("", None)])

    @property
    def words(self) -> str:
        """Which trials the lines are, and which of them cannot be seen whole."""
        chart, found = self.chart, self.found
        num_lines = len(found.items)
        said = []
        if found.num_trials is not None and num_lines < found.num_trials:
            total = formats.count(found.num_trials)
            said.append(f"{formats.count(num_lines)} of {total} trials have a line here: {_reason(found)}.")
        if chart.num_beyond:
            said.append(f"{_lines(chart.num_beyond, 'lies', 'lie')} beyond the axis altogether.")
        if chart.num_partly:
            said.append(f"{_lines(chart.num_partly, 'leaves', 'leave')} the axis for a part of the way.")
        return " ".join(said)

    @property
    def tops(self) -> Sequence[int]:
        """Numbers of best trials to choose from."""
        return sorted({*_TOPS, *([self.view.top] if self.view.top else [])})


@router.get("/studies/{name}/curves")
def show_curves_page(request: Request, name: StudyName) -> Response:
    """All learning curves of a study, and the history of its best value."""
    service: Service = service_of(request)
    view = parse(request.query_params)
    with service.reading() as tx:
        study = reading.study(tx, name)
        context = _section(tx, study, view) | history(tx, study, view, service.clock())
    return page("curves.html", **context, now=service.clock())


@router.get("/studies/{name}/fragments/curves")
def show_curves(request: Request, name: StudyName) -> Response:
    """The learning curves above the leaderboard; those of their own page with `full` in the query."""
    service: Service = service_of(request)
    view = parse(request.query_params)
    with service.reading() as tx:
        study = reading.study(tx, name)
        context = _section(tx, study, view) if "full" in request.query_params else beside(tx, study)
    return page("fragments/curves.html", **context)


@router.get("/studies/{name}/fragments/history")
def show_history(request: Request, name: StudyName) -> Response:
    """The history of the best value."""
    service: Service = service_of(request)
    view = parse(request.query_params)
    with service.reading() as tx:
        context = history(tx, reading.study(tx, name), view, service.clock())
    return page("fragments/history.html", **context)


def beside(tx: Transaction, study: StudyView) -> Context:
    """What the leaderboard's page shows of the curves: fewer lines, and no choice of views."""
    view = CurveView()
    wanted = Wanted(sample=LINES_BESIDE, points=_POINTS_BESIDE)
    found = curves.sampled(tx, study.name, wanted)
    chart = study_chart(found.items, found.metric, max_epochs=study.budget.max_epochs, best=_best(study))
    return {
        "study": study,
        "picture": Picture(chart, found, view, _groups(study, view), [], "", _base(study), study.metric.name),
    }


def seen(tx: Transaction, study: StudyView, view: CurveView, **changes: Any) -> Curves:
    """Few and short curves of a view, with which its axes can be found.

    Args:
        tx: Reads them.
        study: The study.
        view: What the reader chose.
        changes: Other fields of what is wanted, such as `states`.
    """
    return curves.sampled(
        tx, study.name, replace(_wanted(study, view), sample=LINES_BESIDE, points=_POINTS_BESIDE, **changes)
    )


def _section(tx: Transaction, study: StudyView, view: CurveView) -> Context:
    own = study.metric.name
    names = curves.metric_names(tx, study.name)
    chosen = None if view.bold is None else curves.trial_id_of(tx, study.name, view.bold)
    best = _best(study)
    lead = chosen if chosen is not None else best
    wanted = _wanted(study, view)
    found = curves.sampled(tx, study.name, replace(wanted, also=() if chosen is None else (chosen,)))
    second: Curves | None = None
    if view.also and lead is not None:
        alone = Wanted(sample=curves.MIN_SAMPLE, top=1, metric=view.also, also=(lead,), points=curves.MAX_POINTS)
        second = curves.sampled(tx, study.name, alone)
    chart = study_chart(
        found.items,
        found.metric,
        max_epochs=study.budget.max_epochs,
        best=best,
        scale=view.scale,
        chosen=chosen,
        beside=[curve for curve in second.items if curve.trial_id == lead] if second else [],
        beside_metric=view.also,
    )
    other = curves.partner(view.metric or own)
    partner = other if other in names else ""
    picture = Picture(chart, found, view, _groups(study, view), names, partner, _base(study), own)
    return {"study": study, "picture": picture}


def _wanted(study: StudyView, view: CurveView) -> Wanted:
    states = tuple(state for state in HIDEABLE if state not in view.hide) if view.hide else ()
    metric = view.metric or study.metric.name
    return Wanted(sample=LINES, metric=metric, states=states, top=view.top, gate=view.gate)


def history(tx: Transaction, study: StudyView, view: CurveView, now: datetime) -> Context:
    """What the section of the history shows."""
    improvements = reading.history(tx, study.name)
    rounds = reading.rounds(tx, study.name).items
    active = Wanted(sample=100, points=curves.MAX_POINTS, states=(TrialState.RUNNING,))
    running = curves.sampled(tx, study.name, active).items if study.counts.get(TrialState.RUNNING) else []
    chart = history_chart(improvements, rounds, study, running, is_by_time=view.x == "time", now=now)
    return {"study": study, "history": chart, "view": view, "num_rounds": len(rounds), "address": _base(study)}


def _groups(study: StudyView, view: CurveView) -> list[Group]:
    base = _base(study)
    return [
        Group(state, count, state in view.hide, f"{base}{view.toggled(state)}")
        for state in HIDEABLE
        if (count := study.counts.get(state, 0))
    ]


def _lines(number: int, one: str, several: str) -> str:
    return f"1 line {one}" if number == 1 else f"{number} lines {several}"


def _reason(found: Curves) -> str:
    if found.how == "all trials":
        return "the others have reported no epoch"
    return found.how or ""


def _best(study: StudyView) -> int | None:
    return study.best.trial_id if study.best else None


def _base(study: StudyView) -> str:
    # Names of studies are slugs, which need no quoting.
    return f"/studies/{study.name}/curves"
