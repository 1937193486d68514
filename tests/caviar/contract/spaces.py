"""Hypothesis strategies of parameters and spaces that are valid."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from caviar.contract.space import Space

UNIT = st.floats(0, 1)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
SCALARS = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
)
_BOUNDS = {
    "linear": st.floats(-1e9, 1e9),
    "log": st.floats(1e-12, 1e9),
    "reverse_log": st.floats(0, 0.999999),
    "logit": st.floats(1e-9, 0.999999),
}


@st.composite
def floats(draw: st.DrawFn) -> dict[str, Any]:
    """A continuous parameter on any scale."""
    scale = draw(st.sampled_from(sorted(_BOUNDS)))
    low, high = sorted(draw(st.tuples(_BOUNDS[scale], _BOUNDS[scale]).filter(lambda pair: pair[0] != pair[1])))
    return {"type": "float", "low": low, "high": high, "scale": scale}


@st.composite
def grids(draw: st.DrawFn) -> dict[str, Any]:
    """A float with a step, whose numbers have few decimals."""
    unit = Decimal(1).scaleb(-draw(st.integers(0, 5)))
    step, steps = draw(st.integers(1, 50)), draw(st.integers(1, 500))
    scale = draw(st.sampled_from(["linear", "log"]))
    low = draw(st.integers(-1000, 1000)) if scale == "linear" else draw(st.integers(step, 1000))
    high = low + steps * step
    return {
        "type": "float",
        "low": float(low * unit),
        "high": float(high * unit),
        "step": float(step * unit),
        "scale": scale,
    }


@st.composite
def ints(draw: st.DrawFn) -> dict[str, Any]:
    """A whole number, linear or log, with or without a step."""
    step, steps = draw(st.integers(1, 50)), draw(st.integers(1, 2000))
    scale = draw(st.sampled_from(["linear", "log"]))
    low = draw(st.integers(-10_000, 10_000)) if scale == "linear" else draw(st.integers(step, 10_000))
    return {"type": "int", "low": low, "high": low + steps * step, "step": step, "scale": scale}


@st.composite
def categoricals(draw: st.DrawFn) -> dict[str, Any]:
    """One of several choices, among them 1 beside true."""
    choices = draw(st.lists(SCALARS, min_size=1, max_size=8, unique_by=lambda x: (isinstance(x, bool), x)))
    return {"type": "categorical", "choices": choices, "ordered": draw(st.booleans())}


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """A space with conditions on earlier or later parameters, but without a circle."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    body: dict[str, Any] = {}
    for name in names:
        parameter = draw(floats() | grids() | ints() | categoricals())
        parents: list[str] = [p for p in body if body[p]["type"] != "float"]
        is_conditional: bool = draw(st.booleans())
        if parents and is_conditional:
            parent = draw(st.sampled_from(parents))
            values = body[parent].get("choices") or [body[parent]["low"], body[parent]["high"]]
            parameter["when"] = {parent: draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))}
        body[name] = parameter
    order: st.SearchStrategy[list[str]] = st.permutations(names)
    return Space.model_validate({name: body[name] for name in draw(order)})


@st.composite
def small_spaces(draw: st.DrawFn) -> Space:
    """A finite space of few configurations, with conditions on one or two parents."""
    body: dict[str, Any] = {}
    for name in "abcde"[: draw(st.integers(1, 5))]:
        count = draw(st.integers(1, 3))
        parameter: dict[str, Any] = draw(
            st.sampled_from(
                [
                    {"type": "categorical", "choices": [True, 1, "x"][:count], "ordered": draw(st.booleans())},
                    {"type": "int", "low": 4, "high": 4 + 2 * count, "step": 2, "scale": "log"},
                    {"type": "float", "low": 0.1, "high": 0.1 + 0.1 * count, "step": 0.1},
                ]
            )
        )
        parents = [parent for parent in body if body[parent]["type"] != "float"]
        for parent in draw(st.lists(st.sampled_from(parents), max_size=2, unique=True)) if parents else []:
            values = body[parent].get("choices") or list(range(4, body[parent]["high"] + 1, 2))
            parameter.setdefault("when", {})[parent] = draw(st.lists(st.sampled_from(values), min_size=1, max_size=2))
        body[name] = parameter
    return Space.model_validate(body)
