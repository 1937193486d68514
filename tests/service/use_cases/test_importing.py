"""Imports: what fits the new space comes over with its curve, counts against nothing, and comes once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.protocol.wire import item
from tests.service.use_cases.lab import SPACE, Lab

NARROW: dict[str, Any] = {**SPACE, "x": {"type": "float", "low": 0.0, "high": 0.5}}


def reasons(answer: Any) -> dict[int, str]:
    return {one["position"]: one["reason"] for one in answer["skipped"]}


def test_a_study_takes_over_what_fits_its_space(lab: Lab) -> None:
    old, new = lab.source(), lab.study(space=NARROW)
    answer = lab.take(new, old)
    assert answer["num_imported"] == 1
    said = reasons(answer)
    assert set(said) == {1, 2}
    assert "params.x: received 0.75, expected a number in [0.0, 0.5]" in said[1]
    assert "running" in said[2]
    taken = lab.trial(new, 0)
    assert (taken["origin"], taken["state"], taken["attempt"]) == ("imported", "complete", 0)
    assert (taken["value"], taken["best_epoch"], taken["num_epochs"]) == (0.3, 2, 2)
    assert taken["params"] == {"x": 0.25, "kind": "a"}
    assert lab.wire.stored(taken["trial_id"]) == [(0, 1, 0.9), (0, 2, 0.3)]


def test_all_metrics_come_along(lab: Lab) -> None:
    old, new = lab.study(budget={"max_trials": 1, "max_epochs": 5}), lab.study()
    lab.wire.post(f"/studies/{new}:pause")
    [assignment] = lab.claim()
    lab.wire.post("/measurements", {"items": [item(assignment, 1, 0.5, loss=0.25)]})
    lab.wire.finish(assignment)
    assert lab.take(new, old)["num_imported"] == 1
    taken = lab.trial(new, 0)
    [measured] = lab.wire.get(f"/trials/{taken['trial_id']}/measurements")["items"]
    assert (measured["metrics"], measured["elapsed_s"]) == ({"val_loss": 0.5, "loss": 0.25}, 1.0)
    assert taken["duration_s"] == 1.0


def test_an_import_counts_against_no_limit_and_numbers_go_on(lab: Lab) -> None:
    old = lab.source()
    new = lab.study(budget={"max_trials": 2, "max_epochs": 5, "max_total_epochs": 100})
    lab.take(new, old)
    view = lab.wire.get(f"/studies/{new}")
    assert (view["num_trials"], view["num_imported"], view["num_epochs"]) == (2, 2, 0)
    assert view["best"]["value"] == 0.3
    mine = lab.claim(9)
    assert [one["number"] for one in mine] == [2, 3]
    for one in mine:
        lab.wire.report(one, 1)
        assert lab.wire.finish(one) == "complete"
    assert lab.wire.get(f"/studies/{new}")["end_reason"] == "max_trials"


def test_what_is_there_already_is_not_imported_again(lab: Lab) -> None:
    old, new = lab.source(), lab.study()
    first = lab.take(new, old)
    again = lab.take(new, old)
    assert (first["num_imported"], again["num_imported"]) == (2, 0)
    assert "exactly this configuration already" in reasons(again)[0]
    twice = {"params": {"x": 0.5, "kind": "a"}, "value": 0.5}
    answer = lab.offer(new, twice, twice)
    assert (answer["num_imported"], list(reasons(answer))) == (1, [1])


def test_trials_in_full_say_why_they_are_skipped(lab: Lab) -> None:
    new = lab.study()
    answer = lab.offer(
        new,
        {"params": {"x": 0.5, "kind": "a"}, "value": 0.25, "state": "paused", "number": 7},
        {"params": {"x": 0.5, "kind": "b"}, "value": 0.25, "state": "failed", "number": 8},
        {"params": {"x": 0.25, "kind": "b"}},
        {"params": {"x": 0.125, "kind": "b"}, "epochs": {"1": 0.5, "2": 0.25}, "value": 0.5},
        {"params": {"x": 0.125, "kind": "c"}, "value": 0.5},
        {"params": {"kind": "b"}, "value": 0.5},
        {"params": {"x": 0.125, "kind": "b", "y": 1}, "value": 0.5},
    )
    assert answer["num_imported"] == 1
    said = reasons(answer)
    assert said[1] == "it is failed; only complete, pruned and paused trials are imported"
    assert said[2] == "it has no value"
    assert said[3] == "value: received 0.5, but the best of its epochs is 0.25"
    assert said[4].startswith("params.kind: received 'c'")
    assert said[5].startswith("params.x: received 'nothing'")
    assert said[6].startswith("params.y: received 1, but this study neither searches nor fixes y")
    assert answer["skipped"][0]["number"] == 8
    # A paused trial cannot go on here, and a value of unknown age is that of a full training.
    taken = lab.trial(new, 0)
    assert (taken["state"], taken["stop_reason"], taken["num_epochs"], taken["best_epoch"]) == ("pruned", None, 5, 5)


def test_the_best_of_the_epochs_counts_in_the_metrics_direction(lab: Lab) -> None:
    upwards = lab.study(metric={"name": "val_accuracy", "direction": "maximize"})
    lab.offer(upwards, {"params": {"x": 0.5, "kind": "a"}, "epochs": {"10": 0.5, "2": 0.75, "3": 0.75}})
    taken = lab.trial(upwards, 0)
    assert (taken["value"], taken["best_epoch"], taken["num_epochs"]) == (0.75, 2, 10)


def test_options_may_move_between_the_search_and_the_objective(lab: Lab) -> None:
    searched = lab.study()
    lab.train(searched, {"x": 0.25, "kind": "a"}, 0.5)
    lab.train(searched, {"x": 0.75, "kind": "b"}, 0.25)
    body = {
        "name": f"{searched}-fixed",
        "objective": {"name": lab.objective, "config": {"kind": "a"}},
        "space": {"x": SPACE["x"]},
        "strategy": {"kind": "random"},
    }
    fixed = lab.wire.post("/studies", body)["name"]
    answer = lab.take(fixed, searched)
    assert answer["num_imported"] == 1
    assert lab.trial(fixed, 0)["params"] == {"x": 0.25}
    assert reasons(answer)[1] == "params.kind: received 'b', but this study fixes kind at 'a'"
    # And back: what the other study fixed is searched here.
    back = lab.study()
    assert lab.take(back, fixed)["num_imported"] == 1
    assert lab.trial(back, 0)["params"] == {"x": 0.25, "kind": "a"}


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"metric": {"name": "val_loss", "direction": "maximize"}}, "val_loss (minimize)"),
        ({"metric": {"name": "loss", "direction": "minimize"}}, "val_loss (minimize)"),
    ],
)
def test_another_metric_or_direction_is_refused(lab: Lab, changes: Any, received: str) -> None:
    old, new = lab.study(), lab.study(**changes)
    status, answer = lab.wire.ask("POST", f"/studies/{new}/trials:import", {"study": old})
    assert status == 422
    [error] = answer["errors"]
    assert (error["field"], error["received"]) == ("study", received)


def test_another_objective_or_other_options_are_refused(lab: Lab) -> None:
    old, other = lab.study(), lab.wire.study(objective="something-else")
    assert lab.wire.refused("POST", f"/studies/{other}/trials:import", {"study": old}) == "422 invalid_request"
    items = {"items": [], "objective": {"name": lab.objective, "config": {"dataset": "d"}}}
    status, answer = lab.wire.ask("POST", f"/studies/{old}/trials:import", items)
    assert status == 422
    assert answer["errors"][0]["received"] == "dataset = d"


def test_only_live_studies_take_trials_and_only_from_others(lab: Lab) -> None:
    old, new = lab.study(), lab.study()
    for source in (new, "nowhere"):
        assert lab.wire.refused("POST", f"/studies/{new}/trials:import", {"study": source}) == "422 invalid_request"
    assert lab.wire.refused("POST", f"/studies/{new}/trials:import", {}) == "422 invalid_request"
    lab.wire.post(f"/studies/{new}:pause")
    assert lab.offer(new, {"params": {"x": 0.5, "kind": "a"}, "value": 0.5})["num_imported"] == 1
    lab.wire.post(f"/studies/{new}:stop")
    assert lab.wire.refused("POST", f"/studies/{new}/trials:import", {"study": old}) == "409 state_conflict"


def test_an_imported_trial_is_not_run_again(lab: Lab) -> None:
    new = lab.study()
    lab.offer(new, {"params": {"x": 0.5, "kind": "a"}, "value": 0.5})
    trial_id = lab.trial(new, 0)["trial_id"]
    assert lab.wire.refused("POST", f"/trials/{trial_id}:retry") == "409 state_conflict"
    assert lab.wire.post(f"/trials/{trial_id}:stop")["state"] == "complete"


def test_a_study_is_created_with_the_results_of_others(lab: Lab) -> None:
    first, second = lab.source(), lab.source()
    new = lab.study(warm_start=[first, second])
    view = lab.wire.get(f"/studies/{new}")
    # The second brings the same configurations as the first.
    assert (view["num_imported"], view["warm_start"], view["best"]["value"]) == (2, [first, second], 0.3)
    kinds = [event.kind for event in lab.events(new)]
    assert kinds[:3] == ["study_created", "trial_imported", "trial_imported"]


def test_an_unknown_study_to_begin_with_is_named_and_nothing_is_stored(lab: Lab) -> None:
    old = lab.study()
    body = {"name": f"{old}-warm", "objective": {"name": lab.objective}, "space": SPACE, "warm_start": [old, "nowhere"]}
    for path in ("/studies", "/studies:preview"):
        status, answer = lab.wire.ask("POST", path, body)
        assert status == 422
        assert [error["field"] for error in answer["errors"]] == ["warm_start.1"]
    assert lab.wire.ask("GET", f"/studies/{old}-warm")[0] == 404


def test_a_target_that_an_imported_trial_reaches_ends_the_study(lab: Lab) -> None:
    new = lab.study(budget={"max_trials": 3, "max_epochs": 5, "target": 0.2})
    lab.offer(new, {"params": {"x": 0.5, "kind": "a"}, "value": 0.5})
    assert lab.wire.get(f"/studies/{new}")["state"] == "running"
    lab.offer(new, {"params": {"x": 0.25, "kind": "a"}, "value": 0.2})
    view = lab.wire.get(f"/studies/{new}")
    assert (view["state"], view["end_reason"]) == ("complete", "target")


def test_many_trials_come_in_portions_and_are_searched_alike_after_a_restart(lab: Lab) -> None:
    new = lab.study(strategy={"kind": "coarse_to_fine"})
    items = [
        {"params": {"x": number / 1200, "kind": "a"}, "epochs": {"1": 1.0, "2": abs(number / 1200 - 0.4)}}
        for number in range(1200)
    ]
    lab.wire.service.searches.of(lab.study_id(new))
    assert lab.offer(new, *items)["num_imported"] == 1200
    followed = lab.wire.service.searches.of(lab.study_id(new)).examine(lambda mirror: mirror.trials)
    lab.wire.service.searches.forget(lab.study_id(new))
    loaded = lab.wire.service.searches.of(lab.study_id(new)).examine(lambda mirror: mirror.trials)
    assert len(loaded) == 1200
    assert followed == loaded
    assert not loaded[0].is_proposed
    board = lab.wire.get(f"/studies/{new}/leaderboard?limit=1")["items"]
    assert [(row["number"], row["value"]) for row in board] == [(480, 0.0)]
