"""The programs of this process, by the signatures of their models."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.backend.common import global_state

from worker.programs.program import Program
from worker.programs.signature import Signature
from worker.programs.tensors import Tensors

_MAX_PROGRAMS = 32
_MAX_BYTES = 512 * 2**20
_MAX_DATA_BYTES = 2**30
# A model's own mistakes show while it is traced, too: then plain `fit` tells of them in its own words.
_UNTRACEABLE = (TypeError, ValueError, AttributeError, LookupError, RuntimeError)


@dataclass(frozen=True)
class Rows:
    """A set in memory.

    Attributes:
        tensors: As a step of Keras takes them.
        num_rows: How many there are.
    """

    tensors: Any
    num_rows: int


class Programs:
    """Programs and tensors that outlive their trials.

    Attributes:
        is_on: Whether epochs are to run as programs at all.
        tensors: Of the data.
        num_traced: How many programs were made so far.
        num_reused: How many trainings went without.
    """

    def __init__(self, *, max_programs: int = _MAX_PROGRAMS, max_bytes: int = _MAX_BYTES) -> None:
        """Begin empty.

        Args:
            max_programs: How many to keep; those used longest ago go first.
            max_bytes: Of all programs that are kept.
        """
        self.is_on = True
        self.tensors = Tensors(_MAX_DATA_BYTES)
        self.num_traced = 0
        self.num_reused = 0
        self._max_programs = max_programs
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, Program] = OrderedDict()
        self._refused: set[str] = set()
        self._is_clean = False

    def find(self, model: Any, signature: Signature, train: Rows, validation: Rows | None) -> Program | None:
        """The program that trains a model, whose variables are views of the program's from now on.

        Returns:
            None if the model cannot be traced as a program.
        """
        key = f"{signature.text} {_spec(train)} {_spec(validation)}"
        if key in self._refused:
            return None
        program = self._kept.get(key)
        if program is None:
            program = self._trace(key, model, signature, train, validation)
        else:
            program.adopt(model)
            self.num_reused += 1
        if program is not None:
            self._kept[key] = program
            self._kept.move_to_end(key)
            self._make_room()
            self._is_clean = True
        return program

    def end_trial(self) -> None:
        """Let go of what a trial has left behind, but for what programs go on with."""
        if self._is_clean:
            # What `clear_session` does as well, to empty the caches of TensorFlow, would cost the next trial the time
            # to fill them again, and programs leave nothing in there.
            global_state.GLOBAL_STATE_TRACKER = threading.local()
            global_state.GLOBAL_SETTINGS_TRACKER = threading.local()
            gc.collect()
        else:
            keras.utils.clear_session()
        self._is_clean = False

    def clear(self) -> None:
        """Forget all programs and tensors."""
        self._kept.clear()
        self._refused.clear()
        self.tensors = Tensors(_MAX_DATA_BYTES)

    def _trace(
        self, key: str, model: Any, signature: Signature, train: Rows, validation: Rows | None
    ) -> Program | None:
        try:
            program = Program(model, signature.knobs, train.tensors, validation and validation.tensors)
        except _UNTRACEABLE:
            self._refused.add(key)
            return None
        self.num_traced += 1
        return program

    def _make_room(self) -> None:
        if len(self._kept) <= self._max_programs and self._num_bytes() <= self._max_bytes:
            return
        # Many at once: to collect them takes a while, however few they are.
        num_kept = min(len(self._kept), self._max_programs) * 3 // 4
        while len(self._kept) > max(1, num_kept) or (len(self._kept) > 1 and self._num_bytes() > self._max_bytes):
            self._kept.popitem(last=False)
        # They are full of circles, and were frozen with all that lived after an earlier trial.
        gc.unfreeze()

    def _num_bytes(self) -> int:
        return sum(program.size_bytes for program in self._kept.values())


def _spec(rows: Rows | None) -> str:
    if rows is None:
        return "none"
    return str(keras.tree.map_structure(lambda tensor: (str(tensor.shape[1:]), tensor.dtype.name), rows.tensors))


PROGRAMS = Programs()
"""Those of this process: what TensorFlow keeps for them is the process's, too."""
