"""Rungs: who came to each, who went on, who was stopped, and on what grounds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.use_cases.lab import Lab

ASHA = {"kind": "asha", "min_resource": 1, "reduction_factor": 2}
BUDGET = {"max_trials": 20, "max_epochs": 4}


def rungs(lab: Lab, name: str) -> Any:
    return lab.wire.get(f"/studies/{name}/rungs")


def climb(lab: Lab, *values: float, **changes: Any) -> str:
    """A study whose trials have come to the first rung with these values, one by one."""
    name = lab.study(**({"pruner": ASHA, "budget": BUDGET} | changes))
    worker = lab.wire.worker(lab.objective, slots=len(values))
    for value, one in zip(values, lab.wire.claim(worker, len(values)), strict=True):
        lab.wire.report(one, 1, value)
    return name


def test_trials_are_told_by_what_became_of_them_at_a_rung(lab: Lab) -> None:
    name = climb(lab, 0.4, 0.3, 0.9, 0.8)
    [bracket] = rungs(lab, name)["brackets"]
    first, second = bracket["rungs"]
    assert (first["epoch"], second["epoch"]) == (1, 2)
    # The second one was better than the first, of two one goes on.
    assert first["num_reached"] == 4
    assert first["fates"] == {"running": 1, "paused": 3}
    assert [entry["number"] for entry in first["best"]] == [1, 0, 3, 2]
    assert [entry["value"] for entry in first["best"]] == [0.3, 0.4, 0.8, 0.9]
    assert first["best"][0]["evidence"]["decision"] == "continue"
    assert first["best"][2]["evidence"]["rank"] == 3
    assert sorted(value for values in first["sample"].values() for value in values) == [0.3, 0.4, 0.8, 0.9]
    assert (second["num_reached"], second["best"], second["threshold"]) == (0, [], None)


def test_the_threshold_is_that_of_the_last_comparison(lab: Lab) -> None:
    [bracket] = rungs(lab, climb(lab, 0.4, 0.3, 0.9, 0.8))["brackets"]
    # Number 3 was compared with three others: the best two of four may go on.
    assert bracket["rungs"][0]["threshold"] == 0.4
    assert bracket["rungs"][0]["threshold_number"] == 3


def test_a_promotion_is_told_with_its_grounds(lab: Lab) -> None:
    name = climb(lab, 0.4, 0.3, 0.9, 0.8)
    [promoted] = lab.claim(1)
    assert promoted["number"] == 0
    lab.wire.report(promoted, 2, 0.35)
    [bracket] = rungs(lab, name)["brackets"]
    first, second = bracket["rungs"]
    assert first["fates"]["promoted"] == 1
    [entry] = [one for one in first["best"] if one["number"] == 0]
    assert (entry["fate"], entry["evidence"]["decision"], entry["evidence"]["rung"]) == ("promoted", "promote", 1)
    # What it reached later does not change what it had at the first rung.
    assert entry["value"] == 0.4
    assert (second["num_reached"], second["best"][0]["value"]) == (1, 0.35)


def test_greater_is_better_where_the_metric_is_maximized(lab: Lab) -> None:
    name = climb(lab, 0.4, 0.3, 0.9, metric={"name": "val_loss", "direction": "maximize"})
    [bracket] = rungs(lab, name)["brackets"]
    assert [entry["value"] for entry in bracket["rungs"][0]["best"]] == [0.9, 0.4, 0.3]


def test_a_pruner_that_stops_for_good_says_so(lab: Lab) -> None:
    found = rungs(lab, climb(lab, 0.4, 0.3, 0.9, pruner=ASHA | {"promote": False}))
    assert found["promotes"] is False
    assert found["brackets"][0]["rungs"][0]["fates"]["pruned"] == 1


def test_a_patient_pruner_climbs_the_rungs_of_the_one_within(lab: Lab) -> None:
    name = lab.study(pruner={"kind": "patient", "wrapped": ASHA}, budget=BUDGET)
    found = rungs(lab, name)
    assert found["pruner"] == "patient"
    assert [rung["epoch"] for rung in found["brackets"][0]["rungs"]] == [1, 2]


def test_brackets_share_the_trials(lab: Lab) -> None:
    name = climb(lab, *(0.1 * at for at in range(1, 11)), pruner=ASHA | {"kind": "hyperband"})
    found = rungs(lab, name)
    assert [len(bracket["rungs"]) for bracket in found["brackets"]] == [2, 1, 0]
    assert sum(bracket["num_trials"] for bracket in found["brackets"]) == 10
    assert sum(bracket["share"] for bracket in found["brackets"]) == pytest.approx(1)
    numbers = [entry["number"] for entry in found["brackets"][0]["rungs"][0]["best"]]
    assert len(numbers) == found["brackets"][0]["rungs"][0]["num_reached"] == found["brackets"][0]["num_trials"]


def test_without_rungs_stops_are_told_by_epoch(lab: Lab) -> None:
    name = lab.study(pruner={"kind": "threshold", "upper": 0.5}, budget=BUDGET)
    good, bad = lab.wire.claim(lab.wire.worker(lab.objective, slots=2), 2)
    lab.wire.report(good, 1, 0.4)
    lab.wire.report(good, 2, 0.3)
    lab.wire.report(bad, 1, 0.4)
    assert lab.wire.report(bad, 2, 0.6) == "stop"
    found = rungs(lab, name)
    assert found["brackets"] == []
    assert found["stops"] == [{"epoch": 2, "num_reached": 2, "num_stopped": 1}]
    [stop] = found["newest_stops"]
    assert (stop["number"], stop["epoch"], stop["evidence"]["rule"]) == (bad["number"], 2, "threshold")


def test_a_study_without_trials_has_empty_rungs(lab: Lab) -> None:
    [bracket] = rungs(lab, lab.study(pruner=ASHA, budget=BUDGET))["brackets"]
    assert [rung["num_reached"] for rung in bracket["rungs"]] == [0, 0]


def test_an_unknown_study_is_refused(lab: Lab) -> None:
    assert lab.wire.refused("GET", "/studies/nowhere/rungs") == "404 not_found"
