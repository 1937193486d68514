"""Studies to search, and a way to play them without any training."""

from __future__ import annotations

import math
from typing import Any

from caviar.contract.space import Params
from caviar.contract.states import Decision, StopReason, TrialState
from caviar.contract.study import StudySpec
from service.search.mirror import Mirror
from service.search.registry import build_pruner, build_sampler
from service.search.sampler import Proposal

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "scale": "log"},
    "beta_1": {"type": "float", "low": 0.9, "high": 0.999, "scale": "reverse_log"},
    "num_layers": {"type": "int", "low": 1, "high": 4},
    "units": {"type": "int", "low": 16, "high": 512, "scale": "log"},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.1},
    "keep": {"type": "float", "low": 0.01, "high": 0.99, "scale": "logit"},
    "optimizer": {"type": "categorical", "choices": ["sgd", "rmsprop", "adam"]},
    "size": {"type": "categorical", "choices": ["s", "m", "l", "xl"], "ordered": True},
    "momentum": {
        "type": "float",
        "low": 0.5,
        "high": 0.99,
        "scale": "reverse_log",
        "when": {"optimizer": ["sgd"]},
    },
    "is_nesterov": {"type": "categorical", "choices": [True, False], "when": {"optimizer": ["sgd"]}},
}


def study(**changes: Any) -> StudySpec:
    """A study over `SPACE`, 16 epochs per trial, random search without pruning unless changed."""
    body: dict[str, Any] = {
        "name": "a-study",
        "objective": {"name": "mlp"},
        "space": SPACE,
        "strategy": {"kind": "random"},
        "pruner": {"kind": "none"},
        "budget": {"max_trials": 1000, "max_epochs": 16},
        "seed": 7,
    }
    return StudySpec.model_validate(body | changes)


def loss(params: Params, epoch: int) -> float:
    """A curve that falls to a floor, which is least at learning_rate 0.01, beta_1 0.99, dropout 0, adam."""
    distance = (math.log10(float(params["learning_rate"])) + 2) ** 2 / 4
    distance += (math.log10(1 - float(params["beta_1"])) + 2) ** 2
    distance += float(params["dropout"]) + (params["optimizer"] != "adam") * 0.5
    return distance + 2.0 / epoch


def rebuilt(mirror: Mirror) -> Mirror:
    """The mirror as a restarted service would rebuild it from its rows."""
    fresh = Mirror(mirror.spec)
    for opened in mirror.rounds:
        fresh.open_round(opened.model_validate_json(opened.model_dump_json()))
    for trial in mirror.trials:
        fresh.add(trial.number, trial.trial_id, dict(trial.params), round=trial.round, is_proposed=trial.is_proposed)
        was_started = bool(trial.values or trial.promoted_epoch) or trial.state is not TrialState.WAITING
        if was_started:
            fresh.start(trial.number, promoted_epoch=trial.promoted_epoch)
        for epoch, value in sorted(trial.values.items()):
            fresh.measure(trial.number, epoch, value)
        if trial.state is TrialState.WAITING and was_started:
            fresh.requeue(trial.number)
        if trial.state is TrialState.PAUSED:
            fresh.pause(trial.number)
        if trial.state.is_finished:
            fresh.end(trial.number, trial.state, trial.stop_reason)
    return fresh


class Play:
    """A study played with several workers that take turns, one epoch each."""

    def __init__(self, spec: StudySpec, *, num_workers: int = 4) -> None:
        self.mirror = Mirror(spec)
        self.sampler = build_sampler(spec)
        self.pruner = build_pruner(spec)
        self.proposals: list[Proposal] = []
        self._num_workers = num_workers
        self._running: list[int] = []

    def propose(self) -> int:
        """Create the next trial and start it."""
        number = len(self.mirror.trials)
        proposal = self.sampler.propose(self.mirror, number)
        self.proposals.append(proposal)
        if proposal.opened is not None:
            self.mirror.open_round(proposal.opened)
        self.mirror.add(number, number + 1, proposal.params, round=proposal.round)
        self.mirror.start(number)
        return number

    def promote(self, *, is_last_call: bool = False) -> int | None:
        """Let a paused trial go on, if one is good enough."""
        promotion = self.pruner.promote(self.mirror, is_last_call=is_last_call)
        if promotion is None:
            return None
        first_epoch = max(self.mirror.trials[promotion.number].values) + 1
        self.mirror.start(promotion.number, first_epoch=first_epoch, promoted_epoch=promotion.epoch)
        return promotion.number

    def turn(self) -> None:
        """Fill the free workers and train every running trial for one epoch."""
        while len(self._running) < self._num_workers:
            promoted = self.promote()
            self._running.append(self.propose() if promoted is None else promoted)
        self._running = [number for number in self._running if self._train(number)]

    def until(self, num_trials: int) -> Play:
        """Play until so many trials were created."""
        while len(self.mirror.trials) < num_trials:
            self.turn()
        return self

    def _train(self, number: int) -> bool:
        trial, max_epochs = self.mirror.trials[number], self.mirror.spec.budget.max_epochs
        epoch = len(trial.values) + 1
        value = loss(trial.params, epoch)
        verdict = self.pruner.judge(self.mirror, number, epoch, {**trial.values, epoch: value})
        self.mirror.measure(number, epoch, value)
        if epoch == max_epochs:
            self.mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)
        elif verdict.decision is Decision.STOP:
            self.mirror.end(number, TrialState.PRUNED, StopReason.PRUNED)
        elif verdict.decision is Decision.PAUSE:
            self.mirror.pause(number)
        return trial.state is TrialState.RUNNING
