"""Python text of a learning rate over the steps of a training of `mlp`."""

from __future__ import annotations

from dataclasses import dataclass

from caviar.contract import mlp_keras
from caviar.contract.mlp import MlpOptions
from caviar.snippets.source import call

_SCHEDULES = "keras.optimizers.schedules"
_WARM_UP = f'''class WarmUp({_SCHEDULES}.LearningRateSchedule):
    """A rate that rises from step to step, then follows another schedule or stays."""

    def __init__(self, peak, warmup_steps, after=None):
        super().__init__()
        self.peak, self.warmup_steps, self.after = peak, warmup_steps, after

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rising = self.peak * (step + 1.0) / self.warmup_steps
        later = self.peak if self.after is None else self.after(keras.ops.maximum(step - self.warmup_steps, 0.0))
        return keras.ops.where(step < self.warmup_steps, rising, later)

    def get_config(self):
        return {{"peak": self.peak, "warmup_steps": self.warmup_steps, "after": self.after}}'''


@dataclass(frozen=True, slots=True)
class RateText:
    """How a program gets its learning rate.

    Attributes:
        blocks: Statements before the model.
        name: What the optimizer is given.
    """

    blocks: list[str]
    name: str


def write(options: MlpOptions, max_epochs: int) -> RateText:
    """The learning rate of a configuration.

    Args:
        options: Of the configuration.
        max_epochs: Where a cosine ends by default.
    """
    peak = repr(mlp_keras.rate(options))
    schedule = _schedule(options, peak, max_epochs)
    if schedule is None and options.warmup_epochs <= 0:
        return RateText([], peak)
    lines = ["steps_per_epoch = -(-len(train) // batch_size)"]
    if schedule is not None:
        lines.append(f"learning_rate = {schedule}")
    if options.warmup_epochs <= 0:
        return RateText(["\n".join(lines)], "learning_rate")
    after = "learning_rate" if schedule is not None else "None"
    otherwise = "learning_rate" if schedule is not None else peak
    lines += [
        f"warmup_steps = round({options.warmup_epochs!r} * steps_per_epoch)",
        f"learning_rate = WarmUp({peak}, warmup_steps, {after}) if warmup_steps > 0 else {otherwise}",
    ]
    return RateText([f"\n{_WARM_UP}\n", "\n".join(lines)], "learning_rate")


def _schedule(options: MlpOptions, peak: str, max_epochs: int) -> str | None:
    kind, epochs = options.learning_rate_schedule, options.decay_epochs
    if kind == "constant":
        return None
    if kind in ("step", "exponential"):
        usual, factor = (10.0, 0.5) if kind == "step" else (1.0, 0.96)
        return call(
            f"{_SCHEDULES}.ExponentialDecay",
            peak,
            decay_steps=_steps(epochs or usual),
            decay_rate=repr(options.decay_rate or factor),
            staircase=repr(kind == "step"),
        )
    alpha = repr(options.alpha)
    if kind == "cosine":
        steps = _steps(max_epochs - options.warmup_epochs if epochs is None else epochs)
        return call(f"{_SCHEDULES}.CosineDecay", peak, decay_steps=steps, alpha=alpha)
    first, t_mul, m_mul = _steps(epochs or 10.0), repr(options.t_mul), repr(options.m_mul)
    restarts = f"{_SCHEDULES}.CosineDecayRestarts"
    return call(restarts, peak, first_decay_steps=first, t_mul=t_mul, m_mul=m_mul, alpha=alpha)


def _steps(epochs: float) -> str:
    return f"max(1, round({epochs!r} * steps_per_epoch))"
