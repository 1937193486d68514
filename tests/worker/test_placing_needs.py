from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from caviar.contract.messages import Assignment
from tests.fakes.box import GIB, MIB, assignment
from worker.placing.fit import Measured, fit
from worker.placing.needs import Needs
from worker.placing.regression import Regression, features


@pytest.fixture
def needs(tmp_path: Path) -> Needs:
    return Needs(tmp_path / "memory.json", backend="tensorflow")


def test_before_anything_was_measured_nothing_is_known(needs: Needs) -> None:
    assert needs.predicted_bytes(assignment(units=3)) is None
    assert needs.typical_bytes() is None


def test_equal_parameters_need_what_they_needed_at_most(needs: Needs) -> None:
    for size in (3 * GIB, 2 * GIB):
        needs.learn(assignment(units=3), size)
    assert needs.predicted_bytes(assignment(units=3)) == pytest.approx(3 * GIB * 1.05, rel=1e-6)
    assert needs.typical_bytes() == 2.5 * GIB


def test_a_bound_counts_until_there_is_a_measurement(needs: Needs) -> None:
    needs.learn(assignment(units=3), 9 * GIB, is_bound=True)
    assert needs.predicted_bytes(assignment(units=3)) == math.ceil(9 * GIB * 1.05)
    needs.learn(assignment(units=3), 7 * GIB, is_bound=True)
    assert needs.predicted_bytes(assignment(units=3)) == math.ceil(7 * GIB * 1.05)
    needs.learn(assignment(units=3), 2 * GIB)
    needs.learn(assignment(units=3), 5 * GIB, is_bound=True)
    assert needs.predicted_bytes(assignment(units=3)) == math.ceil(2 * GIB * 1.05)


