"""Learning rates over the steps of a training: Keras's schedules, with a warm-up before any of them."""

from __future__ import annotations

from typing import Any

import keras
from keras.optimizers import schedules

from caviar.contract.mlp import MlpOptions
from caviar.contract.mlp_keras import rate
from caviar.contract.study import Metric
from worker.objectives.errors import Infeasible


def build(options: MlpOptions, *, steps_per_epoch: int, max_epochs: int | None) -> Any:
    """A learning rate for an optimizer.

    Args:
        options: Which schedule, and its options in epochs.
        steps_per_epoch: Steps of the optimizer per epoch.
        max_epochs: Last epoch of the training, where a cosine ends by default; None if it is not known.
    Returns:
        A number if the rate is constant, or else a Keras schedule.
    Raises:
        Infeasible: The schedule has no epochs to run over.
    """
    warmup_steps = round(options.warmup_epochs * steps_per_epoch)
    after = _after_warmup(options, steps_per_epoch, max_epochs)
    return WarmUp(rate(options), warmup_steps, after) if warmup_steps > 0 else after or rate(options)


def callbacks(options: MlpOptions, metric: Metric) -> list[Any]:
    """New callbacks: ReduceLROnPlateau if it is asked for."""
    if not options.reduce_lr_on_plateau:
        return []
    return [
        keras.callbacks.ReduceLROnPlateau(
            monitor=metric.name,
            mode=metric.direction[:3],
            factor=options.plateau_factor,
            patience=options.plateau_patience,
            min_delta=options.plateau_min_delta,
            cooldown=options.plateau_cooldown,
            min_lr=options.plateau_min_lr,
        )
    ]


def _after_warmup(options: MlpOptions, steps_per_epoch: int, max_epochs: int | None) -> Any:
    kind, peak = options.learning_rate_schedule, rate(options)
    if kind == "constant":
        return None
    if kind in ("step", "exponential"):
        epochs, factor = (10.0, 0.5) if kind == "step" else (1.0, 0.96)
        return schedules.ExponentialDecay(
            peak,
            decay_steps=_steps(options.decay_epochs or epochs, steps_per_epoch),
            decay_rate=options.decay_rate or factor,
            staircase=kind == "step",
        )
    if kind == "cosine":
        return schedules.CosineDecay(
            peak, decay_steps=_cosine_steps(options, steps_per_epoch, max_epochs), alpha=options.alpha
        )
    return schedules.CosineDecayRestarts(
        peak,
        first_decay_steps=_steps(options.decay_epochs or 10.0, steps_per_epoch),
        t_mul=options.t_mul,
        m_mul=options.m_mul,
        alpha=options.alpha,
    )


def _cosine_steps(options: MlpOptions, steps_per_epoch: int, max_epochs: int | None) -> int:
    if options.decay_epochs is not None:
        return _steps(options.decay_epochs, steps_per_epoch)
    if max_epochs is None:
        raise Infeasible(
            "learning_rate_schedule cosine without decay_epochs, expected the number of epochs over which "
            "the rate falls; set decay_epochs"
        )
    if options.warmup_epochs >= max_epochs:
        raise Infeasible(
            f"warmup_epochs {options.warmup_epochs} leaves nothing of {max_epochs} epochs for the cosine; "
            "warm up for fewer epochs, or set decay_epochs"
        )
    return _steps(max_epochs - options.warmup_epochs, steps_per_epoch)


def _steps(epochs: float, steps_per_epoch: int) -> int:
    return max(1, round(epochs * steps_per_epoch))


@keras.saving.register_keras_serializable(package="caviar")
class WarmUp(schedules.LearningRateSchedule):
    """A rate that rises linearly from step to step, then follows another schedule or stays.

    Source: Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 2.2, gradual warmup.
    """

    def __init__(self, peak: float, warmup_steps: int, after: Any = None) -> None:
        """Keep the three.

        Args:
            peak: Rate at the last step of the warm-up.
            warmup_steps: Steps of the warm-up, at least 1.
            after: Schedule that begins, at its own step 0, after the warm-up; None to stay at the peak.
        """
        super().__init__()
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.after = after

    def __call__(self, step: Any) -> Any:
        """The rate of a step, from 0."""
        from keras import ops

        step = ops.cast(step, "float32")
        rising = self.peak * (step + 1.0) / self.warmup_steps
        later = self.peak if self.after is None else self.after(ops.maximum(step - self.warmup_steps, 0.0))
        return ops.where(step < self.warmup_steps, rising, later)

    def get_config(self) -> dict[str, Any]:
        """What makes an equal one."""
        after = None if self.after is None else keras.saving.serialize_keras_object(self.after)
        return {"peak": self.peak, "warmup_steps": self.warmup_steps, "after": after}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        """An equal one."""
        after = config["after"] and keras.saving.deserialize_keras_object(config["after"])
        return cls(config["peak"], config["warmup_steps"], after)
