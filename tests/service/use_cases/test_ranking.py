"""The leaderboard on both databases: orders, filters, pages, repeats, noise, retests, notes, trials side by side."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.service.protocol.wire import Wire, item
from tests.service.use_cases.lab import SPACE, Lab

MIXED: dict[str, Any] = SPACE | {
    "flag": {"type": "categorical", "choices": [True, False, 1, "1", "per cent %", "o'clock"]},
    "depth": {"type": "int", "low": 1, "high": 9, "when": {"kind": ["b"]}},
}
BUDGET = {"max_trials": 40, "max_epochs": 6}
_numbers = itertools.count()


def board(lab: Lab, name: str, *pairs: tuple[str, Any]) -> Any:
    """The answer to a view of a leaderboard."""
    return lab.wire.get(f"/studies/{name}/leaderboard?{urlencode(pairs)}")


def numbers(found: Any) -> list[int]:
    return [row["number"] for row in found["items"]]


def train(lab: Lab, name: str, value: float | None, *, epochs: int = 1, facts: Any = None, **params: Any) -> Any:
    """Train a configuration until it is complete, or let it fail before its first epoch."""
    lab.wire.post(f"/studies/{name}/trials", {"params": {"x": 0.5, "kind": "a"} | params})
    [assignment] = lab.claim()
    for epoch in range(1, epochs + 1 if value is not None else 1):
        assert value is not None
        told = item(assignment, epoch, value + epochs - epoch) | ({"facts": facts} if facts and epoch == 1 else {})
        lab.wire.post("/measurements", {"items": [told]})
    body = {"lease": assignment["lease"], "outcome": "complete" if value is not None else "infeasible"}
    lab.wire.post(f"/trials/{assignment['trial_id']}:finish", body)
    return assignment


@pytest.fixture
def lab(wire: Wire) -> Lab:
    """The studies of one case of a test."""
    return Lab(wire, f"ranking-{next(_numbers)}")


@pytest.fixture(scope="module")
def shared(wire: Wire) -> tuple[Lab, str]:
    """A mixed study that nobody changes."""
    lab = Lab(wire, "ranking-shared")
    return lab, mixed_study(lab)


@pytest.fixture
def mixed(lab: Lab) -> str:
    """A mixed study of one's own."""
    return mixed_study(lab)


def mixed_study(lab: Lab) -> str:
    """A study of five trials: 0.4, 0.2, nothing, 0.3 and 0.2 again."""
    name = lab.study(space=MIXED, budget=BUDGET)
    train(lab, name, 0.4, x=0.125, flag=True)
    train(lab, name, 0.2, x=0.75, kind="b", depth=3, flag=1, epochs=3)
    train(lab, name, None, x=0.25, flag="1")
    train(lab, name, 0.3, x=0.5, kind="b", depth=9, flag="per cent %")
    train(lab, name, 0.2, x=0.0625, flag="o'clock", epochs=2)
    return name


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("rank", [1, 4, 3, 0, 2]),
        ("-rank", [0, 3, 1, 4, 2]),
        ("value", [1, 4, 3, 0, 2]),
        ("gap", [1, 4, 3, 0, 2]),
        ("trial", [0, 1, 2, 3, 4]),
        ("-trial", [4, 3, 2, 1, 0]),
        ("epochs", [2, 0, 3, 4, 1]),
        ("-best_epoch", [1, 4, 0, 3, 2]),
        ("x", [4, 0, 2, 3, 1]),
        ("-x", [1, 3, 2, 0, 4]),
        ("depth", [1, 3, 0, 2, 4]),
        ("-depth", [3, 1, 0, 2, 4]),
        ("kind", [0, 2, 4, 1, 3]),
        ("state", [0, 1, 3, 4, 2]),
        ("created", [0, 1, 2, 3, 4]),
        ("repeats", [1, 4, 3, 0, 2]),
        ("worker", [0, 1, 2, 3, 4]),
        ("origin", [0, 1, 2, 3, 4]),
        ("tags", [0, 1, 2, 3, 4]),
    ],
)
def test_rows_come_in_any_order_and_those_without_a_value_last(
    shared: tuple[Lab, str], sort: str, order: list[int]
) -> None:
    lab, mixed = shared
    found = board(lab, mixed, ("sort", sort))
    assert numbers(found) == order
    # The rank is that among all trials, whatever the order.
    assert {row["number"]: row["rank"] for row in found["items"]} == {1: 1, 4: 2, 3: 3, 0: 4, 2: None}
    pages = [board(lab, mixed, ("sort", sort), ("limit", 2), ("after", after)) for after in (0, 2, 4)]
    assert [number for page in pages for number in numbers(page)] == order
    assert [page["next_after"] for page in pages] == [2, 4, None]


