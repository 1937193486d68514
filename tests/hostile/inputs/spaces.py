"""Search spaces at the edges of arithmetic, and what samplers make of them."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from caviar.contract.errors import InvalidRequest
from caviar.contract.scales import SCALES, Axis
from caviar.contract.space import Space
from caviar.contract.states import StopReason, TrialState
from caviar.contract.study import StudySpec
from service.search.mirror import Mirror
from service.search.preview import preview
from service.search.registry import build_sampler
from service.search.sampler import SpaceExhausted
from tests.hostile import drawing
from tests.hostile.oracles import bounded, read, refused_well
from worker.objectives.errors import LoadError
from worker.objectives.hyperparameters import HyperParameters
from worker.objectives.hyperspace import translate

_QUICK = ("random", "quasi_random", "grid", "coarse_to_fine")
_names = st.sampled_from(["a", "b", "c"])
_real = st.fixed_dictionaries(
    {
        "type": st.just("float"),
        "low": drawing.floats,
        "high": drawing.floats,
        "scale": st.sampled_from(["linear", "log", "reverse_log", "logit", "1-beta"]),
    },
    optional={"step": drawing.floats},
)
_whole = st.fixed_dictionaries(
    {
        "type": st.just("int"),
        "low": drawing.wholes,
        "high": drawing.wholes,
        "scale": st.sampled_from(["linear", "log"]),
    },
    optional={"step": drawing.wholes},
)
_listed = st.fixed_dictionaries(
    {"type": st.just("categorical"), "choices": st.lists(drawing.scalars, min_size=1, max_size=5)},
    optional={"ordered": st.booleans()},
)
_parameters = st.one_of(_real, _whole, _listed)


@st.composite
def _near(draw: st.DrawFn) -> dict[str, Any]:
    """A range of neighbouring numbers, or of neighbouring steps."""
    low = draw(drawing.floats.filter(math.isfinite))
    high = low
    for _ in range(draw(st.integers(1, 3))):
        high = math.nextafter(high, math.inf)
    scale = draw(st.sampled_from(["linear", "log", "reverse_log", "logit"]))
    return {"type": "float", "low": low, "high": high, "scale": scale}


@st.composite
def _stepped(draw: st.DrawFn) -> dict[str, Any]:
    """A range that is a whole number of steps."""
    low, step = draw(drawing.floats.filter(math.isfinite)), draw(drawing.floats.filter(math.isfinite))
    high = low + step * draw(st.integers(1, 10))
    scale = draw(st.sampled_from(["linear", "log", "reverse_log"]))
    return {"type": "float", "low": low, "high": high, "step": step, "scale": scale}


_bodies = st.dictionaries(_names, st.one_of(_parameters, _near(), _stepped()), min_size=1, max_size=3)
_conditions = st.dictionaries(_names, st.lists(drawing.scalars, max_size=3), max_size=2)


@given(_bodies, st.one_of(st.none(), st.tuples(_names, _conditions)), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def spaces(body: dict[str, Any], when: tuple[str, Any] | None, units: list[float]) -> None:
    """An accepted space gives configurations that it accepts itself, from each corner and from within."""
    if when is not None and when[0] in body:
        body = {**body, when[0]: {**body[when[0]], "when": when[1]}}
    with bounded():
        space = read(Space, body)
        if space is None:
            return
        _ = space.num_configurations
        for point in (units, [0.0] * 3, [1.0] * 3, [0.5] * 3, [math.nextafter(1, 0)] * 3):
            params = space.params_at(point[: len(space)])
            assert space.check(params) == params
            for unit in space.units_of(params):
                assert unit is None or 0 <= unit <= 1


@given(_bodies, st.sampled_from(_QUICK), st.integers(0, 2**53 - 1))
def samplers(body: dict[str, Any], kind: str, seed: int) -> None:
    """Whatever a sampler proposes in an accepted space is in it."""
    spec = read(StudySpec, _study(body, {"kind": kind}, seed))
    if spec is None or spec.space is None:
        return
    with bounded():
        try:
            shown = preview(spec, 12)
        except InvalidRequest as error:
            refused_well(error)
            return
        for params in shown.configurations:
            assert spec.space.check(params) == params
        shown.model_dump_json()


@given(_bodies, st.sampled_from(["tpe", "gp", "cma_es", "auto"]), st.lists(drawing.floats, min_size=12, max_size=12))
def learning_samplers(body: dict[str, Any], kind: str, results: list[float]) -> None:
    """So it is with those that learn, from whatever finite values."""
    options = {"n_startup_trials": 3} if kind in ("tpe", "gp", "cma_es") else {}
    spec = read(StudySpec, _study(body, {"kind": kind, **options}, 7))
    if spec is None or spec.space is None:
        return
    try:
        sampler, mirror = build_sampler(spec), Mirror(spec)
    except InvalidRequest as error:
        refused_well(error)
        return
    assume(all(map(math.isfinite, results)))
    with bounded():
        for number, value in enumerate(results):
            try:
                proposal = sampler.propose(mirror, number)
            except SpaceExhausted:
                return
            assert spec.space.check(proposal.params) == proposal.params
            mirror.add(number, number + 1, proposal.params, round=proposal.round)
            mirror.measure(number, 1, value)
            mirror.end(number, TrialState.COMPLETE, StopReason.MAX_EPOCHS)


@given(st.sampled_from(list(SCALES)), drawing.floats, drawing.floats, st.floats(0, 1))
def scales(name: Any, low: float, high: float, unit: float) -> None:
    """A scale leads from the unit interval into the range, and back to where it came from."""
    scale = SCALES[name]
    assume(low < high and math.isfinite(high - low) and scale.contains(low) and scale.contains(high))
    assume(scale.forward(low) < scale.forward(high))
    axis = Axis(scale, low, high)
    value = axis.from_unit(unit)
    assert low <= value <= high
    assert 0 <= axis.to_unit(value) <= 1
    assert axis.from_unit(0.0) == low
    assert axis.from_unit(1.0) == high


_arguments = st.dictionaries(
    st.sampled_from(["min_value", "max_value", "step", "sampling", "default", "values", "value", "ordered"]),
    st.one_of(drawing.scalars, st.sampled_from(["log", "reverse_log"]), st.lists(drawing.scalars, max_size=4)),
    max_size=5,
)
_methods = st.sampled_from(["Int", "Float", "Choice", "Boolean", "Fixed"])


@given(st.lists(st.tuples(_methods, drawing.texts, _arguments), max_size=4))
def hyperparameters(asked: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Whatever an objective of KerasTuner's asks for, its space is refused in words or can be read."""
    made = HyperParameters()
    with bounded():
        for kind, name, arguments in asked:
            try:
                getattr(made, kind)(name, **arguments)
            except (ValueError, TypeError, OverflowError):  # The explorer makes a `LoadError` of what it raises.
                continue
        try:
            body = translate("objective", made.space, {})
        except LoadError as error:
            str(error).encode(errors="replace")
            return
        if body:
            read(Space, body)


def _study(space: dict[str, Any], strategy: dict[str, Any], seed: int) -> dict[str, Any]:
    return {"name": "s", "objective": {"name": "o"}, "space": space, "strategy": strategy, "seed": seed}
