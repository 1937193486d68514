"""Which learning curves a picture is drawn from."""

from __future__ import annotations

from typing import Any

import pytest

from caviar.contract.errors import InvalidRequest, NotFound
from caviar.contract.states import TrialState
from caviar.contract.study import Metric
from caviar.contract.views import Curves
from service.use_cases import curves
from service.use_cases.curves import Gate, Wanted
from tests.service.protocol.wire import item
from tests.service.use_cases.lab import Lab


def filled(lab: Lab, num: int, **changes: Any) -> str:
    """A study of so many ended trials of three epochs, the later the better."""
    name = lab.study(**changes)
    items = [
        {
            "params": {"x": (number + 1) / (num + 1), "kind": "a"},
            "epochs": {str(epoch): 2.0 - number / num - epoch / 10 for epoch in (1, 2, 3)},
            "state": "pruned" if number % 2 else "complete",
        }
        for number in range(num)
    ]
    assert lab.offer(name, *items)["num_imported"] == num
    return name


def sampled(lab: Lab, name: str, **wanted: Any) -> Curves:
    with lab.wire.service.reading() as tx:
        return curves.sampled(tx, name, Wanted(**wanted))


def numbers(found: Curves) -> list[int]:
    return [curve.number for curve in found.items]


def measured(lab: Lab, assignment: Any, *points: dict[str, float]) -> None:
    """Report further metrics with the value 0.5."""
    items = [item(assignment, epoch, 0.5, **metrics) for epoch, metrics in enumerate(points, start=1)]
    lab.wire.post("/measurements", {"items": items})


def test_a_small_study_is_shown_whole(lab: Lab) -> None:
    name = filled(lab, 9)
    found = sampled(lab, name)
    assert numbers(found) == list(range(9))
    assert (found.num_trials, found.how) == (9, "all trials")
    assert found.items[2].epochs == [1, 2, 3]
    assert found.items[2].values == pytest.approx([2.0 - 2 / 9 - epoch / 10 for epoch in (1, 2, 3)])


def test_a_large_one_shows_the_best_and_an_even_rest(lab: Lab) -> None:
    name = filled(lab, 60)
    found = sampled(lab, name, sample=12)
    assert len(found.items) <= 12
    assert set(numbers(found)) >= {57, 58, 59}
    assert max(later - earlier for earlier, later in zip(numbers(found), numbers(found)[1:], strict=False)) < 15
    assert found.num_trials == 60
    assert found.how is not None
    assert "the best 3" in found.how
    assert numbers(sampled(lab, name, sample=12)) == numbers(found)


def test_running_trials_are_among_them(lab: Lab) -> None:
    name = filled(lab, 40)
    [running] = lab.claim()
    lab.wire.report(running, 1, 9.0)
    assert running["number"] in numbers(sampled(lab, name, sample=8))


def test_only_some_states_or_the_best(lab: Lab) -> None:
    name = filled(lab, 10)
    assert numbers(sampled(lab, name, states=(TrialState.PRUNED,))) == [1, 3, 5, 7, 9]
    assert numbers(sampled(lab, name, top=3)) == [7, 8, 9]
    assert numbers(sampled(lab, name, top=2, states=(TrialState.COMPLETE,))) == [6, 8]
    assert sampled(lab, name, top=3).how == "the best 3"


def test_only_what_passes_through_a_gate(lab: Lab) -> None:
    name = filled(lab, 10)
    # After epoch 2, trial n is at 1.8 - n / 10.
    assert numbers(sampled(lab, name, gate=Gate(2, 1.15, 1.45))) == [4, 5, 6]
    assert numbers(sampled(lab, name, gate=Gate(2, high=1.15))) == [7, 8, 9]
    assert numbers(sampled(lab, name, gate=Gate(2, low=1.65), states=(TrialState.PRUNED,))) == [1]
    assert numbers(sampled(lab, name, gate=Gate(2, 1.15, 1.45), top=2)) == [5, 6]
    assert numbers(sampled(lab, name, gate=Gate(4, 0.0, 9.0))) == []
    everyone = sampled(lab, name, gate=Gate(1, 0.0, 9.0), sample=4)
    assert everyone.num_trials == 10
    assert 9 in numbers(everyone)
    assert len(everyone.items) <= 4


def test_a_gate_in_a_large_study_looks_at_an_even_part(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "_LOOKED_AT", 10)
    name = filled(lab, 30)
    found = sampled(lab, name, gate=Gate(1, 0.0, 9.0))
    assert numbers(found) == list(range(0, 30, 3))
    assert found.how == "all that pass; one trial in 3 was looked at"


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_best_follow_the_direction(lab: Lab, direction: str) -> None:
    name = filled(lab, 8, metric={"name": "val_loss", "direction": direction})
    assert numbers(sampled(lab, name, top=1)) == [7 if direction == "minimize" else 0]
    above = sampled(lab, name, gate=Gate(1, low=1.7))
    assert numbers(above) == [0, 1]