def test_a_metric_to_be_maximised_turns_ranks_and_distances(lab: Lab) -> None:
    name = lab.study(metric={"name": "val_loss", "direction": "maximize"}, budget=BUDGET)
    for value in (0.25, 0.75, 0.5):
        train(lab, name, value, x=value)
    found = board(lab, name)
    assert numbers(found) == [1, 2, 0]
    assert [row["gap"] for row in found["items"]] == [0.0, 0.25, 0.5]
    assert numbers(board(lab, name, ("sort", "value"))) == [0, 2, 1]
    assert [row["rank"] for row in board(lab, name, ("sort", "value"))["items"]] == [3, 2, 1]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("state", "failed")], [2]),
        ([("state", "failed"), ("state", "complete")], [1, 4, 3, 0, 2]),
        ([("state", "running")], []),
        ([("where", "x:0.1..0.5")], [3, 0, 2]),
        ([("where", "x:..0.1")], [4]),
        ([("where", "x:0.75")], [1]),
        ([("where", "value:..0.35")], [1, 4, 3]),
        ([("where", "depth:1..8")], [1]),
        ([("where", "epochs:2..")], [1, 4]),
        ([("where", "kind:b")], [1, 3]),
        ([("where", "kind:a|b"), ("where", "x:0.5..")], [1, 3]),
        ([("where", "flag:true")], [0]),
        ([("where", "flag:1")], [1, 2]),
        ([("where", "flag:per cent %|o'clock")], [4, 3]),
        ([("where", "memory:0..")], []),
        ([("where", "round:0..")], []),
        ([("state", "complete"), ("where", "x:0.1..0.5"), ("sort", "-x")], [3, 0]),
    ],
)
def test_filters_leave_those_that_match(
    shared: tuple[Lab, str], pairs: list[tuple[str, str]], expected: list[int]
) -> None:
    lab, mixed = shared
    found = board(lab, mixed, *pairs)
    assert numbers(found) == expected
    assert (found["num_matching"], found["total"]) == (len(expected), 5)
    first = board(lab, mixed, *pairs, ("limit", 1))
    assert first["num_matching"] == len(expected)
    assert board(lab, mixed, *pairs, ("after", 1000))["items"] == []


def test_pinned_trials_come_first_whatever_the_filters(lab: Lab, mixed: str) -> None:
    found = board(lab, mixed, ("pin", "2,0,99"), ("where", "value:..0.45"))
    assert [row["number"] for row in found["pinned"]] == [2, 0]
    assert [row["rank"] for row in found["pinned"]] == [None, 4]
    assert numbers(found) == [1, 4, 3]


def test_what_a_trial_ran_on_is_told_from_its_newest_attempt(lab: Lab) -> None:
    name = lab.study(budget=BUDGET)
    gpu = {"device": "GPU-1", "device_name": "H200", "peak_device_memory_bytes": 9, "peak_memory_bytes": 5}
    train(lab, name, 0.5, x=0.5, facts=gpu)
    train(lab, name, 0.25, x=0.25, facts={"device": "cpu", "peak_memory_bytes": 7})
    train(lab, name, 0.75, x=0.75)
    told = {row["number"]: (row["device"], row["peak_memory_bytes"]) for row in board(lab, name)["items"]}
    assert told == {0: ("H200", 9), 1: ("cpu", 7), 2: (None, None)}
    assert numbers(board(lab, name, ("sort", "-memory"))) == [0, 1, 2]
    assert sorted(numbers(board(lab, name, ("sort", "device")))[:2]) == [0, 1]
    assert numbers(board(lab, name, ("where", "memory:8.."))) == [0]


