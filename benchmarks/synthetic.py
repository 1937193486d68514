"""A made-up study of any size, written to a database in bulk: for looking at pages and for timing them.

Its trials have parameters, curves, decisions, failures, rounds, attempts on workers with devices, repeats and tags, so
that every view has something to show. Nothing of it was trained.

    python benchmarks/synthetic.py --trials 100000 --database sqlite:///big.db [--name synthetic] [--seed 7]
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import Table, insert, select, update

from caviar.contract.space import CategoricalParameter, Params, Space
from caviar.contract.states import AttemptEnd, Outcome, StopReason, TrialState
from caviar.contract.study import StudySpec
from service.domain.principal import SYSTEM
from service.domain.repeats import params_digest
from service.search.rungs import RungOptions
from service.search.windows import whole_space
from service.store import migrations, schema
from service.store.engine import Engine, connect, write
from service.store.transaction import Transaction
from service.use_cases import submitting

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "optimizer": {"type": "categorical", "choices": ["nesterov", "rmsprop", "adam"]},
    "beta_1": {
        "type": "float",
        "low": 0.9,
        "high": 0.999,
        "scale": "reverse_log",
        "when": {"optimizer": ["adam"]},
    },
    "momentum": {
        "type": "float",
        "low": 0.5,
        "high": 0.99,
        "scale": "reverse_log",
        "when": {"optimizer": ["nesterov"]},
    },
    "units": {"type": "int", "low": 16, "high": 512, "scale": "log"},
    "num_layers": {"type": "int", "low": 1, "high": 4},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
}
"""As many parameters, of as many kinds, as people search."""

_MAX_EPOCHS = 27
_PRUNER = RungOptions(promote=False)
_RUNGS = _PRUNER.epochs(_MAX_EPOCHS)
_WORKERS = 4
_SLOTS = 4
_ROUNDS = 40
_STARTUP_SHARE = 0.05
_REPEATED = 5
_REPEATS = 3
_CHUNK = 20_000
_GIB = 2**30


@dataclass
class _Story:
    """One trial as it went: what is written to several tables."""

    number: int
    params: Params
    round: int
    curve: list[float]
    train: list[float]
    state: TrialState
    reason: StopReason
    evidence: dict[str, Any] | None
    worker: int
    slot: int
    began_at: datetime
    epoch_s: float
    error: dict[str, Any] | None = None
    decisions: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def ended_at(self) -> datetime:
        return self.at(len(self.curve)) + timedelta(milliseconds=40)

    def at(self, epoch: int) -> datetime:
        """When an epoch was reported."""
        return self.began_at + timedelta(seconds=0.3 + self.epoch_s * epoch)

    @property
    def best(self) -> tuple[float, int] | tuple[None, None]:
        if not self.curve:
            return None, None
        value = min(self.curve)
        return value, self.curve.index(value) + 1


class _Teller:
    """Makes up trials, one after the other."""

    def __init__(self, space: Space, num_trials: int, seed: int, start: datetime) -> None:
        self.space = space
        self.num_trials = num_trials
        self.rng = np.random.default_rng(seed)
        self.start = start
        self.optimum = {name: 0.25 + 0.5 * self.rng.random() for name in space.names}
        self.weights = {
            name: float(weight) for name, weight in zip(space.names, (9, 1, 1.5, 1.2, 2, 0.6, 0.8), strict=True)
        }
        self.rungs: dict[int, list[float]] = {epoch: [] for epoch in _RUNGS}
        self.thresholds = dict.fromkeys(_RUNGS, math.inf)
        self.free = [(start + timedelta(seconds=0.1 * lane), lane) for lane in range(_WORKERS * _SLOTS)]
        self.repeated: list[Params] = []

    def stories(self) -> Iterator[_Story]:
        for number in range(self.num_trials):
            began_at, lane = heapq.heappop(self.free)
            story = self._story(number, began_at, lane)
            idle_s = float(self.rng.exponential(0.15))
            heapq.heappush(self.free, (story.ended_at + timedelta(seconds=idle_s), lane))
            yield story

    def round_of(self, number: int) -> int:
        startup = max(8, int(_STARTUP_SHARE * self.num_trials))
        if number < startup:
            return 0
        return 1 + (number - startup) * _ROUNDS // max(1, self.num_trials - startup)

    def window(self, name: str, nth: int) -> tuple[float, float]:
        width = max(0.08, 0.93**nth)
        low = min(max(0.0, self.optimum[name] - width / 2), 1.0 - width)
        return low, low + width

    def _story(self, number: int, began_at: datetime, lane: int) -> _Story:
        nth = self.round_of(number)
        params = self._params(number, nth)
        places = {name: self.space[name].to_unit(value) for name, value in params.items()}
        loss = 0.06 + sum(
            0.12 * self.weights[name] * (place - self.optimum[name]) ** 2 for name, place in places.items()
        )
        loss *= math.exp(0.06 * self.rng.standard_normal())
        rate = 0.25 + 0.6 * places["learning_rate"]
        epoch_s = 0.4 + _number(params, "units") * _number(params, "num_layers") / 512
        story = _Story(
            number, params, nth, [], [], TrialState.COMPLETE, StopReason.MAX_EPOCHS, None,
            lane // _SLOTS, lane % _SLOTS, began_at, epoch_s,
        )  # fmt: skip
        self._train(story, loss, rate, diverges=places["learning_rate"] > 0.9 and self.rng.random() < 0.6)
        return story

    def _params(self, number: int, nth: int) -> Params:
        if self.repeated and number > self.num_trials * 0.9 and len(self.repeated) > 0:
            return self.repeated.pop()
        units = [
            low + (high - low) * self.rng.random() for low, high in (self.window(n, nth) for n in self.space.names)
        ]
        params = self.space.params_at(units)
        if int(self.num_trials * 0.9) - _REPEATED <= number < int(self.num_trials * 0.9):
            self.repeated += [params] * _REPEATS
        return params

    def _train(self, story: _Story, loss: float, rate: float, *, diverges: bool) -> None:
        steps = self.rng.standard_normal(_MAX_EPOCHS) * 0.03
        stop = int(self.rng.integers(1, 4)) if diverges else _MAX_EPOCHS
        best_at = 0
        for epoch in range(1, stop + 1):
            value = (loss + (2.1 - loss) * math.exp(-rate * epoch)) * math.exp(float(steps[epoch - 1]))
            value += 0.002 * max(0, epoch - 14)
            story.curve.append(value)
            story.train.append(value * 0.9)
            best_at = epoch if value <= min(story.curve) else best_at
            if epoch in _RUNGS and self._is_cut(story, epoch, value):
                return
            if epoch - best_at >= 5:
                self._end(
                    story,
                    TrialState.COMPLETE,
                    StopReason.EARLY_STOPPED,
                    epoch,
                    {"rule": "early_stopping", "patience": 5},
                )
                return
        if diverges:
            message = f"the metric val_loss was nan in epoch {stop + 1}"
            story.error = {"kind": "Diverged", "message": message, "traceback": ""}
            self._end(story, TrialState.FAILED, StopReason.DIVERGED, stop, {"rule": "diverged"})

    def _is_cut(self, story: _Story, epoch: int, value: float) -> bool:
        seen, threshold = self.rungs[epoch], self.thresholds[epoch]
        seen.append(value)
        if len(seen) % 64 == 0:
            self.thresholds[epoch] = float(np.quantile(seen[-2000:], 1 / _PRUNER.reduction_factor))
        recent = seen[-200:]
        rank = 1 + sum(other < value for other in recent) * len(seen) // len(recent)
        evidence = {
            "rule": "asha",
            "epoch": epoch,
            "rung": epoch,
            "value": value,
            "threshold": threshold if math.isfinite(threshold) else None,
            "rank": rank,
            "kept": len(seen) // _PRUNER.reduction_factor,
            "peers": len(seen),
        }
        story.decisions[epoch] = evidence
        if value <= threshold:
            return False
        self._end(story, TrialState.PRUNED, StopReason.PRUNED, epoch, evidence)
        return True

    def _end(self, story: _Story, state: TrialState, reason: StopReason, epoch: int, evidence: dict[str, Any]) -> None:
        story.state, story.reason, story.evidence = state, reason, {**evidence, "epoch": epoch}


def make(engine: Engine, *, name: str, num_trials: int, seed: int, now: datetime) -> None:
    """Create a study and give it made-up trials.

    Args:
        engine: Of a database with the tables of this version.
        name: Of the study; must be free.
        num_trials: How many trials.
        seed: Of all draws.
        now: When the last trials end, about.
    """
    spec = _spec(name, num_trials, seed)
    # Sixteen slots end about four trials in a second of the story's time.
    start = now - timedelta(seconds=num_trials / 2.5)
    with write(engine, start, SYSTEM) as tx:
        submitting.create(tx, spec)
        tx.flush()
        study_id = tx.connection.execute(select(schema.studies.c.id).where(schema.studies.c.name == name)).scalar_one()
        first_id = 1 + int(
            tx.connection.execute(select(schema.trials.c.id).order_by(schema.trials.c.id.desc())).scalar() or 0
        )
        space = spec.space
        if space is None:
            raise ValueError("received a study without a space")
        teller = _Teller(space, num_trials, seed, start)
        stories = list(teller.stories())
        workers = _workers(tx, stories[-1].ended_at)
        _insert(tx, schema.trials, (_trial(story, study_id, first_id, workers) for story in stories))
        _insert(tx, schema.attempts, (_attempt(story, first_id, workers) for story in stories))
        _insert(tx, schema.measurements, (row for story in stories for row in _measurements(story, first_id)))
        gains, reached = _gains(stories, study_id, first_id)
        _insert(tx, schema.improvements, gains)
        _insert(tx, schema.rounds, _rounds(space, teller, stories, study_id, reached))
        _stand(tx, study_id, stories, gains[-1])


def _spec(name: str, num_trials: int, seed: int) -> StudySpec:
    body = {
        "name": name,
        "objective": {"name": "mlp", "config": {"dataset": "digits"}},
        "space": SPACE,
        "strategy": {"kind": "coarse_to_fine"},
        "pruner": {"kind": "asha", "promote": False},
        "budget": {"max_trials": 2 * num_trials, "max_epochs": _MAX_EPOCHS},
        "tags": {"origin": "made-up"},
        "seed": seed,
    }
    return StudySpec.model_validate(body)


def _insert(tx: Transaction, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK)):
        tx.connection.execute(insert(table), chunk)


def _workers(tx: Transaction, seen_at: datetime) -> list[str]:
    ids = [f"{nth:08d}-0000-4000-8000-{seen_at.microsecond:012d}" for nth in range(_WORKERS)]
    device = {"kind": "gpu", "name": "NVIDIA A100 80GB", "memory_total_bytes": 80 * _GIB}
    rows = [
        {
            "id": worker_id,
            "name": f"box-{nth + 1}",
            "host": f"box-{nth + 1}.lab",
            "slots": _SLOTS,
            "devices": [{**device, "uuid": f"GPU-{nth}", "index": 0, "memory_used_bytes": (20 + 9 * nth) * _GIB}],
            "labels": {"site": "lab"},
            "objectives": [{"name": "mlp", "space": None}],
            "registered_at": tx.now,
            "seen_at": seen_at,
        }
        for nth, worker_id in enumerate(ids)
    ]
    tx.connection.execute(insert(schema.workers), rows)
    return ids


def _trial(story: _Story, study_id: int, first_id: int, workers: list[str]) -> dict[str, Any]:
    value, best_epoch = story.best
    return {
        "id": first_id + story.number,
        "study_id": study_id,
        "number": story.number,
        "state": story.state,
        "stop_reason": story.reason,
        "evidence": story.evidence,
        "origin": "sampler",
        "round": story.round,
        "params": story.params,
        "params_digest": params_digest(story.params),
        "value": value,
        "best_epoch": best_epoch,
        "num_epochs": len(story.curve),
        "attempt": 1,
        "worker_id": workers[story.worker],
        "as_of_seq": 1,
        "error": story.error,
        "elapsed_s": story.epoch_s * len(story.curve),
        "tags": {"kept": "yes"} if story.number % 997 == 0 else {},
        "note": "worth a second look" if story.number % 4999 == 7 else "",
        "created_at": story.began_at,
        "started_at": story.began_at,
        "ended_at": story.ended_at,
    }


def _attempt(story: _Story, first_id: int, workers: list[str]) -> dict[str, Any]:
    has_failed = story.state is TrialState.FAILED
    is_stopped = story.state is TrialState.PRUNED
    return {
        "trial_id": first_id + story.number,
        "attempt": 1,
        "token": f"made-up-{first_id + story.number}",
        "worker_id": workers[story.worker],
        "request_id": f"made-up-{story.number}",
        "first_epoch": 1,
        "started_at": story.began_at,
        "ended_at": story.ended_at,
        "end": AttemptEnd.STOPPED if is_stopped else AttemptEnd.FINISHED,
        "outcome": Outcome.DIVERGED if has_failed else None if is_stopped else Outcome.COMPLETE,
        "error": story.error,
        "facts": {
            "device": f"GPU-{story.worker}",
            "device_name": "NVIDIA A100 80GB",
            "peak_device_memory_bytes": int((1 + _number(story.params, "units") / 100) * _GIB),
            "peak_memory_bytes": int(0.7 * _GIB),
        },
    }


def _number(params: Params, name: str) -> float:
    return float(params[name])


def _measurements(story: _Story, first_id: int) -> Iterator[dict[str, Any]]:
    for epoch, value in enumerate(story.curve, start=1):
        evidence = story.decisions.get(epoch)
        is_cut = story.state is TrialState.PRUNED and epoch == len(story.curve)
        yield {
            "trial_id": first_id + story.number,
            "attempt": 1,
            "epoch": epoch,
            "value": value,
            "metrics": {"val_loss": value, "loss": story.train[epoch - 1]},
            "elapsed_s": story.epoch_s * epoch,
            "reported_at": story.at(epoch),
            "decision": None if evidence is None else "stop" if is_cut else "continue",
            "evidence": evidence,
        }


def _gains(
    stories: list[_Story], study_id: int, first_id: int
) -> tuple[list[dict[str, Any]], list[tuple[datetime, int]]]:
    """What improved on all before it, and the epochs reported by each of some moments."""
    reports = sorted(
        (story.at(epoch), story.number, epoch) for story in stories for epoch in range(1, len(story.curve) + 1)
    )
    best, gains, reached = math.inf, [], []
    for count, (at, number, epoch) in enumerate(reports, start=1):
        value = stories[number].curve[epoch - 1]
        if count % 50 == 0:
            reached.append((at, count))
        if value < best:
            best = value
            gains.append(
                {
                    "study_id": study_id,
                    "num_epochs": count,
                    "trial_id": first_id + number,
                    "number": number,
                    "attempt": 1,
                    "epoch": epoch,
                    "value": value,
                    "at": at,
                }
            )
    return gains, reached


def _rounds(
    space: Space, teller: _Teller, stories: list[_Story], study_id: int, reached: list[tuple[datetime, int]]
) -> Iterator[dict[str, Any]]:
    best_so_far: list[_Story] = []
    done = 0
    for nth in range(1 + teller.round_of(len(stories) - 1)):
        first = next(story for story in stories if story.round == nth)
        best_so_far = heapq.nsmallest(
            24, [*best_so_far, *(s for s in stories[done : first.number] if s.curve)], key=lambda s: min(s.curve)
        )
        done = first.number
        yield {
            "study_id": study_id,
            "number": nth,
            "first_trial": first.number,
            "elite": [story.number for story in best_so_far],
            "windows": _windows(space, teller, nth),
            "num_epochs": max((count for at, count in reached if at <= first.began_at), default=0),
            "opened_at": first.began_at,
        }


def _windows(space: Space, teller: _Teller, nth: int) -> dict[str, Any]:
    found = {}
    for name, window in whole_space(space).items():
        parameter = space[name]
        told = window.model_dump(mode="json")
        if nth and not isinstance(parameter, CategoricalParameter):
            low, high = teller.window(name, nth)
            told |= {
                "low": parameter.from_unit(low),
                "high": parameter.from_unit(high),
                "unit_low": low,
                "unit_high": high,
                "reason": "the range of the best 24 trials",
            }
        elif nth:
            told |= {"weights": [0.2, 0.2, 0.6], "reason": "how often each choice is among the best 24 trials"}
        found[name] = told
    return found


def _stand(tx: Transaction, study_id: int, stories: list[_Story], best: dict[str, Any]) -> None:
    values = {
        "num_trials": len(stories),
        "num_epochs": sum(len(story.curve) for story in stories),
        "best_value": best["value"],
        "best_trial_id": best["trial_id"],
        "slot_s": sum((story.ended_at - story.began_at).total_seconds() for story in stories),
        "updated_at": stories[-1].ended_at,
    }
    tx.connection.execute(update(schema.studies).where(schema.studies.c.id == study_id).values(**values))


def main() -> None:
    """Make the study that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--database", required=True)
    parser.add_argument("--name", default="synthetic")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    migrations.upgrade(given.database)
    engine = connect(given.database)
    try:
        make(engine, name=given.name, num_trials=given.trials, seed=given.seed, now=datetime.now(UTC))
    finally:
        engine.dispose()


if __name__ == "__main__":
    main()
