"""Coarse to fine inside Optuna: Optuna's own tests of samplers, and what it promises beyond them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from math import log10
from pathlib import Path
from statistics import median
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import Trial, TrialState

from caviar.contract.errors import InvalidRequest
from service.search.optuna_sampler import CoarseToFineSampler


class TestOptunasOwn(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """The tests that Optuna's own samplers for one objective pass."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return CoarseToFineSampler


def bowl(trial: Trial) -> float:
    """Least at a rate of 0.001, 7 units, relu."""
    rate = trial.suggest_float("rate", 1e-6, 1.0, log=True)
    units = trial.suggest_int("units", 1, 32)
    drop = trial.suggest_float("drop", 0.0, 0.5, step=0.1)
    kind = trial.suggest_categorical("kind", ["tanh", "relu", None])
    return (log10(rate) + 3) ** 2 + (units - 7) ** 2 / 50 + drop + (kind != "relu")


def run(study: Study, num_trials: int, objective: Callable[[Trial], float] = bowl, **options: Any) -> list[Any]:
    study.optimize(objective, n_trials=num_trials, **options)
    return [trial.params for trial in study.trials]


def test_the_same_seed_draws_the_same() -> None:
    lists = [run(optuna.create_study(sampler=CoarseToFineSampler(seed=seed)), 40) for seed in (1, 1, 2)]
    assert lists[0] == lists[1]
    assert lists[0] != lists[2]


def test_it_finds_much_better_trials_than_chance() -> None:
    def best(build: Callable[..., BaseSampler], seed: int) -> float:
        study = optuna.create_study(sampler=build(seed=seed))
        run(study, 80)
        return float(study.best_value)

    ours = median(best(CoarseToFineSampler, seed) for seed in range(5))
    assert ours < 0.5 * median(best(RandomSampler, seed) for seed in range(5))


def test_it_maximizes_where_it_should() -> None:
    study = optuna.create_study(direction="maximize", sampler=CoarseToFineSampler(seed=3))
    run(study, 60, lambda trial: -bowl(trial))
    later = [trial.value for trial in study.trials[40:] if trial.value is not None]
    assert median(later) > median(trial.value for trial in study.trials[:12] if trial.value is not None)


@pytest.mark.parametrize("stop_at", [1, 11, 13, 30])
def test_another_process_goes_on_as_if_nothing_had_happened(tmp_path: Path, stop_at: int) -> None:
    """A fresh sampler on the stored study draws what the first one would have drawn."""
    straight = run(optuna.create_study(sampler=CoarseToFineSampler(seed=5)), 45)
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
    run(optuna.create_study(study_name="s", storage=storage, sampler=CoarseToFineSampler(seed=5)), stop_at)
    other = JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
    reloaded = optuna.load_study(study_name="s", storage=other, sampler=CoarseToFineSampler(seed=5))
    assert run(reloaded, 45 - stop_at) == straight


def test_a_pickled_sampler_goes_on() -> None:
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=5))
    run(study, 20)
    study.sampler = pickle.loads(pickle.dumps(study.sampler))
    assert run(study, 25) == run(optuna.create_study(sampler=CoarseToFineSampler(seed=5)), 45)


def test_threads_draw_trials_that_differ_and_rounds_follow_each_other() -> None:
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=5))
    params = run(study, 60, n_jobs=4)
    assert len({json.dumps(found, sort_keys=True) for found in params}) == 60
    opened = rounds_of(study)
    joint = max(opened.values(), key=len)
    # Several may open the same round at once; then the first of them counts.
    assert {found["number"] for found in joint} == set(range(max(found["number"] for found in joint) + 1))
    assert max(found["number"] for found in joint) >= 3


def rounds_of(study: Study) -> dict[str, list[dict[str, Any]]]:
    """Rounds by the space that they belong to."""
    found: dict[str, list[dict[str, Any]]] = {}
    for trial in study.trials:
        for key, value in trial.system_attrs.items():
            if key.startswith("caviar:round:"):
                assert value["first_trial"] == trial.number
                found.setdefault(key, []).append(value)
    return found


def test_pruned_trials_are_learnt_from() -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        y = trial.suggest_float("y", 0, 1)
        trial.report(abs(x - 0.7), 0)
        trial.report(abs(x - 0.7), 4)
        if x < 0.99 or y < 2:
            raise optuna.TrialPruned
        return 0.0

    study = optuna.create_study(sampler=CoarseToFineSampler(seed=1))
    run(study, 60, objective)
    assert {trial.state for trial in study.trials} == {TrialState.PRUNED}
    late = [abs(trial.params["x"] - 0.7) for trial in study.trials[40:]]
    assert median(late) < 0.1


