"""Values for KerasTuner functions: asked for as KerasTuner's own `HyperParameters` is, with the same answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras_tuner
import pytest

from worker.objectives.hyperparameters import HyperParameters, spelling


def plain(hp: Any) -> list[Any]:
    return [
        hp.Int("a", 2, 9),
        hp.Int("b", 2, 9, default=5),
        hp.Int("c", min_value=2, max_value=32, step=2, sampling="log"),
        hp.Float("d", 0, 1, step=0.25),
        hp.Float("e", 1e-4, 1e-1, sampling="log", default=1e-2),
        hp.Float("f", 0.5, 2, sampling="reverse_log"),
        hp.Choice("g", ["x", "y"]),
        hp.Choice("h", [3, 1, 2], default=1),
        hp.Choice("i", [0.5, 0.1], ordered=False),
        hp.Boolean("k"),
        hp.Boolean("l", default=True),
        hp.Fixed("m", 7),
        hp.Int("a", 4, 5),
        hp.get("a"),
        hp["g"],
        "a" in hp,
        "z" in hp,
        hp.values["k"],
    ]


def scopes(hp: Any) -> list[Any]:
    answers = [hp.Choice("kind", ["x", "y"]), hp.Int("size", 1, 3)]
    with hp.conditional_scope("kind", ["x"]):
        answers += [hp.Int("units", 4, 8), hp.Int("depth", 1, 3)]
        answers.append(hp.Choice("only_x", [1, 2], parent_name="depth", parent_values=[1, 2]))
        with hp.conditional_scope("depth", 3):
            answers.append(hp.Float("never", 0.0, 1.0))
    with hp.conditional_scope("kind", ["y"]):
        answers += [hp.Int("units", 16, 32), hp.Boolean("only_y")]
    with hp.name_scope("head"), hp.name_scope("deep"):
        answers += [hp.Int("units", 1, 2), hp.Choice("c", ["a"]), hp.get("units")]
        with hp.conditional_scope("c", "a"):
            answers.append(hp.Int("inner", 5, 6))
    answers += ["only_y" in hp, "head/deep/inner" in hp, "units" in hp, dict(hp.values)]
    answers += [hp.is_active("units"), hp.is_active("only_y"), len(hp.active_scopes), len(hp.inactive_scopes)]
    copied = hp.copy()
    copied.Int("new", 1, 2)
    return [*answers, "new" in hp, copied.values["kind"], copied.get("new")]


@pytest.mark.parametrize("given", [{}, {"a": 7, "g": "y", "k": True, "kind": "y"}, {"size": 3, "units": 6}], ids=str)
@pytest.mark.parametrize("ask", [plain, scopes])
def test_the_answers_are_those_of_keras_tuner(ask: Callable[[Any], list[Any]], given: dict[str, Any]) -> None:
    theirs = keras_tuner.HyperParameters()
    theirs.values = dict(given)
    ours, expected = ask(HyperParameters(dict(given))), ask(theirs)
    assert ours == expected
    assert [type(value) for value in ours] == [type(value) for value in expected]


@pytest.mark.parametrize("ask", [
    lambda hp: hp.Int("a", 5, 2),
    lambda hp: hp.Int("a", 0.5, 2),
    lambda hp: hp.Float("a", 0, 1, sampling="log"),
    lambda hp: hp.Float("a", 0, 1, sampling="cubic"),
    lambda hp: hp.Float("a", 1, 10, sampling="log", step=0.5),
    lambda hp: hp.Choice("a", [1, "x"]),
    lambda hp: hp.Choice("a", []),
    lambda hp: hp.Choice("a", ["x"], default="y"),
    lambda hp: hp.Choice("a", ["x"], ordered=True),
    lambda hp: hp.Choice("a", [None]),
    lambda hp: hp.Boolean("a", default="yes"),
    lambda hp: hp.Fixed("a", [1]),
    lambda hp: hp.Int("a", 1, 2, parent_name="b", parent_values=[1]),
    lambda hp: hp.get("a"),
    lambda hp: (hp.Int("a", 1, 2), hp.Int("a", 1, 2, parent_name="a", parent_values=[1])),
])  # fmt: skip
def test_what_keras_tuner_refuses_is_refused(ask: Callable[[Any], Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        ask(keras_tuner.HyperParameters())
    with pytest.raises((ValueError, TypeError, KeyError)):
        ask(HyperParameters())


def test_a_sampling_that_is_no_text_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"sampling=2\.0, expected linear"):
        HyperParameters().Float("a", 0, 1, sampling=2.0)  # type: ignore[arg-type]  # as an objective may


@pytest.mark.parametrize("made", [
    ("Int", 6, 13, 3, "linear"), ("Int", 2, 32, 2, "log"), ("Int", 2, 40, 3, "reverse_log"),
    ("Float", 0, 1, 0.25, "linear"), ("Float", 0.001, 10, 10, "log"),
])  # fmt: skip
def test_the_values_on_a_grid_are_those_of_keras_tuner(made: tuple[Any, ...]) -> None:
    kind, low, high, step, sampling = made
    ours, theirs = HyperParameters(), keras_tuner.HyperParameters()
    for hp in (ours, theirs):
        getattr(hp, kind)("a", low, high, step=step, sampling=sampling)
    values = ours.space[0].values
    assert values is not None
    assert list(values) == pytest.approx(sorted(theirs.space[0].values))


def test_values_are_given_by_the_names_of_the_search_space() -> None:
    hp = HyperParameters(given={"head_units": 6, "_2nd": "b"})
    with hp.name_scope("head"):
        assert hp.Int("units", 1, 9) == 6
        assert hp.Int("depth", 1, 9) == 1
    assert hp.Choice("2nd", ["a", "b"]) == "b"
    assert hp.values == {"head/units": 6, "head/depth": 1, "2nd": "b"}
    assert hp.at_default == ["head/depth"]


def test_names_are_spelled_as_identifiers() -> None:
    assert [spelling(name) for name in ("units_0", "a/b c", "0x", "l.r")] == ["units_0", "a_b_c", "_0x", "l_r"]


def test_a_parameter_that_does_not_apply_has_no_value() -> None:
    hp = HyperParameters({"kind": "a"})
    hp.Choice("kind", ["a", "b"])
    hp.Int("units", 1, 2, parent_name="kind", parent_values="b")
    with pytest.raises(ValueError, match="units does not apply"):
        hp.get("units")
