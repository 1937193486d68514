"""Find out what a KerasTuner function asks for, and when, by running it with many values."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from caviar.contract.model import Scalar
from worker.objectives.hyperparameters import HyperParameter, HyperParameters
from worker.objectives.hyperspace import When

_MAX_RUNS = 150
_MAX_S = 30.0
_NUM_TRIALS = 10
_MAX_VALUES = 32

Values = Mapping[str, Scalar]
Key = frozenset[tuple[str, Scalar]]


@dataclass(frozen=True)
class Run:
    """What one run asked for.

    Attributes:
        values: Those that the run saw, by name.
        space: In order.
        scopes: Conditions of the scopes that did not apply.
        error: What it raised; then there may be more that it would have asked for.
    """

    values: dict[str, Scalar]
    space: list[HyperParameter]
    scopes: list[tuple[Any, ...]]
    error: Exception | None = None


@dataclass
class Explorer:
    """Runs a function with values that make it ask for more.

    Attributes:
        function: Runs the user's code; whatever it raises is kept in the run.
        found: Everything that was asked for, in order, parents first.
        clock: Seconds of a monotonic clock.
    """

    function: Callable[[HyperParameters], object]
    found: list[HyperParameter] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic
    _runs: dict[Key, Run] = field(default_factory=dict)
    _contexts: dict[str, Values] = field(default_factory=dict)
    _start_s: float | None = None

    def run(self, given: Values) -> Run:
        """Run with some values, and the defaults for all others; the same values are run once."""
        key = frozenset(given.items())
        if key not in self._runs:
            record = HyperParameters(dict(given))
            error: Exception | None = None
            try:
                self.function(record)
            except Exception as raised:  # noqa: BLE001 - whatever user code raises is looked at by the caller
                error = raised
            asked = {made.name for made in record.space if record.is_active(made)}
            values = {name: value for name, value in record.values.items() if name in asked}
            self._runs[key] = Run(values, record.space, record.inactive_scopes, error)
            self._note(self._runs[key], given)
        return self._runs[key]

    def explore(self) -> None:
        """Fill `found`: run with either end of every number, with every choice, and with what opens closed scopes."""
        places: list[Values] = [{}]
        seen = set(self.run({}).values)
        while places:
            base = places.pop()
            for name, value in self._probes(base):
                if not self._has_runs_left:
                    return
                after = self.run({**base, name: value})
                if after.error is None and not after.values.keys() <= seen:
                    seen |= after.values.keys()
                    # From there, more may come to light; if it hides nothing, there is no need to look from here.
                    places.append({**base, name: value})
                    if self.run(base).values.keys() <= after.values.keys():
                        break

    def conditions(self) -> dict[str, When]:
        """Conditions of parameters that only a part of the runs asks for, without a scope that says so.

        Those of `for i in range(hp.Int("layers", 1, 3))` and `if hp.Boolean("dropout")`: found by trying every value of
        every parent, and kept only where random configurations agree.
        """
        inferred: dict[str, When] = {}
        names = [made.name for made in self.found]
        for name in names:
            if names.count(name) == 1 and (when := self._condition(name)):
                inferred[name] = when
        chance = random.Random(0)
        for _ in range(_NUM_TRIALS):
            if not inferred:
                break
            self._verify(inferred, {made.name: _draw(made, chance) for made in self.found if made.kind != "fixed"})
        return inferred

    @property
    def num_runs(self) -> int:
        """How often the function was run."""
        return len(self._runs)

    @property
    def _has_runs_left(self) -> bool:
        # Great models are built slowly, and a worker is to start.
        if self._start_s is None:
            self._start_s = self.clock()
        return len(self._runs) < _MAX_RUNS and self.clock() < self._start_s + _MAX_S

    def _note(self, run: Run, given: Values) -> None:
        for made in run.space:
            if not any((one.name, one.conditions) == (made.name, made.conditions) for one in self.found):
                self.found.append(made)
            if made.name in run.values:
                self._contexts.setdefault(made.name, given)

    def _probes(self, base: Values) -> Iterator[tuple[str, Scalar]]:
        run = self.run(base)
        for scope in run.scopes:
            for condition in scope:
                if not condition.is_met(run.values):
                    yield from ((condition.name, value) for value in condition.values)
        for made in run.space:
            if made.name in run.values:
                yield from ((made.name, value) for value in _ends(made))

    def _condition(self, name: str) -> When:
        context = self._contexts.get(name)
        if context is None or self.run(context).error is not None:
            return {}
        when: When = {}
        for parent in self._parents(context):
            values = [v for v in parent.values or () if name in self.run({**context, parent.name: v}).values]
            if len(values) < len(parent.values or ()):
                when[parent.name] = values
        return when

    def _parents(self, context: Values) -> Iterator[HyperParameter]:
        """What the other parameters of a run may depend on."""
        run = self.run(context)
        for made in run.space:
            if not self._has_runs_left:
                return
            if made.name not in run.values or not 1 < len(made.values or ()) <= _MAX_VALUES:
                continue
            ends = [self.run({**context, made.name: value}) for value in _ends(made)]
            if len({frozenset(end.values) for end in ends}) == 1:
                continue
            runs = [self.run({**context, made.name: value}) for value in made.values or ()]
            if not any(one.error for one in runs):
                yield made

    def _verify(self, inferred: dict[str, When], values: Values) -> None:
        run = self.run(values)
        if run.error is not None:
            return
        for name in list(inferred):
            if name in run.values and any(
                run.values.get(parent) not in allowed for parent, allowed in inferred[name].items()
            ):
                del inferred[name]


def _ends(made: HyperParameter) -> Sequence[Scalar]:
    if made.kind in ("int", "float"):
        return (made.high, made.low) if made.kind == "int" else ()
    return (made.values or ())[:_MAX_VALUES]


def _draw(made: HyperParameter, chance: random.Random) -> Scalar:
    if made.values is not None:
        return chance.choice(made.values)
    if made.kind == "int":
        return chance.randint(int(made.low), int(made.high))
    return chance.uniform(made.low, made.high)
