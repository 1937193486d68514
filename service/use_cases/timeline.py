"""When each attempt of a study ran: lanes by worker and slot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from caviar.contract.errors import FieldError, InvalidRequest
from caviar.contract.states import AttemptEnd, Outcome, TrialState
from caviar.contract.timeline import Bar, BarKind, Lane, RoundMark, Timeline, WorkerTime
from service.store import attempt_rows, rounds
from service.store.transaction import Record, Records, Transaction
from service.use_cases import access

MAX_BARS = 1200
"""More bars than these are told as the load of their workers."""

NUM_PARTS = 200
"""Parts of the window that a load is told for."""

_MAX_READ = 4000
_MAX_COUNTED = 10_000
# A bar thinner than this share of the window cannot be seen.
_THINNEST = 1 / 1000
_SHORTEST = timedelta(seconds=1)
_KINDS = {
    AttemptEnd.PAUSED: BarKind.PAUSED,
    AttemptEnd.RELEASED: BarKind.RELEASED,
    AttemptEnd.EXPIRED: BarKind.LOST,
    AttemptEnd.CANCELLED: BarKind.CANCELLED,
}

_STATES = {TrialState.CANCELLED: BarKind.CANCELLED, TrialState.COMPLETE: BarKind.COMPLETE}


def timeline(tx: Transaction, name: str, *, begin: datetime | None = None, end: datetime | None = None) -> Timeline:
    """The attempts of a study in a window of time.

    Up to 1,200 bars are told one by one; neighbours that ended alike and would be thinner than a thousandth of the
    window are told as one. Of more there is the load of each worker, in which an attempt counts where it began; of more
    than 10,000 trials an even part is counted.

    Args:
        tx: Reads them.
        name: The study.
        begin: Begin of the window; the study's if left out.
        end: End of the window; the study's, or now, if left out.
    Raises:
        NotFound: There is no such study (404).
        InvalidRequest: The window ends before it begins (422).
    """
    study = access.study(tx, name)
    last_at = study.ended_at or tx.now
    from_at, to_at = begin or study.created_at, end or last_at
    if begin is not None and to_at <= from_at:
        expected = f"a time before the end of the window ({to_at.isoformat()})"
        field = FieldError(field="from", received=from_at.isoformat(), expected=expected)
        raise InvalidRequest("the window ends before it begins", errors=[field])
    to_at = max(to_at, from_at + _SHORTEST)
    inner = (max(from_at, study.created_at), min(to_at, last_at))
    found, stride = _bars(tx, study, (from_at, to_at), inner), 1
    if found is None:
        stride = max(1, study.num_trials // _MAX_COUNTED)
        found = _dense(tx, study, (from_at, to_at), inner, stride)
    opened = [RoundMark(number=row.number, opened_at=row.opened_at) for row in rounds.of_study(tx, study.id)]
    return Timeline(
        study=name,
        begun_at=study.created_at,
        last_at=last_at,
        from_at=from_at,
        to_at=to_at,
        num_attempts=sum(one.num_attempts for one, _ in found),
        num_lost=sum(num_lost for _, num_lost in found),
        is_dense=any(one.load for one, _ in found),
        counted_every=stride,
        workers=sorted((one for one, _ in found), key=lambda one: (one.worker, one.worker_id)),
        rounds=[mark for mark in opened if from_at <= mark.opened_at <= to_at],
    )


Found = list[tuple[WorkerTime, int]]
Window = tuple[datetime, datetime]


def _bars(tx: Transaction, study: Record, window: Window, inner: Window) -> Found | None:
    """Bars one by one; None if there are too many."""
    begin, end = window
    rows = attempt_rows.between(tx, study.id, begin, end, limit=_MAX_READ + 1)
    if len(rows) > _MAX_READ:
        return None
    of_worker: dict[str, list[Record]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.started_at, row.trial_id)):
        of_worker[row.worker_id].append(row)
    known = _known(tx, list(of_worker))
    thin = (end - begin) * _THINNEST
    found: Found = []
    for worker_id, own in of_worker.items():
        busy_s = sum(_overlap_s(row.started_at, row.ended_at or tx.now, *inner) for row in own)
        lanes = [Lane(slot=lane.slot, bars=_merged(lane.bars, thin)) for lane in _packed(own)]
        lost = sum(row.end == AttemptEnd.EXPIRED for row in own)
        found.append((_worker(known, worker_id, len(own), busy_s, inner, lanes=lanes), lost))
    return found if sum(len(lane.bars) for one, _ in found for lane in one.lanes) <= MAX_BARS else None


def _dense(tx: Transaction, study: Record, window: Window, inner: Window, stride: int) -> Found:
    begin, end = window
    of_worker: dict[str, list[Record]] = defaultdict(list)
    for row in attempt_rows.load(tx, study.id, begin, end, num_parts=NUM_PARTS, stride=stride):
        of_worker[row.worker_id].append(row)
    known = _known(tx, list(of_worker))
    width_s = (end - begin).total_seconds() / NUM_PARTS
    found: Found = []
    for worker_id, own in of_worker.items():
        load = [0.0] * NUM_PARTS
        for row in own:
            load[min(int(row.part), NUM_PARTS - 1)] += stride * float(row.busy_s) / width_s
        num_attempts = stride * sum(int(row.num_attempts) for row in own)
        busy_s = stride * sum(float(row.busy_s) for row in own)
        told = _worker(known, worker_id, num_attempts, busy_s, inner, load=[round(one, 3) for one in load])
        found.append((told, stride * sum(int(row.num_lost) for row in own)))
    return found


def _known(tx: Transaction, worker_ids: Sequence[str]) -> dict[str, Record]:
    return {row.id: row for row in attempt_rows.names_of(tx, worker_ids)}


def _worker(
    known: Mapping[str, Record],
    worker_id: str,
    num_attempts: int,
    busy_s: float,
    inner: Window,
    *,
    lanes: Iterable[Lane] = (),
    load: Iterable[float] = (),
) -> WorkerTime:
    row = known.get(worker_id)
    available_s = 0.0 if row is None else row.slots * (inner[1] - inner[0]).total_seconds()
    return WorkerTime(
        worker_id=worker_id,
        worker=worker_id if row is None else row.name,
        slots=None if row is None else row.slots,
        num_attempts=num_attempts,
        busy_s=busy_s,
        share=min(1.0, busy_s / available_s) if available_s > 0 else None,
        lanes=list(lanes),
        load=list(load),
    )


def _packed(rows: Records | list[Record]) -> list[Lane]:
    """Lanes by slot; where no slot was told, an attempt goes where there is room first."""
    lanes: list[tuple[Lane, datetime | None]] = []
    for row in rows:
        place = next((at for at, lane in enumerate(lanes) if _has_room(lane, row)), None)
        bar = _bar(row)
        if place is None:
            lanes.append((Lane(slot=row.slot, bars=[bar]), row.ended_at))
        else:
            lanes[place][0].bars.append(bar)
            lanes[place] = (lanes[place][0], row.ended_at)
    return sorted((lane for lane, _ in lanes), key=lambda lane: (lane.slot is None, lane.slot or 0))


def _has_room(lane: tuple[Lane, datetime | None], row: Record) -> bool:
    return lane[0].slot == row.slot and lane[1] is not None and lane[1] <= row.started_at


def _bar(row: Record) -> Bar:
    return Bar(
        trial_id=row.trial_id,
        number=row.number,
        attempt=row.attempt,
        first_epoch=row.first_epoch,
        started_at=row.started_at,
        ended_at=row.ended_at,
        kind=_kind(row),
    )


def _kind(row: Record) -> BarKind:
    # The service stops what is pruned, but also what a person cancels and what has reached a limit.
    if row.ended_at is None:
        return BarKind.RUNNING
    if row.end in _KINDS:
        return _KINDS[row.end]
    if row.end == AttemptEnd.STOPPED:
        return _STATES.get(row.state, BarKind.PRUNED) if row.is_last else BarKind.PRUNED
    return BarKind.COMPLETE if row.outcome in (None, Outcome.COMPLETE) else BarKind.FAILED


def _merged(bars: Sequence[Bar], thin: timedelta) -> list[Bar]:
    found: list[Bar] = []
    for bar in bars:
        before = found[-1] if found else None
        if before is None or not _are_one(before, bar, thin):
            found.append(bar)
        else:
            found[-1] = before.model_copy(update={"ended_at": bar.ended_at, "num_merged": before.num_merged + 1})
    return found


def _are_one(before: Bar, bar: Bar, thin: timedelta) -> bool:
    if before.kind is not bar.kind or before.ended_at is None or bar.ended_at is None:
        return False
    is_thin = before.num_merged > 1 or before.ended_at - before.started_at < thin
    return is_thin and bar.ended_at - bar.started_at < thin and bar.started_at - before.ended_at < thin


def _overlap_s(started_at: datetime, ended_at: datetime, begin: datetime, end: datetime) -> float:
    return max(0.0, (min(ended_at, end) - max(started_at, begin)).total_seconds())