def test_repeats_are_summed_up_over_those_that_completed(lab: Lab) -> None:
    name = lab.study(budget=BUDGET)
    for value in (0.5, 0.25):
        train(lab, name, value, x=0.5)
    train(lab, name, None, x=0.5)
    train(lab, name, 1.0, x=0.25)
    told = {row["number"]: row["repeats"] for row in board(lab, name)["items"]}
    assert told[0] == told[1] == told[2]
    assert (told[0]["num"], told[0]["mean"]) == (2, 0.375)
    assert told[0]["sd"] == pytest.approx(0.1767767)
    assert told[3] == {"num": 1, "mean": 1.0, "sd": None}


def test_what_is_within_the_noise_of_the_best_is_marked(lab: Lab) -> None:
    name = lab.study(budget=BUDGET)
    train(lab, name, 0.5, x=0.5)
    assert board(lab, name)["noise"] is None
    for value in (0.51, 0.52, 0.53):
        train(lab, name, value, x=0.5)
    train(lab, name, 0.55, x=0.25)
    train(lab, name, 0.75, x=0.75)
    found = board(lab, name)
    assert (found["noise"]["num_configurations"], found["noise"]["num_trials"]) == (1, 4)
    # The sd of four values 0.01 apart is 0.01291, t with 3 degrees of freedom 3.182.
    assert found["noise"]["margin"] == pytest.approx(0.0581, abs=2e-4)
    assert {row["number"]: row["is_tied"] for row in found["items"]} == {
        0: False, 1: True, 2: True, 3: True, 4: True, 5: False,
    }  # fmt: skip


def test_the_best_are_trained_again_with_other_seeds(lab: Lab, mixed: str) -> None:
    answer = lab.wire.post(f"/studies/{mixed}:retest", {"top": 2, "repeats": 2})
    assert [status["state"] for status in answer["items"]] == ["waiting"] * 4
    trials = lab.wire.get(f"/studies/{mixed}/trials")["items"]
    again = trials[5:]
    assert [trial["params"] for trial in again] == [trials[at]["params"] for at in (1, 1, 4, 4)]
    assert {trial["origin"] for trial in again} == {"enqueued"}
    assert len({trial["seed"] for trial in [*again, trials[1]]}) == 5


def test_a_retest_that_cannot_be_is_refused(lab: Lab) -> None:
    name = lab.study(budget={"max_trials": 4, "max_epochs": 6})
    assert lab.wire.refused("POST", f"/studies/{name}:retest", {"top": 1, "repeats": 1}) == "409 state_conflict"
    for value in (0.5, 0.25):
        train(lab, name, value, x=value)
    assert lab.wire.refused("POST", f"/studies/{name}:retest", {"top": 0}) == "422 invalid_request"
    _, told = lab.wire.ask("POST", f"/studies/{name}:retest", {"top": 2, "repeats": 2})
    assert "has room for 2" in told["detail"]
    assert "raise max_trials to 6" in told["detail"]
    assert len(lab.wire.get(f"/studies/{name}/trials")["items"]) == 2
    # There are two configurations only: of more, those that there are are taken.
    assert len(lab.wire.post(f"/studies/{name}:retest", {"top": 9, "repeats": 1})["items"]) == 2
    lab.wire.post(f"/studies/{name}:stop")
    assert lab.wire.refused("POST", f"/studies/{name}:retest", {}) == "409 state_conflict"


def test_configurations_outside_an_edited_space_are_not_trained_again(lab: Lab) -> None:
    name = lab.study(budget=BUDGET)
    train(lab, name, 0.25, x=0.9)
    train(lab, name, 0.5, x=0.25)
    narrow = SPACE | {"x": {"type": "float", "low": 0.0, "high": 0.5}}
    assert lab.wire.ask("PATCH", f"/studies/{name}", {"space": narrow})[0] == 200
    lab.wire.post(f"/studies/{name}:retest", {"top": 1, "repeats": 1})
    assert lab.trial(name, 2)["params"]["x"] == 0.25


