"""The curves of one trial: training against validation, what was lost, where it stood when it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caviar.contract.study import EarlyStopping
from caviar.contract.views import AttemptView, MeasurementView, StudyView, TrialDetail
from service.use_cases.curves import direction, partner
from service.web import formats
from service.web.pictures.axes import last_epoch, value_axis
from service.web.pictures.chart import Chart, Frame, Line, Mark, Note, epoch_frame


@dataclass(frozen=True, slots=True)
class Family:
    """Metrics that belong on one axis: of validation and of training.

    Attributes:
        name: The name without `val_`.
        names: Those of the two that were reported, the study's own or that of validation first.
        is_shown: Whether the picture shows it.
    """

    name: str
    names: list[str]
    is_shown: bool


def families(measured: Sequence[MeasurementView], own: str, wanted: str = "") -> list[Family]:
    """The metrics of a trial as pairs of validation and training, the study's own first.

    Args:
        measured: Epochs of the trial.
        own: Metric of the study.
        wanted: Name of a metric of the pair to be shown; empty or an unknown one for the study's own.
    """
    known = dict.fromkeys(name for item in measured for name in item.metrics)
    found: dict[str, list[str]] = {}
    for name in sorted(known, key=lambda name: (name not in (own, partner(own)), not name.startswith("val_"), name)):
        found.setdefault(name.removeprefix("val_"), []).append(name)
    chosen = (wanted if {wanted, partner(wanted)} & known.keys() else own).removeprefix("val_")
    return [
        Family(family, sorted(names, key=lambda name: (name != own, not name.startswith("val_"))), family == chosen)
        for family, names in found.items()
    ]


@dataclass(frozen=True, slots=True)
class TrialPicture:
    """The curves of one trial; `fragments/trial_curve.html` shows them.

    Attributes:
        chart: The lines.
        families: Pairs of metrics to choose from.
    """

    chart: Chart
    families: list[Family]

    @property
    def wanted(self) -> str:
        """The pair that is shown, where that is not the study's own."""
        return next((family.name for family in self.families[1:] if family.is_shown), "")


def trial_picture(
    study: StudyView, trial: TrialDetail, measured: Sequence[MeasurementView], *, metric: str = ""
) -> TrialPicture:
    """What a trial's page shows of its curves; arguments as of `trial_chart`."""
    found = families(measured, trial.metric.name, metric)
    return TrialPicture(trial_chart(study, trial, measured, metric=metric), found)


def trial_chart(
    study: StudyView, trial: TrialDetail, measured: Sequence[MeasurementView], *, metric: str = ""
) -> Chart:
    """Training against validation of one trial, with its best epoch, its patience and its lost epochs.

    Args:
        study: Its study.
        trial: The trial.
        measured: Its epochs of all attempts (`reading.measurements(tx, trial_id, is_current=False).items`).
        metric: A metric of the pair to be shown, such as `accuracy`; empty or unknown for the study's own.
    """
    names = next((family.names for family in families(measured, trial.metric.name, metric) if family.is_shown), [])
    kept = [item for item in measured if not _is_lost(item, trial.attempts)]
    series = {name: [(item.epoch, item.metrics[name]) for item in kept if name in item.metrics] for name in names}
    series = {name: pairs for name, pairs in series.items() if pairs}
    lost = _lost(measured, trial.attempts, names[:1])
    lead = direction(names[0], trial.metric) if names else trial.metric
    values = [[value for _, value in pairs] for pairs in [*series.values(), *lost.values()]]
    axis = value_axis(values, is_minimized=lead.direction == "minimize")
    reported = max((item.epoch for item in measured), default=0)
    frame = epoch_frame(axis, last_epoch(reported, trial.max_epochs))
    lines = [_lost_line(frame, attempt, names[0], pairs) for attempt, pairs in lost.items()]
    is_best = study.best is not None and study.best.trial_id == trial.trial_id
    # The first name is drawn last, on top.
    for name, pairs in reversed(series.items()):
        lines.append(_metric_line(frame, name, pairs, is_lead=name == lead.name, is_best=is_best))
    chart = Chart(f"{' and '.join(series)} by epoch", lead, frame, lines)
    if lead.name == trial.metric.name and trial.best_epoch is not None and trial.value is not None:
        kind = "best" if is_best else "lead"
        x = frame.x(trial.best_epoch)
        chart.marks.append(Mark(f"metric-{lead.name}", kind, x, axis.share(trial.value)))
        chart.notes.extend(_patience(frame, study.early_stopping, trial))
        chart.notes.append(Note("best", f"best epoch {trial.best_epoch}", x))
    return chart


def _metric_line(frame: Frame, name: str, pairs: Sequence[tuple[int, float]], *, is_lead: bool, is_best: bool) -> Line:
    epochs, values = zip(*pairs, strict=True)
    title = f"{name}, last {formats.number(values[-1])}"
    kind = "own" if is_lead else "beside"
    return Line(f"metric-{name}", kind, frame.write(epochs, values), title, name=name, is_best=is_best and is_lead)


def _lost_line(frame: Frame, attempt: int, name: str, pairs: Sequence[tuple[int, float]]) -> Line:
    epochs, values = zip(*pairs, strict=True)
    title = f"{name} of attempt {attempt}, lost after epoch {epochs[-1]}"
    return Line(f"lost-{attempt}", "lost", frame.write(epochs, values), title, name=f"attempt {attempt}, lost")


def _is_lost(item: MeasurementView, attempts: Sequence[AttemptView]) -> bool:
    return any(later.attempt > item.attempt and later.first_epoch <= item.epoch for later in attempts)


def _lost(
    measured: Sequence[MeasurementView], attempts: Sequence[AttemptView], names: Sequence[str]
) -> dict[int, list[tuple[int, float]]]:
    """By attempt: the epochs that a later attempt trained again, from the last one before them on."""
    found: dict[int, list[tuple[int, float]]] = {}
    for name in names:
        for item in measured:
            if name in item.metrics and _is_lost(item, attempts):
                found.setdefault(item.attempt, []).append((item.epoch, item.metrics[name]))
    return found


def _patience(frame: Frame, stopping: EarlyStopping | None, trial: TrialDetail) -> list[Note]:
    if stopping is None or stopping.monitor not in (None, trial.metric.name) or trial.best_epoch is None:
        return []
    begin = max(trial.best_epoch, stopping.start_from_epoch)
    end = min(begin + stopping.patience, frame.right)
    if end <= begin:
        return []
    word = f"patience {stopping.patience}"
    return [Note("patience", word, frame.x(begin), round(frame.x(end) - frame.x(begin), 3))]
