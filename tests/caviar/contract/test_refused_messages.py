"""Every refusal of a message names the field, what came and what was expected."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from caviar.contract.errors import InvalidRequest, field_errors
from caviar.contract.messages import Claim, Finish, Measurement, RegisterWorker, Report
from caviar.contract.study import BudgetEdit, NewTrial, StudyEdit, StudySpec
from tests.caviar.contract.refusing import CHOICE, only

ITEM: dict[str, Any] = {"trial_id": 1, "lease": "t", "epoch": 1, "metrics": {"val_loss": 0.5}, "elapsed_s": 1.0}


TOKEN = "1–100 visible ASCII characters without a blank"


@pytest.mark.parametrize(
    ("change", "field", "received", "expected"),
    [
        ({"trial_id": 0}, "trial_id", 0, "a number of at least 1"),
        ({"trial_id": "1"}, "trial_id", "1", "a whole number, written without a decimal point"),
        ({"lease": ""}, "lease", "", TOKEN),
        ({"lease": "a b"}, "lease", "a b", TOKEN),
        ({"lease": "t\0"}, "lease", "t\0", TOKEN),
        ({"lease": "\ud800"}, "lease", "\\ud800", "a text that can be written as UTF-8"),
        ({"lease": "t" * 101}, "lease", "t" * 101, TOKEN),
        ({"epoch": 0}, "epoch", 0, "a number of at least 1"),
        ({"epoch": True}, "epoch", True, "a whole number, written without a decimal point"),
        ({"metrics": {}}, "metrics", "{}", "1 or more entries"),
        ({"metrics": {"val_loss": math.nan}}, "metrics.val_loss", "nan", "a finite number"),
        ({"metrics": {"val_loss": "0.5"}}, "metrics.val_loss", "0.5", "a number"),
        (
            {"metrics": {"val loss": 0.5}},
            "metrics.val loss",
            "val loss",
            "the name of a metric: a letter or '_', then at most 127 letters, digits, '_', '.', '/' and '-'",
        ),
        ({"elapsed_s": -1}, "elapsed_s", -1, "a number of at least 0"),
        ({"elapsed_s": math.inf}, "elapsed_s", "inf", "a finite number"),
        ({"epochs": 1}, "epochs", 1, "no such field; did you mean 'epoch'?"),
    ],
)
def test_a_measurement_that_makes_no_sense_is_refused(change: Any, field: Any, received: Any, expected: Any) -> None:
    assert only(Measurement, ITEM | change) == (field, received, expected)
    assert only(Report, {"items": [ITEM, ITEM | change]}) == (f"items.1.{field}", received, expected)


@pytest.mark.parametrize(
    ("model", "body", "field", "expected"),
    [
        (Report, {"items": []}, "items", "1 or more entries"),
        (Report, [ITEM], "", "an object with named fields"),
        (Report, None, "", "an object with named fields"),
        (Claim, {"request_id": "r", "max_trials": 0}, "max_trials", "a number of at least 1"),
        (Claim, {"request_id": "r", "wait_s": 31}, "wait_s", "a number of at most 30"),
        (Claim, {"request_id": "r\n"}, "request_id", TOKEN),
        (Claim, {}, "request_id", "a value for this required field"),
        (Claim, {"request_id": "r", "leases": ["a", ""]}, "leases.1", TOKEN),
        (
            Finish,
            {"lease": "t", "outcome": "compleet"},
            "outcome",
            "one of complete, failed, diverged, out_of_memory, infeasible, stalled; did you mean 'complete'?",
        ),
        (
            Finish,
            {"lease": "t", "outcome": "failed", "error": {"kind": "K", "message": "m\0"}},
            "error.message",
            "a text without the character NUL (U+0000); no database could store it",
        ),
        (RegisterWorker, {"name": "w", "host": "h", "objectives": []}, "objectives", "1 or more entries"),
        (
            RegisterWorker,
            {"name": "w", "host": "h", "objectives": [{"name": "mlp", "space": {"x": {"type": "in"}}}]},
            "objectives.0.space.x.type",
            "one of float, int, categorical; did you mean 'int'?",
        ),
        (
            RegisterWorker,
            {"name": "", "host": "h", "objectives": [{"name": "mlp"}]},
            "name",
            "a text of 1 or more characters",
        ),
        (
            BudgetEdit,
            {"max_epochs": None},
            "max_epochs",
            "a whole number of at least 1; leave it out to keep the present limit",
        ),
        (StudyEdit, {"budget": {"max_trails": 3}}, "budget.max_trails", "no such field; did you mean 'max_trials'?"),
        (NewTrial, {"params": {"x": math.nan}}, "params.x", "a finite number; JSON has no NaN and no infinity"),
        (NewTrial, {"params": {"x": [1]}}, "params.x", CHOICE),
    ],
)
def test_a_message_that_makes_no_sense_is_refused(model: Any, body: Any, field: Any, expected: Any) -> None:
    path, _, wanted = only(model, body)
    assert (path, wanted) == (field, expected)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


_KEYS = [
    "name",
    "objective",
    "metric",
    "space",
    "strategy",
    "budget",
    "tags",
    "seed",
    "config",
    "kind",
    "type",
    "low",
    "high",
    "choices",
    "when",
    "items",
    "metrics",
    "lease",
    "outcome",
    "error",
]


@given(
    model=st.sampled_from([StudySpec, StudyEdit, NewTrial, Report, Claim, Finish, RegisterWorker]),
    body=st.recursive(
        _JSON,
        lambda inner: st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=3), inner, max_size=6),
        max_leaves=20,
    ),
)
def test_whatever_comes_is_taken_or_refused_in_json(model: Any, body: Any) -> None:
    try:
        model.model_validate(body)
    except ValidationError as error:
        told = InvalidRequest("no", errors=field_errors(error, body)).problem()
        assert told["errors"]
        json.dumps(told, allow_nan=False, ensure_ascii=False).encode()
