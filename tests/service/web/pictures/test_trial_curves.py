"""The curves of one trial."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from caviar.contract.study import Metric
from caviar.contract.views import AttemptView, BestTrial, MeasurementView, TrialDetail
from service.web.pictures.chart import Chart
from service.web.pictures.trial_curves import families, trial_chart, trial_picture
from tests.service.web.pictures.test_history import study

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def measured(epoch: int, value: float, attempt: int = 1, **metrics: float) -> MeasurementView:
    told = {"val_loss": value, "loss": value / 2} | metrics
    return MeasurementView(attempt=attempt, epoch=epoch, metrics=told, elapsed_s=1.0, reported_at=AT)


def trial(*first_epochs: int, **changes: Any) -> TrialDetail:
    attempts = [
        AttemptView(attempt=number, worker_id="w", worker="w", first_epoch=first, started_at=AT)
        for number, first in enumerate(first_epochs or (1,), start=1)
    ]
    told: dict[str, Any] = {
        "trial_id": 7,
        "study": "s",
        "number": 3,
        "state": "running",
        "origin": "sampler",
        "params": {},
        "value": 0.5,
        "best_epoch": 2,
        "num_epochs": 3,
        "max_epochs": 10,
        "attempt": len(attempts),
        "seed": 1,
        "created_at": AT,
        "metric": Metric(),
        "attempts": attempts,
    }
    return TrialDetail(**told | changes)


def drawn(*items: MeasurementView, of: TrialDetail | None = None, is_best: bool = False, metric: str = "") -> Chart:
    best = BestTrial(trial_id=7, number=3, value=0.5, epoch=2, params={}) if is_best else None
    view = study().model_copy(update={"best": best})
    return trial_chart(view, of or trial(), items, metric=metric)


THREE = (measured(1, 0.9), measured(2, 0.5), measured(3, 0.6))


def test_training_lies_beside_validation() -> None:
    chart = drawn(*THREE)
    assert [(line.name, line.state, line.is_best) for line in chart.lines] == [
        ("loss", "beside", False),
        ("val_loss", "own", False),
    ]
    assert chart.label == "val_loss and loss by epoch"
    assert drawn(*THREE, is_best=True).lines[-1].is_best


def test_the_best_epoch_and_the_patience_after_it() -> None:
    chart = drawn(*THREE)
    patience, best = chart.notes
    assert (patience.text, best.text) == ("patience 5", "best epoch 2")
    assert patience.x == best.x == chart.frame.x(2)
    assert patience.width == pytest.approx(chart.frame.x(7) - chart.frame.x(2), abs=0.01)
    assert [(mark.kind, mark.x) for mark in chart.marks] == [("lead", chart.frame.x(2))]
    assert drawn(*THREE, is_best=True).marks[0].kind == "best"


def test_patience_that_watches_another_metric_is_not_shown() -> None:
    view = study()
    assert view.early_stopping is not None
    other = view.early_stopping.model_copy(update={"monitor": "loss"})
    for stopping in (None, other):
        changed = view.model_copy(update={"early_stopping": stopping})
        assert [note.kind for note in trial_chart(changed, trial(), THREE).notes] == ["best"]


def test_what_an_earlier_attempt_lost_is_faint() -> None:
    lost = (measured(2, 0.7), measured(3, 0.8), measured(1, 0.9))
    chart = drawn(*sorted(lost, key=lambda one: one.epoch), measured(2, 0.5, attempt=2), of=trial(1, 2))
    assert [line.name for line in chart.lines] == ["attempt 1, lost", "loss", "val_loss"]
    assert chart.lines[0].points.split()[0].startswith("2,")
    assert [point.split(",")[0] for point in chart.lines[-1].points.split()] == ["1", "2"]


def test_other_metrics_come_in_pairs() -> None:
    items = [measured(1, 0.5, accuracy=0.8, val_accuracy=0.7, lr=0.1)]
    found = families(items, "val_loss")
    assert [(family.name, family.names, family.is_shown) for family in found] == [
        ("loss", ["val_loss", "loss"], True),
        ("accuracy", ["val_accuracy", "accuracy"], False),
        ("lr", ["lr"], False),
    ]
    picture = trial_picture(study(), trial(), items, metric="accuracy")
    assert picture.wanted == "accuracy"
    assert picture.chart.metric == Metric(name="val_accuracy", direction="maximize")
    assert picture.chart.notes == []
    assert trial_picture(study(), trial(), items, metric="unheard").wanted == ""


def test_without_epochs_there_are_no_lines() -> None:
    assert drawn(of=trial(value=None, best_epoch=None, num_epochs=0)).lines == []
