"""All studies on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice

from rich.text import Text

from caviar.cli import formats
from caviar.cli.console import Line
from caviar.cli.progress import num_finished
from caviar.cli.screen import glyphs
from caviar.cli.screen.columns import Column, lines
from caviar.client import Client
from caviar.contract.states import TrialState
from caviar.contract.views import StudyView

_STATES = {"running": "cyan", "paused": "yellow", "complete": "green", "stopped": "bright_black"}


def look(client: Client, rows: int) -> list[StudyView]:
    """The newest studies, those that have not ended first."""
    found = list(islice(client.studies(), rows))
    return sorted(found, key=lambda study: study.state.is_finished)


def screen(studies: Sequence[StudyView], width: int) -> list[Text]:
    """A line per study, none longer than the width."""
    if not studies:
        return [Line("no study yet: submit one with `caviar submit FILE`", "dim")]
    now = datetime.now(UTC)
    done = [_done(study) for study in studies]
    running = [Line(str(study.counts.get(TrialState.RUNNING, 0) or "")) for study in studies]
    best = [Line(formats.number(study.best.value), "bold") if study.best else Line("–", "dim") for study in studies]
    columns = [
        Column("study", [Line(study.name, "bold") for study in studies], 100, least=12),
        Column("state", [Line(str(study.state), _STATES[str(study.state)]) for study in studies], 95),
        Column("best", best, 90, is_right=True),
        Column("metric", [Line(study.metric.name, "dim") for study in studies], 40),
        Column("trials finished", done, 85),
        Column("running", running, 70, is_right=True),
        Column("epochs", [Line(f"{study.num_epochs:,}") for study in studies], 60, is_right=True),
        Column("slots", [Line(formats.duration(study.slot_s)) for study in studies], 30, is_right=True),
        Column("left", [Line(_left(study)) for study in studies], 65, is_right=True),
        Column("strategy", [Line(study.strategy.kind.replace("_", " "), "dim") for study in studies], 20),
        Column("active", [Line(_ago(study, now), "dim") for study in studies], 50, is_right=True),
    ]
    return lines(columns, width)


def _done(study: StudyView) -> Text:
    finished, of = num_finished(study), study.budget.max_trials
    if of is None:
        return Line(f"{finished:,}")
    return glyphs.bar(finished / of, 12, _STATES[str(study.state)]).append(f" {finished:,}/{of:,}")


def _left(study: StudyView) -> str:
    return "" if study.seconds_left is None else formats.duration(study.seconds_left)


def _ago(study: StudyView, now: datetime) -> str:
    return f"{formats.duration(max((now - study.updated_at).total_seconds(), 0.0))} ago"
