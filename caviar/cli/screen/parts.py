"""The parts of a study's screen, each as lines of a width and a greatest number of lines."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from caviar.cli import formats
from caviar.cli.console import Line
from caviar.cli.progress import num_finished
from caviar.cli.screen import glyphs
from caviar.cli.screen.columns import Column, lines
from caviar.cli.screen.looking import Look
from caviar.contract.space import CategoricalParameter, Space
from caviar.contract.states import SlotState, TrialState
from caviar.contract.views import StudyView, TrialView, WorkerView

_BEST = "bold green"
_GIB = 2**30
_BAR_WIDTH = 6


def head(look: Look, width: int) -> list[Text]:
    """Where the study stands: what it is, its trials, its pace, its best value."""
    study = look.study
    return [_cut(line, width) for line in (_named(study), _trials(study, width), _spent(look), _best(look, width))]


def _named(study: StudyView) -> Text:
    round_words = "" if study.round is None else f", round {study.round}"
    text = Line.assemble((study.name, "bold"), f" is {study.state}")
    if study.end_reason is not None:
        text.append(f" ({str(study.end_reason).replace('_', ' ')})")
    text.append(f"   {study.strategy.kind.replace('_', ' ')}{round_words}, {study.pruner.kind}", "dim")
    if study.num_able_workers == 0 and not study.state.is_finished:
        text.append("   no connected worker can take its trials now", "yellow")
    return text


def _trials(study: StudyView, width: int) -> Text:
    of = "" if study.budget.max_trials is None else f"/{study.budget.max_trials}"
    total = 0 if study.budget.max_trials is None else study.budget.max_trials + study.num_imported
    told = Line(f"{num_finished(study)}{of} trials finished  ")
    legend = glyphs.legend(study.counts)
    room = width - told.cell_len - legend.cell_len - 2
    if room < 8:
        # The numbers say more than the bar.
        return told.append_text(legend)
    return told.append_text(glyphs.stacked(study.counts, total, min(room, 60))).append("  ").append_text(legend)


def _spent(look: Look) -> Text:
    study = look.study
    ended_at = study.ended_at or study.updated_at
    facts = [f"{study.num_epochs:,} epochs", formats.duration((ended_at - study.created_at).total_seconds())]
    if look.pace is not None and not study.state.is_finished:
        facts.insert(1, f"{look.pace:.3g} a second")
    facts.append(f"{formats.duration(study.slot_s)} of slots")
    if study.seconds_left is not None:
        facts.append(f"about {formats.duration(study.seconds_left)} left")
    return Line(", ".join(facts))


def _best(look: Look, width: int) -> Text:
    study = look.study
    if study.best is None:
        return Line("no trial has finished an epoch yet", "dim")
    text = Line.assemble(f"best {study.metric.name} ", (formats.number(study.best.value), _BEST))
    text.append(f" by trial {study.best.number} at epoch {study.best.epoch}  ")
    room = min(48, width - text.cell_len)
    values = _over_epochs(look, 2 * max(room, 0))
    return text.append(glyphs.braille(values, room), "green")


def _over_epochs(look: Look, num_points: int) -> list[float]:
    """The best value at evenly spaced epochs of the study."""
    items, whole = look.history.items, max(look.study.num_epochs, 1)
    if not items or num_points < 2:
        return []
    values, current = [], 0
    for point in range(num_points):
        at = items[0].num_epochs + (whole - items[0].num_epochs) * point / (num_points - 1)
        while current + 1 < len(items) and items[current + 1].num_epochs <= at:
            current += 1
        values.append(items[current].value)
    return values


def board(look: Look, width: int, rows: int) -> list[Text]:
    """The best trials with their parameters, as bars where there is room for them."""
    shown, study = look.board.items[:rows], look.study
    if not shown:
        return [Line("no trial yet", "dim")]
    columns = [*_outcomes(shown, study), *_parameters(shown, study.space, with_bars=True), *_circumstances(shown)]
    # Bars are left out before any parameter is.
    if sum(column.width + 2 for column in columns) > width:
        columns = [*_outcomes(shown, study), *_parameters(shown, study.space, with_bars=False), *_circumstances(shown)]
    return lines(columns, width)


def _outcomes(rows: Sequence[TrialView], study: StudyView) -> list[Column]:
    def is_best(row: TrialView) -> bool:
        return study.best is not None and study.best.trial_id == row.trial_id

    ranks = [Line("★" if is_best(row) else "", _BEST) for row in rows]
    values = [Line(formats.number(row.value), _BEST if is_best(row) else "bold") for row in rows]
    epochs = [
        Line(f"{row.num_epochs}" if row.best_epoch is None else f"{row.best_epoch} of {row.num_epochs}") for row in rows
    ]
    return [
        Column("", ranks, 95),
        Column("trial", [Line(str(row.number)) for row in rows], 100, is_right=True),
        Column(study.metric.name, values, 99, is_right=True),
        Column("state", [_state(row) for row in rows], 90, least=9),
        Column("epoch", epochs, 80, is_right=True),
    ]


def _parameters(rows: Sequence[TrialView], space: Space, *, with_bars: bool) -> list[Column]:
    columns = []
    for position, name in enumerate(space.names):
        cells = [_param(row, name, space, with_bars=with_bars) for row in rows]
        is_number = not isinstance(space[name], CategoricalParameter)
        columns.append(Column(name, cells, 70 - min(position, 60), is_right=is_number))
    return columns


def _param(row: TrialView, name: str, space: Space, *, with_bars: bool) -> Text:
    if name not in row.params:
        return Line("–", "dim")
    parameter, value = space[name], row.params[name]
    text = Line(formats.param(value))
    # A value from before the range was edited has no place on it.
    if with_bars and not isinstance(parameter, CategoricalParameter) and parameter.refuse(value) is None:
        text.append(" ").append_text(glyphs.bar(parameter.to_unit(value), _BAR_WIDTH))
    return text


def _circumstances(rows: Sequence[TrialView]) -> list[Column]:
    return [
        Column("time", [Line(formats.duration(row.duration_s), "dim") for row in rows], 75, is_right=True),
        Column("worker", [Line(row.worker or "", "dim") for row in rows], 5, least=6),
    ]


def _state(trial: TrialView) -> Text:
    is_told = trial.stop_reason is None or trial.stop_reason.value == trial.state.value
    reason = "" if is_told else f" ({str(trial.stop_reason).replace('_', ' ')})"
    return Line(f"{trial.state}{reason}", glyphs.STATES[trial.state][1])


def running(look: Look, width: int, rows: int) -> list[Text]:
    """The trials in training: how far they are, and the way there."""
    shown = look.running[:rows]
    if not shown:
        return []
    total = look.study.counts.get(TrialState.RUNNING, len(shown))
    title = Line("running now", "bold")
    if total > len(shown):
        title.append(f"  {len(shown)} of {total:,}", "dim")
    curve_width = max(8, min(32, width // 4))
    curves = [Line(glyphs.braille(look.curves.get(one.trial_id, []), curve_width), "cyan") for one in shown]
    epochs = [
        glyphs.bar(one.num_epochs / one.max_epochs, 10).append(f" {one.num_epochs}/{one.max_epochs}") for one in shown
    ]
    columns = [
        Column("trial", [Line(str(one.number)) for one in shown], 100, is_right=True),
        Column(look.study.metric.name, [Line(formats.number(one.value), "bold") for one in shown], 99, is_right=True),
        Column("epoch", epochs, 90),
        Column("curve", curves, 80),
        Column("worker", [Line(one.worker or "") for one in shown], 60, least=6),
        Column("parameters", [Line(formats.configuration(one.params), "dim") for one in shown], 40, least=16),
    ]
    return [title, *lines(columns, width)]


def zoom(look: Look, width: int, rows: int) -> list[Text]:
    """What the newest round draws from, with the best trial's place in it."""
    if look.round is None or rows < 2:
        return []
    space, best = look.study.space, look.study.best
    names = [name for name in space.names if name in look.round.windows][: rows - 1]
    names = [name for name in names if not isinstance(space[name], CategoricalParameter)]
    if not names:
        return []
    scale_width = max(16, min(60, width - 48))
    pictures, ranges = [], []
    for name in names:
        drawn, parameter = look.round.windows[name], space[name]
        value = None if best is None else best.params.get(name)
        mark = parameter.to_unit(value) if value is not None and parameter.refuse(value) is None else None
        pictures.append(glyphs.window(drawn.unit_low, drawn.unit_high, scale_width, mark))
        ranges.append(Line(f"{formats.number(drawn.low)} … {formats.number(drawn.high)}"))
    columns = [
        Column(f"round {look.round.number}", [Line(name) for name in names], 100, least=8),
        Column("draws from (● best)", pictures, 90),
        Column("", ranges, 50),
    ]
    return lines(columns, width)