def test_another_metric_in_place_of_the_studys_own(lab: Lab) -> None:
    name = lab.study()
    first, second = lab.claim(2)
    measured(lab, first, {"acc": 0.5, "loss": 0.4}, {"acc": 0.75, "loss": 0.3})
    measured(lab, second, {"loss": 0.6})
    found = sampled(lab, name, metric="acc")
    assert numbers(found) == [first["number"]]
    assert (found.items[0].epochs, found.items[0].values) == ([1, 2], [0.5, 0.75])
    assert found.metric == Metric(name="acc", direction="maximize")
    assert numbers(sampled(lab, name, metric="loss", gate=Gate(1, high=0.5))) == [first["number"]]
    assert sampled(lab, name, metric="val_loss").metric.name == "val_loss"
    with lab.wire.service.reading() as tx:
        assert curves.metric_names(tx, name) == ["val_loss", "acc", "loss"]
    with pytest.raises(InvalidRequest, match="one of acc, loss, val_loss"):
        sampled(lab, name, metric="accuracy")


def test_what_a_later_attempt_trains_again_is_not_shown(lab: Lab) -> None:
    name = lab.study(retries=1)
    [first] = lab.claim()
    lab.wire.report(first, 1, 0.5)
    lab.wire.report(first, 2, 0.25)
    lab.wire.finish(first, "failed")
    [again] = lab.claim()
    lab.wire.report(again, 1, 0.75)
    [curve] = sampled(lab, name).items
    assert (curve.epochs, curve.values) == ([1], [0.75])


def test_long_curves_keep_their_ends_and_their_best(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    name = lab.study(budget={"max_trials": 2, "max_epochs": 400})
    values = {str(epoch): 1.0 + (epoch * 37 % 100) / 100 for epoch in range(1, 401)} | {"217": 0.5}
    lab.offer(name, {"params": {"x": 0.5, "kind": "a"}, "epochs": values, "best_epoch": 217})
    for is_sparse in (False, True):
        if is_sparse:
            monkeypatch.setattr(curves, "_EPOCHS_READ", 50)
        [curve] = sampled(lab, name, points=20).items
        assert len(curve.epochs) <= 20
        assert (curve.epochs[0], curve.epochs[-1]) == (1, 400)
        assert dict(zip(curve.epochs, curve.values, strict=True))[217] == 0.5


def test_trials_that_were_asked_for_are_there_in_any_case(lab: Lab) -> None:
    name = filled(lab, 20)
    with lab.wire.service.reading() as tx:
        wanted = curves.trial_id_of(tx, name, 3)
        with pytest.raises(NotFound, match="the trial number 20"):
            curves.trial_id_of(tx, name, 20)
    assert numbers(sampled(lab, name, top=2, also=(wanted,))) == [3, 18, 19]


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ((None, 0.5, None), ["at"]),
        ((3, None, None), ["from"]),
        ((3, 0.5, 0.25), ["to"]),
        ((None, 0.5, 0.25), ["to", "at"]),
    ],
)
def test_half_a_gate_is_refused(given: tuple[int | None, float | None, float | None], fields: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        curves.gate(*given)
    assert [error.field for error in refused.value.errors] == fields


def test_no_gate_is_none() -> None:
    assert curves.gate(None, None, None) is None
    assert curves.gate(3, None, 0.5) == Gate(3, None, 0.5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("loss", "maximize"), ("val_loss", "maximize"), ("val_accuracy", "maximize"), ("mae", "minimize")],
)
def test_metrics_have_a_better_direction(name: str, expected: str) -> None:
    assert curves.direction(name, Metric(name="val_loss", direction="maximize")).direction == expected


def test_training_and_validation_belong_together() -> None:
    assert curves.partner("val_loss") == "loss"
    assert curves.partner("loss") == "val_loss"


def test_the_api_answers_pages_or_a_sample(lab: Lab) -> None:
    name = filled(lab, 12)
    path = f"/studies/{name}/curves"
    page = lab.wire.get(f"{path}?limit=5")
    assert ([curve["number"] for curve in page["items"]], page["next_after"]) == ([0, 1, 2, 3, 4], 4)
    assert (page["num_trials"], page["how"]) == (None, None)
    few = lab.wire.get(f"{path}?sample=4")
    assert (few["num_trials"], few["next_after"]) == (12, None)
    assert len(few["items"]) <= 4
    assert [curve["number"] for curve in lab.wire.get(f"{path}?top=2")["items"]] == [10, 11]
    passing = lab.wire.get(f"{path}?at=3&from=1&to=1.25&state=complete")
    assert [curve["number"] for curve in passing["items"]] == [6, 8]
    assert all(len(curve["epochs"]) == 3 for curve in lab.wire.get(f"{path}?points=4")["items"])
    for query in (
        "at=3",
        "from=1",
        "at=3&from=2&to=1",
        "at=0&to=1",
        "metric=other",
        "state=lost",
        "sample=3",
        "to=nan",
    ):
        assert lab.wire.refused("GET", f"{path}?{query}") == "422 invalid_request", query
