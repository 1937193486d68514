"""How much device memory trainings need, learnt from those that ended, and kept in a file."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import structlog
from pydantic import BaseModel, Field, ValidationError

from caviar.contract.messages import Assignment
from caviar.contract.space import Params
from worker.placing.fit import Fit, Measured, fit

_log = structlog.get_logger(__name__)

# Memory of equal trainings differs by what the libraries happen to choose.
_EQUAL_FACTOR = 1.05
_SURE_FACTOR = 1.5
# A fit is made anew when so large a part of what it would rest on is new, or something needed more than it said.
_NEW_SHARE = 0.05
_MAX_MEASURED = 200
_MAX_KINDS = 30
_MAX_RECENT = 50


@dataclass(frozen=True)
class Prediction:
    """What a training will need.

    Attributes:
        bytes_at_most: Exceeded in about one case of forty.
        is_sure: Whether more measurements would say hardly less.
    """

    bytes_at_most: int
    is_sure: bool


class _Book(BaseModel):
    kinds: dict[str, list[Measured]] = Field(default_factory=dict)


class Needs:
    """Measured and predicted memory per kind of training: objective, its fixed options, and backend."""

    def __init__(self, path: Path, *, backend: str) -> None:
        """Read what was learnt before.

        Args:
            path: File to keep it in. One that cannot be read is put aside, and learning begins anew.
            backend: Backend of Keras; another one needs other amounts.
        """
        self._path = path
        self._backend = backend
        self._kinds = _read(path).kinds
        self._fits: dict[str, Fit] = {}
        self._num_new: dict[str, int] = {}
        # What runs is asked for again and again; by lease, until something is learnt.
        self._predicted: dict[str, Prediction | None] = {}
        self._recent: deque[int] = deque(
            (one.peak_bytes for one in _newest(self._kinds) if not one.is_bound), maxlen=_MAX_RECENT
        )
        # The heartbeat's thread may learn from a training that goes on while the crew asks.
        self._lock = threading.Lock()

    def predict(self, assignment: Assignment) -> Prediction | None:
        """What a training will need; None if nothing like it was measured.

        Never less than what equal parameters needed before.
        """
        with self._lock:
            if assignment.lease not in self._predicted:
                self._predicted[assignment.lease] = self._predict(self._kind(assignment), assignment.params)
            return self._predicted[assignment.lease]

    def predicted_bytes(self, assignment: Assignment) -> int | None:
        """Memory that a training needs at most; None if nothing like it was measured."""
        prediction = self.predict(assignment)
        return None if prediction is None else prediction.bytes_at_most

    def learn(self, assignment: Assignment, peak_bytes: int, *, is_bound: bool = False) -> None:
        """Record what a training needed.

        Args:
            assignment: What was trained.
            peak_bytes: Most memory that its process held. Of equal parameters the most is kept.
            is_bound: Whether the process held that much before: then this says only that it was enough.
        """
        kind, params = self._kind(assignment), assignment.params
        with self._lock:
            self._predicted.clear()
            self._doubt(kind, params, peak_bytes)
            measured = self._kinds.pop(kind, [])
            equal = next((one for one in measured if one.params == params), None)
            kept = [one for one in measured if one.params != params]
            kept.append(_joined(equal, Measured(params=params, peak_bytes=peak_bytes, is_bound=is_bound)))
            # The kind that was used last stands at the end.
            self._kinds[kind] = kept[-_MAX_MEASURED:]
            for oldest in list(self._kinds)[:-_MAX_KINDS]:
                del self._kinds[oldest]
            prediction = self._predict(kind, params) if is_bound else None
            self._recent.append(peak_bytes if prediction is None else prediction.bytes_at_most)
            self._write()

    def typical_bytes(self) -> int | None:
        """Memory that a training needs as a rule: the median of the last ones; None before anything was measured."""
        with self._lock:
            return int(median(self._recent)) if self._recent else None

    def _predict(self, kind: str, params: Params) -> Prediction | None:
        measured = self._kinds.get(kind)
        if not measured:
            return None
        equal = next((one for one in measured if one.params == params), None)
        if equal is not None and not equal.is_bound:
            return Prediction(math.ceil(equal.peak_bytes * _EQUAL_FACTOR), is_sure=True)
        if kind not in self._fits:
            self._fits[kind], self._num_new[kind] = fit(measured), 0
        at_most = self._fits[kind].bytes_at(params)
        if equal is not None:
            at_most = min(at_most, math.ceil(equal.peak_bytes * _EQUAL_FACTOR))
        return Prediction(at_most, is_sure=at_most <= _SURE_FACTOR * self._fits[kind].bytes_at(params, 0.0))

    def _doubt(self, kind: str, params: Params, peak_bytes: int) -> None:
        known = self._fits.get(kind)
        if known is not None:
            self._num_new[kind] += 1
            if self._num_new[kind] >= _NEW_SHARE * known.count or peak_bytes > known.bytes_at(params):
                del self._fits[kind]

    def _kind(self, assignment: Assignment) -> str:
        config = json.dumps(assignment.objective.config, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(config.encode()).hexdigest()[:16]
        return f"{self._backend} {assignment.objective.name} {digest}"

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(_Book(kinds=self._kinds).model_dump_json(), encoding="utf-8")
            fresh.replace(self._path)
        except OSError as error:
            _log.warning("device_memory_not_kept", path=str(self._path), reason=str(error))


def _joined(old: Measured | None, new: Measured) -> Measured:
    """What two trainings with equal parameters tell: the most that was measured, else the smaller bound."""
    if old is None or old.is_bound != new.is_bound:
        return new if old is None or old.is_bound else old
    return min(old, new, key=lambda one: one.peak_bytes if one.is_bound else -one.peak_bytes)


def _newest(kinds: dict[str, list[Measured]]) -> Iterable[Measured]:
    return list(kinds.values())[-1] if kinds else []


def _read(path: Path) -> _Book:
    try:
        return _Book.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _Book()
    except ValidationError as error:
        aside = path.with_suffix(".unreadable")
        path.replace(aside)
        reason = f"{error.error_count()} mistakes in it, the first: {error.errors()[0]['msg']}"
        _log.warning("device_memory_forgotten", path=str(aside), reason=reason)
        return _Book()
