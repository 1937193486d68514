"""What people do meanwhile: submit studies, edit, pause and resume them, stop trials, run them again, add their own."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

from tests.chaos.faults import Fault
from tests.chaos.stage import Stage
from tests.chaos.training import OBJECTIVE
from tests.chaos.wire import Broken

_NUM_OPEN = 4
_TAKEN = (200, 201)
_PATIENCE_S = 2.0
_LONG_MIN = 2.0
_TRIES = 8
_SPACE = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "y": {"type": "float", "low": 0.001, "high": 1.0, "scale": "log"},
    "z": {"type": "categorical", "choices": ["a", "b", "c"]},
}
_ASHA = {"kind": "asha", "min_resource": 1, "reduction_factor": 3}
# Strategy, pruner, and what else is particular about the studies in turn.
_KINDS: tuple[tuple[dict[str, Any], dict[str, Any], dict[str, Any]], ...] = (
    ({"kind": "coarse_to_fine"}, _ASHA, {}),
    ({"kind": "random"}, {"kind": "none"}, {"max_total_epochs": 90, "max_parallel": 4}),
    ({"kind": "tpe"}, {"kind": "median"}, {"max_parallel": 3}),
    ({"kind": "quasi_random"}, {"kind": "hyperband", "min_resource": 1, "reduction_factor": 3}, {}),
    ({"kind": "random"}, _ASHA, {"max_trials": None, "max_total_epochs": 120}),
)

DEEDS = frozenset({"study_edited", "study_paused", "study_resumed", "trial_stopped", "trial_retried", "trial_enqueued"})
"""What people do at least once in every run."""


class People:
    """Those who use the service.

    Attributes:
        counts: How often each thing was done.
        names: Of all studies, in the order that they were submitted in.
    """

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self.names: list[str] = []
        self._stage = stage
        self._chance = chance
        self._open: list[str] = []

    def deeds(self) -> dict[str, Fault]:
        """What they do to studies and trials, by kind; an attempt counts as done once the service says so."""
        return {
            "study_edited": self._edit,
            "study_paused": self._pause,
            "trial_stopped": lambda: self._steer_trial("stop"),
            "trial_retried": lambda: self._steer_trial("retry"),
            "trial_enqueued": self._enqueue,
        }

    async def submit(self) -> None:
        """Submit studies of all kinds until some are open."""
        for name in list(self._open):
            if await self._has_ended(name):
                self._open.remove(name)
        while len(self._open) < _NUM_OPEN:
            await self._submit_one()

    async def keep_submitting(self) -> None:
        """Keep some studies open until cancelled."""
        while True:
            await self.submit()
            await asyncio.sleep(0.5)

    async def finish(self, deadline_s: float) -> list[str]:
        """Resume what is paused, and wait for the end of all studies.

        Returns:
            Names of those that have not ended by then.
        """
        left = list(self.names)
        try:
            async with asyncio.timeout(deadline_s):
                while left:
                    for name in list(left):
                        await self._ask("POST", f"/studies/{name}:resume")
                        if await self._has_ended(name):
                            left.remove(name)
                    await asyncio.sleep(0.5)
        except TimeoutError:
            pass
        return left

    async def _ask(self, verb: str, path: str, body: object = None) -> tuple[int, Any]:
        try:
            return await self._stage.wire.call(verb, path, body, timeout_s=_PATIENCE_S)
        except Broken:
            return 0, None

    async def _has_ended(self, name: str) -> bool:
        status, study = await self._ask("GET", f"/studies/{name}")
        return status == 200 and study is not None and study["state"] in ("complete", "stopped")

    async def _submit_one(self) -> None:
        number = len(self.names)
        body = self._body(number)
        # The same body again finds the study that it made: its answer may have been lost.
        while True:
            status, _ = await self._ask("POST", "/studies", body)
            if status in _TAKEN:
                break
            await asyncio.sleep(0.3)
        self.names.append(body["name"])
        self._open.append(body["name"])

    def _body(self, number: int) -> dict[str, Any]:
        strategy, pruner, limits = _KINDS[number % len(_KINDS)]
        is_real = bool(self._stage.real) and number % _NUM_OPEN == 1
        name = "trained" if is_real else OBJECTIVE
        # What is open when the faults are over is trained to its end, for which a short run has no time.
        size = 24 if self._stage.plan.minutes >= _LONG_MIN else 8
        budget = {"max_trials": size, "max_epochs": 9, **limits}
        if is_real:
            # There are few real workers, each with one slot.
            budget |= {"max_trials": 8, "max_epochs": 4}
        return {
            "name": f"chaos-{number}",
            "objective": {"name": name, "config": {"epoch_s": 0.1} if is_real else {}},
            "space": {key: _SPACE[key] for key in ("x", "y")} if is_real else _SPACE,
            "strategy": strategy,
            "pruner": pruner,
            "early_stopping": None,
            "budget": budget,
            "checkpoints": {"every_epochs": 3, "every_s": None, "keep_best": 1},
            "retries": 4,
            "seed": self._stage.plan.seed + number,
        }

    async def _done(self, kind: str, verb: str, path: str, body: object = None) -> None:
        if await self._insist(verb, path, body) is not None:
            self.counts[kind] += 1

    async def _insist(self, verb: str, path: str, body: object = None) -> Any:
        """The answer to a request that is repeated until there is one; None if it is no, or does not come."""
        for _ in range(_TRIES):
            status, answer = await self._ask(verb, path, body)
            if 200 <= status < 300:
                return answer
            if 400 <= status < 500:
                break
            await asyncio.sleep(0.2)
        return None

    def _some_study(self) -> str:
        return self._chance.choice(self._open or self.names)

    async def _edit(self) -> None:
        name = self._some_study()
        draw = self._chance.randint
        changes: list[dict[str, Any]] = [
            {"budget": {"max_parallel": draw(1, 6)}},
            {"budget": {"max_parallel": None}},
            {"budget": {"max_epochs": draw(3, 10)}},
            {"priority": draw(-1, 1)},
            {"tags": {"who": f"{draw(0, 9)}"}},
            {"checkpoints": {"every_epochs": draw(1, 4), "every_s": None, "keep_best": draw(0, 2)}},
        ]
        await self._done("study_edited", "PATCH", f"/studies/{name}", self._chance.choice(changes))

    async def _pause(self) -> None:
        name = self._some_study()
        await self._done("study_paused", "POST", f"/studies/{name}:pause")
        await asyncio.sleep(self._chance.uniform(0.5, 3.0))
        await self._done("study_resumed", "POST", f"/studies/{name}:resume")

    async def _steer_trial(self, verb: str) -> None:
        states = ("running", "waiting", "paused") if verb == "stop" else ("complete", "failed", "cancelled", "pruned")
        page = await self._insist("GET", f"/studies/{self._some_study()}/trials?limit=100")
        found = [trial["trial_id"] for trial in (page or {}).get("items", ()) if trial["state"] in states]
        if found:
            kind = "trial_stopped" if verb == "stop" else "trial_retried"
            await self._done(kind, "POST", f"/trials/{self._chance.choice(found)}:{verb}")

    async def _enqueue(self) -> None:
        name = self._some_study()
        params = {"x": self._chance.random(), "y": self._chance.uniform(0.001, 1.0)}
        study = await self._insist("GET", f"/studies/{name}")
        if study is None:
            return
        if study["objective"]["name"] == OBJECTIVE:
            params["z"] = self._chance.choice("abc")  # type: ignore[assignment]  # one of the choices
        await self._done("trial_enqueued", "POST", f"/studies/{name}/trials", {"params": params})