def test_bounds_above_what_the_measurements_say_change_nothing(needs: Needs) -> None:
    for units in (10, 20, 40, 80):
        needs.learn(assignment(units=units), units * GIB // 10)
    before = needs.predict(assignment(units=30))
    assert before is not None
    for units in range(11, 40):
        needs.learn(assignment(units=units, extra=1), 60 * GIB, is_bound=True)
    assert needs.predict(assignment(units=30)) == before


def test_a_bound_that_contradicts_the_measurements_counts_as_one() -> None:
    measured = [Measured(params={"units": units}, peak_bytes=units * GIB // 10) for units in (10, 20, 40, 80)]
    bound = Measured(params={"units": 800}, peak_bytes=20 * GIB, is_bound=True)
    assert fit(measured).bytes_at({"units": 700}, 0.0) > 40 * GIB
    assert fit([*measured, bound]).bytes_at({"units": 700}, 0.0) < 30 * GIB


def test_a_prediction_is_sure_only_near_measurements(needs: Needs) -> None:
    for units in (10, 20, 40, 80, 160):
        needs.learn(assignment(units=units), units * GIB // 10)
    asked = [needs.predict(assignment(units=units)) for units in (40, 41, 100_000)]
    assert [one.is_sure for one in asked if one is not None] == [True, True, False]


@pytest.mark.parametrize(
    "other", [assignment("cnn", units=3), assignment(units=3, config={"a": 1}), assignment("mlp2", units=3)]
)
def test_kinds_of_trainings_are_kept_apart(needs: Needs, other: Assignment) -> None:
    needs.learn(assignment(units=3, config={"a": 2, "b": 1}), GIB)
    assert needs.predicted_bytes(other) is None
    assert needs.predicted_bytes(assignment(units=3, config={"b": 1, "a": 2})) is not None


def test_what_was_learnt_is_kept_for_each_backend(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    Needs(path, backend="tensorflow").learn(assignment(units=3, flag=True, name="é", rate=0.1), GIB)
    again = Needs(path, backend="tensorflow")
    assert again.predicted_bytes(assignment(units=3, flag=True, name="é", rate=0.1)) == math.ceil(GIB * 1.05)
    assert again.typical_bytes() == GIB
    assert Needs(path, backend="jax").predicted_bytes(assignment(units=3)) is None


@pytest.mark.parametrize("content", ["{", '{"kinds": {"a": [{"params": {}, "peak_bytes": -1}]}}', "\x00"])
def test_a_broken_file_is_put_aside_and_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "memory.json"
    path.write_text(content)
    with capture_logs() as logs:
        needs = Needs(path, backend="tensorflow")
    assert [line["event"] for line in logs] == ["device_memory_forgotten"]
    assert (tmp_path / "memory.unreadable").read_text() == content
    needs.learn(assignment(units=3), GIB)
    assert Needs(path, backend="tensorflow").typical_bytes() == GIB


def test_a_file_that_cannot_be_written_costs_a_warning_only(tmp_path: Path) -> None:
    needs = Needs(tmp_path / "missing" / "memory.json", backend="tensorflow")
    with capture_logs() as logs:
        needs.learn(assignment(units=3), GIB)
    assert [line["event"] for line in logs] == ["device_memory_not_kept"]
    assert needs.predicted_bytes(assignment(units=3)) is not None


def test_the_file_does_not_grow_without_bound(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    needs = Needs(path, backend="tensorflow")
    for number in range(320):
        needs.learn(assignment(units=number + 1), GIB)
    for number in range(29):
        needs.learn(assignment(f"objective{number}", units=1), GIB)
    needs.learn(assignment(units=1000), GIB)
    kept = Needs(path, backend="tensorflow")
    assert kept.predicted_bytes(assignment(units=1000)) == math.ceil(GIB * 1.05)
    assert path.stat().st_size < 40_000
    needs.learn(assignment("one-more", units=1), GIB)
    # The kind that was used longest ago is forgotten.
    assert Needs(path, backend="tensorflow").predicted_bytes(assignment("objective0", units=1)) is None


def drawn(rng: random.Random) -> dict[str, Any]:
    params: dict[str, Any] = {
        "learning_rate": 10 ** rng.uniform(-4, 0),
        "units": 2 ** rng.randint(4, 11),
        "batch_size": rng.choice([32, 64, 128, 256]),
        "layers": rng.randint(1, 6),
        "optimizer": rng.choice(["sgd", "adam"]),
    }
    return params | ({"momentum": rng.uniform(0.5, 0.99)} if params["optimizer"] == "sgd" else {})


def true_bytes(params: dict[str, Any], rng: random.Random) -> int:
    units, layers, batch = (params[name] for name in ("units", "layers", "batch_size"))
    copies = 4 if params["optimizer"] == "adam" else 2
    return int((600 * MIB + 80 * units**2 * layers * copies + 200 * batch * units * layers) * rng.uniform(0.97, 1.03))


@pytest.mark.parametrize("num_measured", [1, 5, 20, 100])
def test_predictions_are_rarely_too_low_and_come_closer(needs: Needs, num_measured: int) -> None:
    rng = random.Random(11)
    for _ in range(num_measured):
        params = drawn(rng)
        needs.learn(assignment(**params), true_bytes(params, rng))
    ratios = []
    for _ in range(300):
        params = drawn(rng)
        predicted = needs.predicted_bytes(assignment(**params))
        assert predicted is not None
        ratios.append(predicted / true_bytes(params, rng))
    ratios.sort()
    assert ratios[21] >= 1
    if num_measured >= 20:
        assert ratios[150] < 3


def test_a_value_that_was_never_seen_widens_the_answer() -> None:
    regression = Regression([({"kind": "a", "units": units}, units * 1e6) for units in (100, 200, 400)])
    known, strange = regression.estimate({"kind": "a", "units": 300}), regression.estimate({"kind": "b", "units": 300})
    assert strange.sd > 2 * known.sd
    assert regression.estimate({"units": 300, "depth": 50}).sd > known.sd


def test_a_fit_follows_a_power_of_a_parameter() -> None:
    regression = Regression([({"units": units}, 3.0 * units**2) for units in (10, 20, 40, 80, 160, 320)])
    assert math.exp(regression.estimate({"units": 100}).log_bytes) == pytest.approx(30_000, rel=0.05)


def test_an_answer_beyond_all_numbers_is_infinite() -> None:
    regression = Regression([({"units": 1.0}, 1e9)])
    assert regression.estimate({"units": 1e300}).bytes_at(9) == math.inf


def test_parameters_become_numbers() -> None:
    assert features({"rate": 0.1, "name": "x", "flag": False, "zero": 0, "minus": -2.5}) == {
        "log rate": math.log(0.1),
        "has rate": 1.0,
        "name = 'x'": 1.0,
        "flag = False": 1.0,
        "zero = 0": 1.0,
        "minus = -2.5": 1.0,
    }
