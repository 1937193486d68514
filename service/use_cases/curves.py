"""Learning curves of a study for a picture: which trials, which epochs, which metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from caviar.contract.curves import CurveQuery
from caviar.contract.errors import FieldError, InvalidRequest, NotFound
from caviar.contract.states import TrialState
from caviar.contract.study import Metric
from caviar.contract.views import Curve, Curves
from service.domain import thinning
from service.store import curves as rows
from service.store import samples
from service.store.transaction import Record, Transaction
from service.use_cases import access

DEFAULT_SAMPLE = 400
MIN_SAMPLE = 4
MIN_POINTS, MAX_POINTS = 4, 2000
_POINTS_OF_ALL = 12_000
_EPOCHS_READ = 30_000
_LOOKED_AT = 10_000
_FEW = 8
_HIGHER_IS_BETTER = ("acc", "auc", "precision", "recall", "f1", "f_score", "r2", "iou", "dice")


@dataclass(frozen=True, slots=True)
class Gate:
    """A range that a curve must pass through.

    Attributes:
        epoch: Where.
        low: Lower end, included; None for none.
        high: Upper end, included; None for none.
    """

    epoch: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which curves are asked for.

    Attributes:
        sample: At most this many trials, those of `also` aside.
        points: At most this many points per curve; None for as many as keep the whole small.
        metric: A metric; None for the study's metric.
        states: Only trials in these states; all without any.
        top: Only this many of the best trials.
        gate: Only trials whose curve passes through it.
        also: Ids of trials that are there in any case.
    """

    sample: int = DEFAULT_SAMPLE
    points: int | None = None
    metric: str | None = None
    states: tuple[TrialState, ...] = ()
    top: int | None = None
    gate: Gate | None = None
    also: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Chosen:
    ids: list[int]
    total: int
    how: str


def asked(query: CurveQuery) -> Wanted:
    """What a request asks for.

    Raises:
        InvalidRequest: Its range of values at an epoch cannot be used (422).
    """
    return Wanted(
        sample=query.sample or DEFAULT_SAMPLE,
        points=query.points,
        metric=query.metric,
        states=tuple(query.state),
        top=query.top,
        gate=gate(query.at, query.low, query.high),
    )


def gate(epoch: int | None, low: float | None, high: float | None) -> Gate | None:
    """A gate from the parameters of a request, which may give none of it.

    Raises:
        InvalidRequest: Only a part of it is given, or its ends are the wrong way round (422).
    """
    if epoch is None and low is None and high is None:
        return None
    refused: list[FieldError] = []
    if low is None and high is None:
        refused.append(FieldError(field="from", received=None, expected="from, to or both beside at; or no at"))
    if low is not None and high is not None and low > high:
        refused.append(FieldError(field="to", received=high, expected=f"a number that is not below from, {low:g}"))
    if epoch is not None and not refused:
        return Gate(epoch, low, high)
    if epoch is None:
        expected = "the epoch at which the value is between from and to, at least 1; or neither from nor to"
        refused.append(FieldError(field="at", received=None, expected=expected))
    raise InvalidRequest("the range of values at an epoch cannot be used", errors=refused)


def direction(name: str, metric: Metric) -> Metric:
    """A metric that trials report, with its better direction.

    The study says it for its own metric, and so for the other one of training and validation. For others the name
    tells: accuracies, recalls and the like rise, everything else falls.

    Args:
        name: Its name.
        metric: The metric of the study.
    """
    if name in (metric.name, partner(metric.name)):
        return Metric(name=name, direction=metric.direction)
    is_rising = any(part in name.lower() for part in _HIGHER_IS_BETTER)
    return Metric(name=name, direction="maximize" if is_rising else "minimize")


def partner(name: str) -> str:
    """The metric of training for one of validation, and the reverse."""
    training = name.removeprefix("val_")
    return training if training != name else f"val_{name}"