def workers(look: Look, width: int, rows: int) -> list[Text]:
    """The connected workers: slots, memory of devices, last sign of life."""
    if rows < 1:
        return []
    if not look.workers:
        return [Line("no worker is connected: start one with `caviar work`", "yellow")]
    slots = sum(worker.slots for worker in look.workers)
    held = sum(len(worker.running) for worker in look.workers)
    title = Line.assemble(("workers", "bold"), f"  {len(look.workers)} connected, {held} of {slots} slots in training")
    shown = sorted(look.workers, key=lambda worker: (worker.host, worker.name))[: max(rows - 2, 0)]
    if not shown:
        return [_cut(title, width)]
    now = max([look.study.updated_at, *(worker.seen_at for worker in look.workers)])
    columns = [
        Column("worker", [Line(worker.name) for worker in shown], 100, least=8),
        Column("state", [_mode(worker) for worker in shown], 90),
        Column("slots", [_slots(worker) for worker in shown], 95, is_right=True),
        Column("device memory", [_memory(worker) for worker in shown], 60),
        Column("seen", [Line(_age((now - worker.seen_at).total_seconds())) for worker in shown], 70, is_right=True),
        Column("host", [Line(worker.host, "dim") for worker in shown], 30, least=8),
    ]
    return [_cut(title, width), *lines(columns, width)]


def _mode(worker: WorkerView) -> Text:
    paused = sum(slot.state is SlotState.PAUSED for slot in worker.slot_facts)
    text = Line(str(worker.mode), "cyan" if worker.mode == "working" else "yellow")
    return text.append(f", {paused} paused", "yellow") if paused else text


def _slots(worker: WorkerView) -> Text:
    return Line(f"{len(worker.running)}/{worker.slots}")


def _memory(worker: WorkerView) -> Text:
    known = [device for device in worker.devices if device.memory_total_bytes]
    used, total = sum(device.memory_used_bytes or 0 for device in known), sum(d.memory_total_bytes or 0 for d in known)
    if not total:
        return Line("–", "dim")
    return glyphs.bar(used / total, 10).append(f" {used / _GIB:.3g}/{total / _GIB:.3g} GiB")


def _age(seconds: float) -> str:
    return "now" if seconds < 2 else f"{formats.duration(seconds)} ago"


def _cut(text: Text, width: int) -> Text:
    text.no_wrap = True
    text.truncate(width, overflow="ellipsis")
    return text
