"""Every message equals itself after a trip through JSON; the words of the wire are closed lists."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from caviar.contract import catalogue, fleet, messages, points, preview, ranking, rungs, states, study, timeline, views
from caviar.contract.model import Model, View
from caviar.contract.space import Space
from caviar.contract.states import FINISHED, StudyState, TrialState
from caviar.contract.study import Budget, Metric, Plugin, StudySpec
from tests.caviar.contract import comparisons, pictures
from tests.caviar.contract.bodies import (
    ARTIFACT,
    ASSIGNMENT,
    AT,
    ATTEMPT,
    BEST,
    CHECKPOINT,
    COST,
    CURVE,
    DECIDED,
    DECISION,
    DEVICE,
    EDITED_WINDOW,
    ERROR,
    FACTS,
    HISTOGRAM,
    IMPORTED,
    IMPROVEMENT,
    KEPT,
    LIMITS,
    MEASUREMENT,
    METRIC,
    NEEDED,
    OBJECTIVE,
    OFFER,
    OFFERED,
    PARAMS,
    PRUNER,
    REJECTED,
    ROUND,
    SKIPPED,
    SLOT,
    SPACE,
    STOPPING,
    STORED,
    STRATEGY,
    STUDY,
    TRIAL,
    VIEW,
    WINDOW,
    WORKER,
)
from tests.caviar.contract.progress_messages import PROGRESS
from tests.caviar.contract.ranked import ranked
from tests.caviar.contract.spaces import SCALARS, spaces

EXAMPLES: dict[type[BaseModel], dict[str, Any]] = {
    study.ObjectiveRef: OBJECTIVE,
    study.Metric: METRIC,
    study.Plugin: PRUNER,
    study.EarlyStopping: STOPPING,
    study.Budget: LIMITS,
    study.StudySpec: STUDY,
    study.BudgetEdit: LIMITS,
    study.Checkpoints: KEPT,
    study.Requires: NEEDED,
    study.StudyEdit: {
        "budget": LIMITS,
        "space": SPACE,
        "priority": 3,
        "requires": NEEDED,
        "checkpoints": KEPT,
        "tags": {"a": "b"},
    },
    study.NewTrial: {"params": PARAMS},
    study.CloneStudy: {"name": "digits-again"},
    study.ImportedTrial: IMPORTED,
    study.ImportTrials: {"study": None, "items": [IMPORTED], "metric": METRIC, "objective": OBJECTIVE},
    study.WindowEdit: EDITED_WINDOW,
    study.OpenRound: {"windows": {"lr": EDITED_WINDOW}},
    messages.OfferedObjective: OFFER,
    fleet.Device: DEVICE,
    fleet.SlotFacts: SLOT,
    fleet.RunFacts: FACTS,
    messages.RegisterWorker: {
        "name": "w",
        "host": "h",
        "slots": 2,
        "devices": [DEVICE],
        "labels": {"site": "basement"},
        "objectives": [OFFER],
    },
    messages.WorkerRegistered: {"worker_id": "w1", "lease_ttl_s": 30.0},
    messages.Claim: {"request_id": "r1", "max_trials": 3, "wait_s": 2.5, "leases": ["t0ken"]},
    messages.Checkpoint: CHECKPOINT,
    messages.Assignment: ASSIGNMENT,
    messages.Claimed: {"assigned": [ASSIGNMENT], "retry_after_s": 1.5, "mode": "paused"},
    messages.Heartbeat: {"leases": ["t0ken"], "devices": [DEVICE], "slots": [SLOT], "checkpoints": [3, 7]},
    messages.HeartbeatAnswer: {"lost": ["t0ken"], "discard": [7], "mode": "draining"},
    messages.Measurement: MEASUREMENT,
    messages.Report: {"items": [MEASUREMENT]},
    messages.TrialDecision: DECISION,
    messages.Rejected: REJECTED,
    messages.ReportAnswer: {"decisions": [DECISION], "rejected": [REJECTED]},
    messages.TrainingError: ERROR,
    messages.Finish: {"lease": "t0ken", "outcome": "failed", "error": ERROR, "facts": FACTS, "log_tail": "epoch 1"},
    messages.Release: {"lease": "t0ken", "is_checkpoint_missing": True},
    messages.TrialStatus: {"trial_id": 3, "state": "pruned", "stop_reason": "pruned", "keep_weights": True},
    views.BestTrial: BEST,
    views.StudyView: VIEW,
    views.StudyPage: {"items": [VIEW], "next_after": "s", "total": 2},
    views.AttemptView: ATTEMPT,
    views.TrialView: TRIAL,
    views.DecisionView: DECIDED,
    views.ArtifactView: ARTIFACT,
    views.TrialDetail: {
        **TRIAL,
        "metric": METRIC,
        "attempts": [ATTEMPT],
        "decisions": [DECIDED],
        "artifacts": [ARTIFACT],
        "as_of_seq": 9,
    },
    views.Demand: {"num_running": 2, "num_wanted": 5},
    views.TrialPage: {"items": [TRIAL], "next_after": 3},
    **ranked(TRIAL, METRIC),
    views.Curve: CURVE,
    views.Curves: {
        "study": "s",
        "metric": METRIC,
        "items": [CURVE],
        "next_after": 2,
        "num_trials": 900,
        "how": "the best, and an even sample of the rest",
    },
    views.MeasurementView: STORED,
    views.Measurements: {"trial_id": 3, "items": [STORED]},
    views.WindowView: WINDOW,
    views.RoundView: ROUND,
    views.Rounds: {"study": "s", "items": [ROUND]},
    views.Improvement: IMPROVEMENT,
    views.History: {
        "study": "s",
        "metric": METRIC,
        "num_epochs": 9,
        "created_at": AT,
        "ended_at": AT,
        "items": [IMPROVEMENT],
    },
    views.SpaceVersion: {"version": 1, "space": SPACE, "created_at": AT},
    views.Spaces: {
        "study": "s",
        "num_trials": 4,
        "num_fitting": 3,
        "items": [{"version": 1, "space": SPACE, "created_at": AT}],
    },
    views.Skipped: SKIPPED,
    views.Imported: {"num_imported": 2, "skipped": [SKIPPED]},
    views.EventView: {"seq": 1, "kind": "measured", "at": AT, "data": {"trial_id": 3, "number": 2}},
    **pictures.EXAMPLES,
    **comparisons.EXAMPLES,
    preview.Histogram: HISTOGRAM,
    preview.Cost: COST,
    preview.Preview: {"configurations": [PARAMS], "histograms": {"lr": HISTOGRAM}, "cost": COST},
    views.ObjectiveView: OFFERED,
    views.Objectives: {"items": [OFFERED]},
    views.WorkerView: WORKER,
    views.Workers: {"items": [WORKER]},
    views.Health: {"status": "ok", "checks": [{"name": "database", "is_ok": True, "age_s": 0.2}]},
    views.HealthCheck: {"name": "database", "is_ok": True, "age_s": 0.2},
    **PROGRESS,
}
MODELS = {
    value
    for module in (catalogue, fleet, messages, points, preview, ranking, rungs, study, timeline, views)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, BaseModel) and value not in (Model, View, Space)
}


def test_every_message_has_an_example_that_sets_every_field() -> None:
    missing = MODELS - EXAMPLES.keys()
    assert not missing, f"add examples of {sorted(model.__name__ for model in missing)}"
    for model, body in EXAMPLES.items():
        assert model.model_fields.keys() - body.keys() == set(), model.__name__


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: model.__name__)
def test_a_message_equals_itself_after_a_trip_through_json(model: Any) -> None:
    body = EXAMPLES[model]
    message = model.model_validate(body)
    sent = message.model_dump(mode="json")
    assert sent == body
    assert json.dumps(sent) == json.dumps(json.loads(json.dumps(sent, allow_nan=False)))
    assert model.model_validate(json.loads(json.dumps(sent))) == message
    assert model.model_validate_json(message.model_dump_json()) == message


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: model.__name__)
def test_what_others_send_is_closed_and_what_we_send_may_grow(model: Any) -> None:
    body = EXAMPLES[model] | {"of_a_later_version": 1}
    if issubclass(model, View):
        assert model.model_validate(body) == model.model_validate(EXAMPLES[model])
    elif model is Plugin:
        assert model.model_validate(body).options["of_a_later_version"] == 1
    else:
        with pytest.raises(ValidationError, match="of_a_later_version"):
            model.model_validate(body)


@pytest.mark.parametrize("model", EXAMPLES, ids=lambda model: model.__name__)
def test_messages_cannot_be_changed(model: Any) -> None:
    message = model.model_validate(EXAMPLES[model])
    with pytest.raises(ValidationError):
        setattr(message, next(iter(model.model_fields)), None)


@pytest.mark.parametrize("model", sorted(MODELS, key=str))
def test_every_message_is_described(model: Any) -> None:
    assert model.__doc__
    assert model.__doc__ != BaseModel.__doc__
    described = model.__doc__.partition("Attributes:")[2]
    unknown = [
        line.split(":")[0].strip()
        for line in described.splitlines()
        if line.startswith("    ") and line[8:9].strip() and line.split(":")[0].strip() not in model.model_fields
    ]
    assert not unknown


@given(
    space=spaces(),
    config=st.dictionaries(st.sampled_from("abc"), SCALARS),
    seed=st.integers(0, 2**53 - 1),
    target=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_study_equals_itself_after_a_trip_through_json(space: Any, config: Any, seed: Any, target: Any) -> None:
    spec = StudySpec.model_validate(
        {
            "name": "a",
            "objective": {"name": "mlp", "config": config},
            "space": space.model_dump(),
            "seed": seed,
            "budget": {"target": target},
        }
    )
    sent = json.dumps(spec.model_dump(mode="json"), allow_nan=False)
    back = StudySpec.model_validate(json.loads(sent))
    assert back == spec
    assert back.space is not None
    assert back.space.names == space.names
    assert StudySpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_used_space_equals_a_fresh_one() -> None:
    used, fresh = (StudySpec.model_validate(STUDY) for _ in range(2))
    assert used.space is not None
    used.space.params_at([0.5, 0.5, 0.1])
    assert used.space.parents_first == ["units", "opt", "lr"]
    assert used == fresh
    assert used.model_dump(mode="json") == fresh.model_dump(mode="json")


def test_a_study_needs_only_a_name_and_an_objective() -> None:
    spec = StudySpec.model_validate({"name": "a", "objective": {"name": "mlp"}})
    assert spec.metric == Metric(name="val_loss", direction="minimize")
    assert spec.budget == Budget()
    assert (spec.strategy.kind, spec.strategy.options, spec.pruner.kind) == ("coarse_to_fine", {}, "asha")
    assert (spec.retries, spec.seed, spec.tags, spec.space) == (2, 0, {}, None)
    assert Plugin.model_validate(STRATEGY).options == {"n_startup_trials": 5, "multivariate": True}


def test_better_means_lower_or_higher_as_the_direction_says() -> None:
    assert Metric(direction="minimize").better(1.0, 2.0)
    assert Metric(direction="maximize").better(2.0, 1.0)
    assert not Metric().better(1.0, 1.0)


@pytest.mark.parametrize(
    "limits", [{"max_trials": 1}, {"max_trials": None, "max_total_epochs": 1}, {"max_trials": None, "max_seconds": 0.1}]
)
def test_any_one_limit_is_end_enough(limits: Any) -> None:
    assert Budget.model_validate(limits).max_epochs == 30


def test_an_edit_knows_which_limits_it_names() -> None:
    edit = study.StudyEdit.model_validate({"budget": {"max_parallel": None}})
    assert edit.budget is not None
    assert edit.budget.model_fields_set == {"max_parallel"}


def test_ends_are_ends() -> None:
    assert {state for state in TrialState if state.is_finished} == FINISHED
    assert not any(state.is_finished for state in (TrialState.WAITING, TrialState.RUNNING, TrialState.PAUSED))
    assert [state for state in StudyState if state.is_finished] == [StudyState.COMPLETE, StudyState.STOPPED]


@pytest.mark.parametrize(
    "words",
    [
        value
        for value in vars(states).values()
        if isinstance(value, type) and issubclass(value, StrEnum) and value is not StrEnum
    ],
)
def test_words_are_lower_case_and_described(words: Any) -> None:
    assert words.__doc__
    assert all(word.value == word.name.lower() for word in words)
