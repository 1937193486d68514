"""The search space that a KerasTuner function asks for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import keras
import pytest
from structlog.testing import capture_logs

from caviar.contract.space import Space
from worker.objectives.errors import LoadError
from worker.objectives.exploring import Explorer
from worker.objectives.hypermodel import TunerObjective
from worker.objectives.hyperparameters import HyperParameters
from worker.objectives.hyperreading import read
from worker.objectives.loading import offer


def small_model() -> Any:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    return model


def space_of(ask: Callable[[Any], Any]) -> dict[str, Any]:
    """What is read from a function that builds some model after it has asked."""

    def build_model(hp: Any) -> Any:
        ask(hp)
        return small_model()

    space = offer("build_model", TunerObjective("build_model", build_model, None)).space
    return {} if space is None else space.model_dump(exclude_none=True)


def test_every_kind_of_parameter() -> None:
    def ask(hp: Any) -> None:
        hp.Int("units", 32, 512, step=32)
        hp.Int("rows", 16, 300, sampling="log")
        hp.Int("powers", 2, 32, step=2, sampling="log")
        hp.Int("odd", 6, 13, step=3)
        hp.Float("rate", 1e-4, 1e-2, sampling="log")
        hp.Float("share", 0, 1, step=0.3)
        hp.Float("beta", 0.5, 0.999, sampling="reverse_log")
        hp.Choice("activation", ["relu", "tanh"])
        hp.Choice("size", [64, 16])
        hp.Boolean("bias")
        hp.Fixed("answer", 42)
        hp.Int("one", 3, 3)
        hp.Choice("only", ["a"])
        with hp.name_scope("head"):
            hp.Int("units", 1, 2)

    linear = {"scale": "linear"}
    assert space_of(ask) == {
        "units": {"type": "int", "low": 32, "high": 512, "step": 32, **linear},
        "rows": {"type": "int", "low": 16, "high": 300, "step": 1, "scale": "log"},
        "powers": {"type": "categorical", "choices": [2, 4, 8, 16, 32], "ordered": True},
        "odd": {"type": "int", "low": 6, "high": 12, "step": 3, **linear},
        "rate": {"type": "float", "low": 1e-4, "high": 1e-2, "scale": "log"},
        "share": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.3, **linear},
        "beta": {"type": "float", "low": 0.5, "high": 0.999, "scale": "reverse_log"},
        "activation": {"type": "categorical", "choices": ["relu", "tanh"], "ordered": False},
        "size": {"type": "categorical", "choices": [64, 16], "ordered": True},
        "bias": {"type": "categorical", "choices": [False, True], "ordered": False},
        "head_units": {"type": "int", "low": 1, "high": 2, "step": 1, **linear},
    }


@pytest.mark.parametrize(("kind", "low", "high"), [("Float", 0.5, 2.0), ("Int", 1, 9)])
def test_a_reverse_log_beyond_one_is_linear_and_says_so(kind: str, low: float, high: float) -> None:
    with capture_logs() as logs:
        space = space_of(lambda hp: getattr(hp, kind)("x", low, high, sampling="reverse_log"))
    assert space["x"]["scale"] == "linear"
    assert [log["hyperparameter"] for log in logs if log["event"] == "reverse_log_is_linear"] == ["x"]


def test_conditional_scopes_become_conditions() -> None:
    def ask(hp: Any) -> None:
        hp.Choice("kind", ["a", "b", "c"])
        with hp.conditional_scope("kind", ["b", "c"]):
            if hp.Int("depth", 1, 3) == 3:
                with hp.conditional_scope("depth", [3]):
                    hp.Float("deep", 0.0, 1.0)
        hp.Int("units", 1, 4, parent_name="kind", parent_values=["a"])
        hp.Int("units", 1, 4, parent_name="kind", parent_values=["c"])
        hp.Fixed("mode", "on")
        hp.Boolean("always", parent_name="mode", parent_values=["on"])
        hp.Boolean("never", parent_name="mode", parent_values=["off"])

    space = space_of(ask)
    assert {name: body.get("when") for name, body in space.items()} == {
        "kind": None,
        "depth": {"kind": ["b", "c"]},
        "deep": {"kind": ["b", "c"], "depth": [3]},
        "units": {"kind": ["a", "c"]},
        "always": None,
    }


def test_what_only_some_values_ask_for_has_a_condition() -> None:
    def ask(hp: Any) -> None:
        for number in range(hp.Int("num_layers", 1, 3)):
            hp.Int(f"units_{number}", 8, 64)
        if hp.Boolean("dropout"):
            hp.Float("rate", 0.1, 0.5)
        if hp.Choice("optimizer", ["sgd", "adam", "lion"]) == "sgd":
            if hp.Boolean("has_momentum"):
                hp.Float("momentum", 0.1, 0.9)
        else:
            hp.Float("beta", 0.1, 0.9)

    space = space_of(ask)
    assert {name: body.get("when") for name, body in space.items()} == {
        "num_layers": None,
        "units_0": None,
        "units_1": {"num_layers": [2, 3]},
        "units_2": {"num_layers": [3]},
        "dropout": None,
        "rate": {"dropout": [True]},
        "optimizer": None,
        "has_momentum": {"optimizer": ["sgd"]},
        "momentum": {"optimizer": ["sgd"], "has_momentum": [True]},
        "beta": {"optimizer": ["adam", "lion"]},
    }


def test_a_condition_that_a_search_space_cannot_say_is_left_out() -> None:
    def ask(hp: Any) -> None:
        either = hp.Boolean("a"), hp.Boolean("b")
        if any(either):
            hp.Int("units", 1, 9)

    assert "when" not in space_of(ask)["units"]


def test_every_configuration_of_the_space_is_asked_for_in_full() -> None:
    def ask(hp: Any) -> None:
        kind = hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["b"]):
            if kind == "b":
                for number in range(hp.Int("depth", 1, 4)):
                    hp.Float(f"rate_{number}", 0.1, 0.9)
        if hp.Boolean("wide"):
            hp.Int("width", 2, 8, step=2)

    space = Space.model_validate(space_of(ask))
    for number in range(50):
        params = space.params_at([(0.137 * (position + 1) * (number + 1)) % 1 for position in range(len(space))])
        hp = HyperParameters(given=params)
        ask(hp)
        assert hp.at_default == []
        assert hp.values == params


def test_a_run_that_raises_costs_what_it_would_have_asked_for() -> None:
    def ask(hp: Any) -> None:
        if hp.Int("units", 1, 9) == 9:
            raise MemoryError("too big")
        hp.Boolean("bias")

    assert set(space_of(ask)) == {"units", "bias"}


def test_the_number_of_runs_has_a_limit() -> None:
    def ask(hp: Any) -> None:
        for number in range(60):
            hp.Choice(f"c{number}", [1, 2, 3, 4])

    explorer = Explorer(ask)
    explorer.explore()
    explorer.conditions()
    assert explorer.num_runs < 200
    assert len(explorer.found) == 60


def test_the_time_has_a_limit() -> None:
    def ask(hp: Any) -> None:
        for number in range(hp.Int("num_layers", 1, 9)):
            hp.Int(f"units_{number}", 1, 9)

    seconds = itertools.count(0, 10)
    explorer = Explorer(ask, clock=lambda: float(next(seconds)))
    explorer.explore()
    explorer.conditions()
    assert explorer.num_runs < 10
    assert {"num_layers", "units_0"} <= {made.name for made in explorer.found}


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda hp: hp.Int("a", 1, 2**60), "high: received"),
        (lambda hp: hp.Int("a" * 65, 1, 2), "expected the name of a parameter"),
        (lambda hp: (hp.Int("a/b", 1, 2), hp.Int("a b", 1, 2)), "'a/b' and 'a b', which are both 'a_b'"),
        (lambda hp: (hp.Float("a", 0, 1), hp.Int("b", 1, 2, parent_name="a", parent_values=[0.0])),
         "expected a categorical or int parent"),
        (lambda hp: (hp.Boolean("a"), hp.Int("b", 1, 2, parent_name="a", parent_values=[True]),
                     hp.Int("b", 3, 4, parent_name="a", parent_values=[False])), "two hyperparameters 'b'"),
        (lambda hp: hp.Choice("a", [1, 1]), "choices of which no two are equal"),
        (lambda hp: 1 / 0, "raised at the defaults of its hyperparameters: ZeroDivisionError"),
    ],
)  # fmt: skip
def test_what_a_search_space_cannot_hold_is_refused(ask: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(LoadError, match=words.replace("/", ".")):
        space_of(ask)


def test_what_builds_no_model_is_refused() -> None:
    with pytest.raises(LoadError, match="returned int, expected a compiled Keras model"):
        read(TunerObjective("build_model", lambda hp: 3, None))


def test_a_function_that_asks_for_nothing_offers_no_space() -> None:
    assert space_of(lambda hp: None) == {}


def test_a_space_of_the_function_s_own_counts() -> None:
    def build_model(hp: Any) -> Any:
        raise AssertionError("it is not run")

    build_model.space = {"a": {"type": "int", "low": 1, "high": 2}}  # type: ignore[attr-defined]  # as users do
    space = offer("b", TunerObjective("b", build_model, None)).space
    assert space is not None
    assert space.names == ["a"]
