"""A replay finds every suggestion again, and notices when one was changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from caviar.contract.states import TrialState
from caviar.contract.study import StudySpec
from service.search.following import apply_event, moved
from service.search.mirror import Mirror
from service.search.replaying import Happening, replay
from tests.service.search.chronicle import Chronicle
from tests.service.search.studies import SPACE, study

ADAPTIVE = ("coarse_to_fine", "tpe")


def of_kind(kind: str, **options: Any) -> StudySpec:
    return study(strategy={"kind": kind, **options}, pruner={"kind": "asha"})


def through_json(events: list[Happening]) -> list[tuple[int, str, dict[str, Any]]]:
    """The events as they come back from a database."""
    return [(seq, kind, json.loads(json.dumps(data))) for seq, kind, data in events]


@pytest.mark.parametrize("kind", ["random", *ADAPTIVE])
def test_every_suggestion_is_found_again(kind: str) -> None:
    chronicle = Chronicle(of_kind(kind)).until(50)
    result = replay(of_kind(kind), through_json(chronicle.events))
    assert len(chronicle.mirror.trials) >= 50
    assert result.num_checked == result.num_identical == len(chronicle.mirror.trials)
    assert result.num_unchecked == 0
    assert result.first_difference is None


def test_what_the_sampler_did_not_know_is_not_told_to_it() -> None:
    """Had it known the events stored before its trial, other elites would have come of it."""
    chronicle = Chronicle(of_kind("coarse_to_fine")).until(60)
    late = []
    for seq, kind, data in chronicle.events:
        told = {**data, "as_of": seq - 1} if kind == "trial_created" else data
        late.append((seq, kind, told))
    assert replay(of_kind("coarse_to_fine"), late).num_identical < len(chronicle.mirror.trials)


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_a_changed_parameter_is_noticed(kind: str) -> None:
    chronicle = Chronicle(of_kind(kind)).until(30)
    events = through_json(chronicle.events)
    [created] = [data for _, kind, data in events if kind == "trial_created" and data["number"] == 29]
    stored = created["params"]["learning_rate"]
    created["params"]["learning_rate"] = stored * (1 + 2**-52)
    result = replay(of_kind(kind), events)
    assert result.num_checked - result.num_identical == 1
    assert result.first_difference is not None
    assert result.first_difference.number == 29
    assert result.first_difference.recomputed["params"]["learning_rate"] == stored
    assert result.first_difference.stored["params"]["learning_rate"] != stored


def test_true_is_not_one() -> None:
    space = {**SPACE, "flag": {"type": "categorical", "choices": [True, False, 1, 0]}}
    chronicle = Chronicle(study(space=space)).until(12)
    events = through_json(chronicle.events)
    for _, kind, data in events:
        if kind == "trial_created":
            data["params"]["flag"] = int(data["params"]["flag"])
    result = replay(chronicle.mirror.spec, events)
    booleans = sum(isinstance(trial.params["flag"], bool) for trial in chronicle.mirror.trials)
    assert 0 < booleans < len(chronicle.mirror.trials)
    assert result.num_checked - result.num_identical == booleans


def test_a_changed_window_is_noticed() -> None:
    chronicle = Chronicle(of_kind("coarse_to_fine")).until(40)
    events = through_json(chronicle.events)
    opened = [data for _, kind, data in events if kind == "round_opened"][1]
    opened["windows"]["beta_1"]["unit_low"] += 1e-9
    result = replay(of_kind("coarse_to_fine"), events)
    assert result.first_difference is not None
    assert result.first_difference.number == opened["first_trial"]
    assert result.first_difference.stored["round"] != result.first_difference.recomputed["round"]


def test_hand_made_and_imported_trials_are_known_but_not_checked() -> None:
    chronicle = Chronicle(of_kind("coarse_to_fine"))
    units = [0.5] * len(SPACE)
    chronicle.bring(chronicle.mirror.space.params_at(units), {1: 0.9, 2: 0.01, 10: 0.005})
    chronicle.until(20).enqueue(chronicle.mirror.space.params_at([0.25] * len(SPACE)))
    chronicle.until(45)
    result = replay(of_kind("coarse_to_fine"), through_json(chronicle.events))
    assert result.num_unchecked == 2
    assert result.num_identical == result.num_checked == len(chronicle.mirror.trials) - 2
    imported = chronicle.mirror.trials[0]
    assert (imported.is_proposed, imported.state) == (False, TrialState.COMPLETE)
    assert list(imported.values) == [1, 2, 10]
    without = [event for event in chronicle.events if event[1] != "trial_imported"]
    with pytest.raises(ValueError, match="contiguous"):
        replay(of_kind("coarse_to_fine"), without)


@pytest.mark.parametrize("kind", ADAPTIVE)
def test_an_edit_of_the_ranges_is_followed(kind: str) -> None:
    chronicle = Chronicle(of_kind(kind)).until(30)
    narrow = {**SPACE, "learning_rate": {"type": "float", "low": 1e-3, "high": 0.1, "scale": "log"}}
    edited = of_kind(kind).model_copy(update={"space": study(space=narrow).space})
    chronicle.edit(edited)
    chronicle.until(60)
    assert any(not trial.fits for trial in chronicle.mirror.trials)
    result = replay(of_kind(kind), through_json(chronicle.events))
    assert result.num_identical == result.num_checked == len(chronicle.mirror.trials)


def test_an_exhausted_space_is_a_difference_and_no_crash() -> None:
    spec = study(space={"n": {"type": "int", "low": 1, "high": 3}}, strategy={"kind": "random"})
    events: list[Happening] = [(1, "study_created", {})]
    for number in range(40):
        facts = {"trial_id": number, "number": number, "params": {"n": 2}, "round": None}
        events.append((number + 2, "trial_created", {**facts, "origin": "sampler", "as_of": number + 1}))
    assert replay(spec, events).num_identical < 40


def test_trials_that_do_not_say_what_they_were_based_on_are_not_checked() -> None:
    chronicle = Chronicle(of_kind("random")).until(6)
    events = through_json(chronicle.events)
    for _, kind, data in events:
        if kind == "trial_created" and data["number"] < 4:
            del data["as_of"]
    result = replay(of_kind("random"), events)
    assert result.num_unchecked == 4
    assert result.num_identical == result.num_checked == len(chronicle.mirror.trials) - 4


def test_a_trial_based_on_what_came_later_is_refused() -> None:
    events = through_json(Chronicle(of_kind("random")).until(3).events)
    [created] = [data for _, kind, data in events if kind == "trial_created" and data["number"] == 1]
    created["as_of"] = 1000
    with pytest.raises(ValueError, match="as of event 1000, expected an earlier one"):
        replay(of_kind("random"), events)


def test_events_bring_a_mirror_to_where_another_is() -> None:
    chronicle = Chronicle(of_kind("coarse_to_fine")).until(40)
    fresh = Mirror(chronicle.mirror.spec)
    for _, kind, data in through_json(chronicle.events):
        apply_event(fresh, kind, data)
    assert fresh.trials == chronicle.mirror.trials
    assert fresh.rounds == chronicle.mirror.rounds
    assert {trial.state for trial in fresh.trials} >= {TrialState.PAUSED, TrialState.COMPLETE, TrialState.RUNNING}
    assert moved(fresh, fresh.spec).trials == fresh.trials


def test_a_moved_mirror_keeps_what_waits_again_and_how_far_it_was_promoted() -> None:
    mirror = Mirror(study())
    for number in range(3):
        mirror.add(number, number + 1, mirror.space.params_at([0.1 * number] * len(SPACE)), round=2)
    mirror.start(1)
    mirror.measure(1, 2, 0.5)
    mirror.requeue(1)
    mirror.start(2, promoted_epoch=8)
    mirror.requeue(2)
    assert moved(mirror, mirror.spec).trials == mirror.trials