def test_a_trial_is_worth_what_it_returned() -> None:
    """A wild value on the way does not make it one of the best."""

    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(-100.0 * (x > 0.5), 3)
        return x

    study = optuna.create_study(sampler=CoarseToFineSampler(seed=1))
    run(study, 60, objective)
    assert median(trial.params["x"] for trial in study.trials[40:]) < 0.1


@pytest.mark.parametrize("outcome", [float("inf"), float("-inf"), float("nan"), "error", "pruned"])
def test_trials_that_went_wrong_are_never_the_best(outcome: float | str) -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if x < 0.5:
            if outcome == "error":
                raise RuntimeError("this training cannot go on")
            if outcome == "pruned":
                raise optuna.TrialPruned
            return float(outcome)
        return x

    study = optuna.create_study(sampler=CoarseToFineSampler(seed=1))
    study.optimize(objective, n_trials=60, catch=(RuntimeError,))
    rounds = max(rounds_of(study).values(), key=len)
    elite = {number for found in rounds for number in found["elite"]}
    assert elite
    assert all(study.trials[number].params["x"] >= 0.5 for number in elite)


def test_conditional_parameters_are_searched_too() -> None:
    def objective(trial: Trial) -> float:
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            return trial.suggest_float("x", 0, 1)
        return 2 + trial.suggest_float("y", 0, 1)

    study = optuna.create_study(sampler=CoarseToFineSampler(seed=1))
    run(study, 90, objective)
    late = [trial.params for trial in study.trials[60:]]
    assert sum(params["kind"] == "a" for params in late) > 20
    assert median(params["x"] for params in late if "x" in params) < 0.25


def test_enqueued_trials_are_learnt_from() -> None:
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=1))
    good = {"rate": 1e-3, "units": 7, "drop": 0.0, "kind": "relu"}
    for _ in range(3):
        study.enqueue_trial(good)
    run(study, 30)
    assert [trial.params for trial in study.trials[:3]] == [good] * 3
    joint = max(rounds_of(study).values(), key=len)
    assert {0, 1, 2} <= set(joint[-1]["elite"])


def test_a_space_that_is_used_up_goes_on() -> None:
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=1))
    run(study, 40, lambda t: t.suggest_int("n", 1, 3) + 10 * (t.suggest_categorical("c", [None, True]) is None))
    assert len(study.trials) == 40
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 6


def test_whatever_optuna_can_hold_is_sampled() -> None:
    """Names, ranges and choices that a search space of ours refuses."""
    distributions: dict[str, BaseDistribution] = {
        "a name with blanks, ü and /": FloatDistribution(-1e300, 1e300),
        "big": IntDistribution(0, 2**60),
        "": IntDistribution(1, 9, step=4),
        "choices": CategoricalDistribution([None, 1.5, True, "1"]),
        "one": CategoricalDistribution(["only"]),
    }
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=1))
    for _ in range(15):
        trial = study.ask(distributions)
        study.tell(trial, 1.0)
        for name, distribution in distributions.items():
            assert distribution._contains(distribution.to_internal_repr(trial.params[name]))
    assert {repr(trial.params["choices"]) for trial in study.trials} == {"None", "1.5", "True", "'1'"}
    assert len({trial.params["big"] for trial in study.trials}) == 15


def test_more_parameters_than_a_space_of_ours_holds() -> None:
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=1))
    run(study, 3, lambda t: sum(t.suggest_float(f"x{i}", 0, 1) for i in range(260)))
    assert all(len(trial.params) == 260 for trial in study.trials)


def test_options_are_those_of_the_strategy() -> None:
    study = optuna.create_study(sampler=CoarseToFineSampler(seed=1, startup_trials=20))
    run(study, 45)
    joint = max(rounds_of(study).values(), key=len)
    assert joint[1]["first_trial"] - joint[0]["first_trial"] == 20
    with pytest.raises(InvalidRequest, match=r"strategy\.startup_trial\b.*did you mean startup_trials"):
        CoarseToFineSampler(startup_trial=20)
    with pytest.raises(InvalidRequest, match=r"strategy\.startup_trials"):
        CoarseToFineSampler(startup_trials=0)
    with pytest.raises(ValueError, match="received the seed -1"):
        CoarseToFineSampler(seed=-1)


def test_one_sampler_may_serve_several_studies() -> None:
    sampler = CoarseToFineSampler(seed=1)
    first, second = optuna.create_study(sampler=sampler), optuna.create_study(sampler=sampler)
    for _ in range(15):
        run(first, 1)
        run(second, 1)
    assert [trial.params for trial in first.trials] == [trial.params for trial in second.trials]
