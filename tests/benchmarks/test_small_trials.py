"""The comparison of small trials: what everybody trains, and how ratios are taken."""

from __future__ import annotations

import pytest

from benchmarks import small_trials
from benchmarks.trials.models import config, space
from caviar.contract.study import StudySpec
from worker.objectives.mlp import MlpObjective


@pytest.mark.parametrize(("is_varied", "sizes"), [(False, [64, 32]), (True, [32, 16])])
def test_everybody_trains_the_same_models(is_varied: bool, sizes: list[int]) -> None:
    part = space(is_varied=is_varied)
    study = {"name": "a", "objective": {"name": "mlp", "config": config(is_varied=is_varied)}, "space": part}
    searched = StudySpec.model_validate(study).space
    assert searched is not None
    assert set(searched.root) == set(part)
    model = MlpObjective(config=config(is_varied=is_varied)).build({name: spec["low"] for name, spec in part.items()})
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [*sizes, 10]


def test_ratios_are_those_of_neighbours_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    rounds = [
        {"one_same": one, "two_same": two, "two_varied": 1.0, "tuner_same": 10 * two, "tuner_varied": 3.0}
        for one, two in ((2.0, 1.0), (40.0, 20.0), (3.0, 1.0))
    ]
    small_trials.show(rounds, {50: 2**20, 300: 2**21}, is_one_process=True)
    printed = capsys.readouterr().out
    assert "two slots against one:              2.00 times" in printed
    assert "against KerasTuner, same model:    10.00 times" in printed
    assert "1 MiB after 50 trials, 2 MiB after 300 trials; one process" in printed
