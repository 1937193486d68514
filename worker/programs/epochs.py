"""Train a model by its program, with the same calls of its callbacks as Keras's `fit`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from worker import order
from worker.callbacks import EpochReporter
from worker.programs import signature
from worker.programs.cache import Programs, Rows
from worker.programs.program import Program

# An urgent stop waits for no more than this.
_MAX_CALL_S = 0.25
_GROWTH = 8
_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
_TEST_HOOKS = ("on_test_batch_begin", "on_test_batch_end")
# What these look at after a batch stays true until the end of the epoch, or is of no interest before it.
_PATIENT = (EpochReporter, keras.callbacks.TerminateOnNaN)


@dataclass(frozen=True)
class Plan:
    """How a model is trained.

    Attributes:
        train: The training set.
        validation: The validation set; None for none.
        batch_size: Rows per step.
        validation_batch_size: Rows per step of the validation.
        validation_freq: As `fit` takes it.
        seed: Of the trial.
    """

    train: Rows
    validation: Rows | None
    batch_size: int
    validation_batch_size: int
    validation_freq: Any
    seed: int

    @property
    def num_steps(self) -> int:
        """Steps per epoch."""
        return -(-self.train.num_rows // self.batch_size)


def accepts(callbacks: Sequence[Any]) -> bool:
    """Whether callbacks get along with whole epochs: only ours and Keras's look at single steps."""
    return not any(_overrides(callback, _TEST_HOOKS) or _needs_batches(callback) for callback in callbacks)


def train(
    model: Any,
    plan: Plan,
    callbacks: Sequence[Any],
    programs: Programs,
    *,
    first_epoch: int,
    max_epochs: int,
) -> bool:
    """Train from an epoch to another, or until a callback sets `stop_training`.

    Args:
        model: Built and compiled.
        plan: How.
        callbacks: Those that `accepts` has accepted.
        programs: Where to find the program, and to leave a new one.
        first_epoch: The first epoch to train, from 1.
        max_epochs: The last one.
    Returns:
        Whether it was trained; if not, nothing has happened to it.
    """
    try:
        training = _Training.begin(model, plan, programs)
    except signature.NotReusable:
        return False
    if training is None:
        return False
    calls = keras.callbacks.CallbackList(
        list(callbacks),
        add_history=True,
        add_progbar=False,
        verbose=0,
        epochs=max_epochs,
        steps=plan.num_steps,
        model=model,
    )
    model.stop_training = False
    calls.on_train_begin()
    logs: dict[str, float] | None = None
    for epoch in range(model._initial_epoch or first_epoch - 1, max_epochs):
        calls.on_epoch_begin(epoch)
        if logs is None and not all(map(_is_known, callbacks)):
            # Before the first step a callback may still change numbers of the model.
            training = _Training.begin(model, plan, programs) or training
        logs = training.epoch(epoch, calls)
        calls.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    calls.on_train_end(logs)
    return True


@dataclass(frozen=True)
class _Training:
    model: Any
    plan: Plan
    program: Program
    knobs: Any

    @classmethod
    def begin(cls, model: Any, plan: Plan, programs: Programs) -> _Training | None:
        import tensorflow as tf

        found = signature.of(model)
        program = programs.find(model, found, plan.train, plan.validation)
        knobs = tf.constant([knob.value for knob in found.knobs], tf.float64)
        return None if program is None else cls(model, plan, program, knobs)

    def epoch(self, epoch: int, calls: Any) -> dict[str, float]:
        """Train and validate one epoch, from 0."""
        plan = self.plan
        numbers = order.of_epoch(plan.train.num_rows, seed=plan.seed, epoch=epoch + 1)
        logs: dict[str, Any] = {}
        for first, last in _calls(plan.num_steps):
            calls.on_train_batch_begin(first)
            logs = _plain(
                self.program.train(
                    self.knobs, plan.train.tensors, numbers, first=first, last=last, batch_size=plan.batch_size
                )
            )
            calls.on_train_batch_end(last - 1, logs)
            if self.model.stop_training:
                break
        if plan.validation is not None and self.model._should_eval(epoch, plan.validation_freq):
            logs |= {f"val_{name}": value for name, value in self._validate(plan.validation, calls).items()}
        return logs

    def _validate(self, rows: Rows, calls: Any) -> dict[str, float]:
        size = self.plan.validation_batch_size
        calls.on_test_begin()
        logs = _plain(self.program.test(self.knobs, rows.tensors, last=-(-rows.num_rows // size), batch_size=size))
        calls.on_test_end(logs)
        return logs


def _calls(num_steps: int) -> Iterator[tuple[int, int]]:
    """The first step of each call and the one before which it ends: few calls, none of which takes long."""
    first, size = 0, 1
    while first < num_steps:
        last = min(first + size, num_steps)
        started = time.perf_counter()
        yield first, last
        step_s = (time.perf_counter() - started) / (last - first)
        size = max(1, min(size * _GROWTH, int(_MAX_CALL_S / step_s)))
        first = last


def _plain(logs: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in sorted(logs.items())}


def _needs_batches(callback: Any) -> bool:
    if isinstance(callback, _PATIENT):
        return False
    if isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_freq == "epoch":
        return False
    return _overrides(callback, _BATCH_HOOKS)


def _overrides(callback: Any, hooks: Sequence[str]) -> bool:
    return not all(keras.src.utils.is_default(getattr(callback, hook)) for hook in hooks)


def _is_known(callback: Any) -> bool:
    kind = type(callback)
    is_kerass = kind.__module__.startswith("keras.src.") and kind is not keras.callbacks.LambdaCallback
    return is_kerass or kind.__module__.startswith("worker.")