def sampled(tx: Transaction, name: str, wanted: Wanted) -> Curves:
    """Learning curves of a sample of trials, by trial number; trials that have no curve are left out.

    Raises:
        NotFound: There is no such study (404).
        InvalidRequest: None of its trials that were looked at has reported the metric (422).
    """
    study = access.study(tx, name)
    own = Metric.model_validate(study.spec["metric"])
    metric = None if wanted.metric in (None, own.name) else wanted.metric
    chosen = _choose(tx, study, own, wanted)
    facts = rows.facts(tx, [*dict.fromkeys([*chosen.ids, *wanted.also])])
    stride = -(-sum(row.num_epochs for row in facts) // _EPOCHS_READ)
    lines: dict[int, tuple[list[int], list[float]]] = {}
    for point in rows.points(tx, [row.id for row in facts], metric=metric, stride=stride):
        epochs, values = lines.setdefault(point.trial_id, ([], []))
        epochs.append(point.epoch)
        values.append(point.value)
    if metric is not None and not lines:
        _check_known(tx, metric, chosen.ids)
    limit = wanted.points or max(MIN_POINTS, min(MAX_POINTS, _POINTS_OF_ALL // max(len(lines), 1)))
    items = [_curve(row, *lines[row.id], limit) for row in facts if row.id in lines]
    shown = own if metric is None else direction(metric, own)
    return Curves(study=name, metric=shown, items=items, num_trials=chosen.total, how=chosen.how)


def metric_names(tx: Transaction, name: str) -> list[str]:
    """Names of the metrics that a study's trials report, its own first."""
    study = access.study(tx, name)
    own = Metric.model_validate(study.spec["metric"])
    some = rows.best(tx, study.id, is_minimized=own.direction == "minimize", states=(), limit=_FEW)
    return sorted({own.name, *rows.metric_names(tx, some)}, key=lambda found: (found != own.name, found))


def trial_id_of(tx: Transaction, name: str, number: int) -> int:
    """Id of the trial of this number.

    Raises:
        NotFound: The study has no such trial (404).
    """
    row = rows.numbered(tx, access.study(tx, name).id, number)
    if row is None:
        raise NotFound(f"received the trial number {number}, but the study {name!r} has no such trial")
    return int(row.id)


def _choose(tx: Transaction, study: Record, own: Metric, wanted: Wanted) -> _Chosen:
    is_minimized = own.direction == "minimize"
    if wanted.gate is not None:
        return _through(tx, study, own, wanted, wanted.gate)
    if wanted.top is not None:
        limit = min(wanted.top, wanted.sample)
        ids = rows.best(tx, study.id, is_minimized=is_minimized, states=wanted.states, limit=limit)
        return _Chosen(ids, len(ids), f"the best {len(ids)}")
    found = samples.chosen(tx, study.id, is_minimized=is_minimized, limit=wanted.sample, states=wanted.states)
    return _Chosen(found.ids, found.total, found.how)


def _through(tx: Transaction, study: Record, own: Metric, wanted: Wanted, where: Gate) -> _Chosen:
    stride = max(1, -(-study.num_trials // _LOOKED_AT))
    found = rows.at_epoch(
        tx,
        study.id,
        epoch=where.epoch,
        low=where.low,
        high=where.high,
        metric=None if wanted.metric == own.name else wanted.metric,
        is_minimized=own.direction == "minimize",
        states=wanted.states,
        stride=stride,
    )
    sign = 1 if own.direction == "minimize" else -1
    # Ids of one study rise with its numbers: of equal values the older trial comes first.
    order = sorted((math.inf if row.value is None else sign * row.value, row.id) for row in found)
    ranked = [trial_id for _, trial_id in order][: wanted.top]
    seen = "" if stride == 1 else f"; one trial in {stride} was looked at"
    limit = wanted.sample
    if len(ranked) <= limit:
        how = "all that pass" if wanted.top is None else f"the best {len(ranked)} that pass"
        return _Chosen(ranked, len(ranked), how + seen)
    share = limit // 4
    rest = ranked[share:]
    even = _even(rest, limit - share)
    how = f"of those that pass the best {share} and one in {-(-len(rest) // (limit - share))} of the others"
    return _Chosen(ranked[:share] + even, len(ranked), how + seen)


def _even(ids: Sequence[int], limit: int) -> list[int]:
    return sorted(ids)[:: -(-len(ids) // limit)]


def _check_known(tx: Transaction, metric: str, trial_ids: Sequence[int]) -> None:
    known = rows.metric_names(tx, trial_ids)
    if known and metric not in known:
        refused = FieldError(field="metric", received=metric, expected=f"one of {', '.join(known)}")
        raise InvalidRequest("no trial of this study reports the metric that is asked for", errors=[refused])


def _curve(row: Record, epochs: list[int], values: list[float], limit: int) -> Curve:
    if len(epochs) > limit:
        places = thinning.kept(values, limit)
        epochs, values = [epochs[place] for place in places], [values[place] for place in places]
    return Curve(
        trial_id=row.id,
        number=row.number,
        state=row.state,
        stop_reason=row.stop_reason,
        epochs=epochs,
        values=values,
    )
