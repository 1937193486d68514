"""Studies with a long past, written to the database in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import Table, func, insert, select, update

from caviar.contract.space import Space
from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import StudySpec
from service.domain.principal import SYSTEM
from service.search.rungs import RungOptions
from service.search.windows import whole_space
from service.store import schema
from service.store.engine import Engine, write
from service.store.transaction import Transaction

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "beta_1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "reverse_log"},
    "num_layers": {"type": "int", "low": 1, "high": 4},
    "units": {"type": "int", "low": 16, "high": 512, "scale": "log"},
    "dropout": {"type": "float", "low": 0.0, "high": 0.7},
    "optimizer": {"type": "categorical", "choices": ["sgd", "rmsprop", "adam"]},
    "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "scale": "log"},
}
"""As many parameters, of as many kinds, as people search."""

_CHUNK = 20_000
_STARTUP, _ROUND, _ELITE = 12, 8, 64


@dataclass(frozen=True)
class Past:
    """Trials that a study has behind it.

    Attributes:
        num_trials: How many.
        num_epochs: Epochs of each trial; None for as many as asynchronous halving by promotion leaves behind, so that
            no further trial is due.
        has_rounds: Whether they came in rounds.
    """

    num_trials: int
    num_epochs: int | None = None
    has_rounds: bool = False


def fill(engine: Engine, spec: StudySpec, past: Past, now: datetime) -> None:
    """Give the only study of a database its past.

    Args:
        engine: Of the database, which holds the study.
        spec: The study, its space set.
        past: What to write.
        now: Time of all rows.
    """
    losses = np.random.default_rng(spec.seed).random(past.num_trials)
    lengths = _lengths(spec, past, losses)
    with write(engine, now, SYSTEM) as tx:
        study_id = tx.connection.execute(select(schema.studies.c.id)).scalar_one()
        _insert(tx, schema.trials, _trials(spec, past, lengths, study_id, now))
        _insert(tx, schema.measurements, _measurements(spec, losses, lengths, now))
        if past.has_rounds:
            _insert(tx, schema.rounds, _rounds(_space(spec), losses, study_id, now))
        standing = {"num_trials": past.num_trials, "num_epochs": int(lengths.sum()), "best_value": float(losses.min())}
        tx.connection.execute(update(schema.studies).values(standing))
        if engine.dialect.name == "postgresql":
            # The rows brought their own ids, of which the sequence knows nothing.
            sequence = func.pg_get_serial_sequence(schema.trials.name, schema.trials.c.id.name)
            tx.connection.execute(select(func.setval(sequence, past.num_trials)))


def _space(spec: StudySpec) -> Space:
    if spec.space is None:
        raise ValueError("received a study without a space")
    return spec.space


def _insert(tx: Transaction, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK)):
        tx.connection.execute(insert(table), chunk)


def _lengths(spec: StudySpec, past: Past, losses: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if past.num_epochs is not None:
        return np.full(past.num_trials, past.num_epochs)
    options = RungOptions()
    lengths = np.zeros(past.num_trials, int)
    order = np.argsort(losses)
    for level, epoch in enumerate((*options.epochs(spec.budget.max_epochs), spec.budget.max_epochs)):
        lengths[order[: past.num_trials // options.reduction_factor**level]] = epoch
    return lengths


def _curve(loss: float, length: int) -> list[float]:
    return [loss + 1 / epoch for epoch in range(1, length + 1)]


def _trials(
    spec: StudySpec, past: Past, lengths: np.ndarray[Any, Any], study_id: int, now: datetime
) -> Iterator[dict[str, Any]]:
    space, rng = _space(spec), np.random.default_rng([spec.seed, 1])
    rungs = (0, *RungOptions().epochs(spec.budget.max_epochs))
    for number, length in enumerate(map(int, lengths)):
        is_complete = length == spec.budget.max_epochs
        yield {
            "id": number + 1,
            "study_id": study_id,
            "number": number,
            "state": TrialState.COMPLETE if is_complete else TrialState.PAUSED,
            "stop_reason": StopReason.MAX_EPOCHS if is_complete else None,
            "origin": "sampler",
            "round": _round_of(number) if past.has_rounds else None,
            "params": space.params_at(rng.random(len(space)).tolist()),
            "num_epochs": length,
            "attempt": 1,
            "checkpoint_epoch": None if is_complete else length,
            "promoted_epoch": max(rung for rung in rungs if rung < length),
            "as_of_seq": 0,
            "created_at": now,
            "ended_at": now if is_complete else None,
        }


def _measurements(
    spec: StudySpec, losses: np.ndarray[Any, Any], lengths: np.ndarray[Any, Any], now: datetime
) -> Iterator[dict[str, Any]]:
    for number, (loss, length) in enumerate(zip(losses.tolist(), lengths.tolist(), strict=True)):
        for epoch, value in enumerate(_curve(loss, length), start=1):
            yield {
                "trial_id": number + 1,
                "attempt": 1,
                "epoch": epoch,
                "value": value,
                "metrics": {spec.metric.name: value, "loss": value},
                "elapsed_s": float(epoch),
                "reported_at": now,
            }


def _round_of(number: int) -> int:
    return 0 if number < _STARTUP else 1 + (number - _STARTUP) // _ROUND


def _rounds(space: Space, losses: np.ndarray[Any, Any], study_id: int, now: datetime) -> Iterator[dict[str, Any]]:
    windows = {name: window.model_dump(mode="json") for name, window in whole_space(space).items()}
    for number in range(1 + _round_of(len(losses) - 1)):
        first = 0 if number == 0 else _STARTUP + (number - 1) * _ROUND
        # Which they were is of no consequence, how many there are is.
        elite = list(range(max(0, first - _ELITE), first))
        yield {
            "study_id": study_id,
            "number": number,
            "first_trial": first,
            "elite": elite,
            "windows": windows,
            "opened_at": now,
        }