def test_tags_and_notes_are_kept_found_and_told(lab: Lab, mixed: str) -> None:
    first, second = (lab.trial(mixed, number)["trial_id"] for number in (0, 3))
    status, told = lab.wire.ask("PATCH", f"/trials/{first}", {"tags": {"keep": "", "by": "Zoë"}, "note": "50 % better"})
    assert (status, told["tags"], told["note"]) == (200, {"keep": "", "by": "Zoë"}, "50 % better")
    lab.wire.ask("PATCH", f"/trials/{second}", {"note": "50 times better"})
    assert lab.trial(mixed, 3)["tags"] == {}
    assert numbers(board(lab, mixed, ("q", "BETTER"))) == [3, 0]
    assert numbers(board(lab, mixed, ("q", "50 %"))) == [0]
    assert numbers(board(lab, mixed, ("q", "zoë"))) == [0]
    lab.wire.ask("PATCH", f"/trials/{first}", {"note": ""})
    assert lab.trial(mixed, 0)["tags"] == {"keep": "", "by": "Zoë"}
    assert numbers(board(lab, mixed, ("q", "50 %"))) == []
    kinds = [event.kind for event in lab.events(mixed)]
    assert kinds.count("trial_annotated") == 3
    lab.wire.ask("PATCH", f"/trials/{first}", {"note": ""})
    assert len(lab.events(mixed)) == len(kinds), "saying the same again is no news"
    assert lab.wire.get(f"/studies/{mixed}/replay")["is_identical"]


@pytest.mark.parametrize(
    "body",
    [
        {"note": "a\u0007b"},
        {"note": "x" * 2001},
        {"note": "left \u202e right"},
        {"tags": {"": "x"}},
        {"tags": {"a\nb": "x"}},
        {"tags": {"a": "x" * 61}},
        {"tags": {f"t{number}": "" for number in range(21)}},
        {"tags": {" a": ""}},
        {"tagz": {}},
    ],
)
def test_what_nobody_could_read_is_no_note(shared: tuple[Lab, str], body: Any) -> None:
    lab, mixed = shared
    trial_id = lab.trial(mixed, 0)["trial_id"]
    assert lab.wire.refused("PATCH", f"/trials/{trial_id}", body) == "422 invalid_request"


def test_trials_side_by_side(lab: Lab, mixed: str) -> None:
    found = lab.wire.get(f"/studies/{mixed}/trials:compare?trial=3&trial=1&trial=3")
    assert [one["number"] for one in found["items"]] == [3, 1]
    assert found["differing"] == ["x", "flag", "depth"]
    assert found["items"][1]["epochs"] == [1, 2, 3]
    assert found["items"][1]["values"] == pytest.approx([2.2, 1.2, 0.2])
    assert [one["rank"] for one in found["items"]] == [3, 1]
    for query, refusal in (
        ("trial=1", "422 invalid_request"),
        ("trial=1&trial=1", "422 invalid_request"),
        ("&".join(f"trial={number}" for number in range(7)), "422 invalid_request"),
        ("trial=0&trial=77", "404 not_found"),
        ("", "422 invalid_request"),
    ):
        assert lab.wire.refused("GET", f"/studies/{mixed}/trials:compare?{query}") == refusal


def test_the_view_as_a_table_is_safe_to_open(lab: Lab, mixed: str) -> None:
    trial_id = lab.trial(mixed, 1)["trial_id"]
    lab.wire.ask("PATCH", f"/trials/{trial_id}", {"note": "=1+1"})
    path = (
        f"/api/v1/studies/{mixed}/leaderboard?format=csv&where=kind:b&columns=trial,value,kind,depth,state,tags,repeats"
    )
    answer = lab.wire.client.get(path)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{mixed}-leaderboard.csv"'
    lines = answer.text.splitlines()
    assert lines[0] == (
        "trial,value,params.kind,params.depth,state,stop_reason,tags,note,repeats.num,repeats.mean,repeats.sd"
    )
    assert lines[1].startswith("1,0.2")
    assert ",'=1+1," in lines[1]
    assert len(lines) == 3
    whole = lab.wire.client.get(f"/api/v1/studies/{mixed}/leaderboard?format=csv").text.splitlines()
    assert len(whole) == 6


def test_a_space_whose_parameter_became_another_kind_can_still_be_sorted(lab: Lab, mixed: str) -> None:
    other = MIXED | {"kind": {"type": "float", "low": 0.0, "high": 1.0}, "depth": {"type": "int", "low": 1, "high": 9}}
    assert lab.wire.ask("PATCH", f"/studies/{mixed}", {"space": other})[0] == 200
    assert numbers(board(lab, mixed, ("sort", "kind"))) == [0, 2, 4, 1, 3]
    assert numbers(board(lab, mixed, ("where", "kind:0..1"))) == []
