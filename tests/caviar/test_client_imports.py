"""Imports by the client: from another study, from the files that `export` writes, in portions."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from caviar import Client
from caviar.client import bodies
from caviar.client.files import read_trials
from caviar.contract.errors import InvalidRequest
from caviar.contract.space import Space
from caviar.contract.study import ImportTrials
from service.api.tables import csv_lines
from tests.caviar.trainer import STUDY, Trainer, study

MIXED = {
    "rate": {"type": "float", "low": 0.0, "high": 1.0},
    "units": {"type": "int", "low": 1, "high": 64},
    "kind": {"type": "categorical", "choices": ["=sgd", "1", 1, 2.5, True]},
}
HEAD = "value,params.rate,params.units,params.kind\n"


def params_of(text: str) -> list[Any]:
    items = read_trials(HEAD + text, "csv", Space.model_validate(MIXED)).items or []
    return [item.params for item in items]


@pytest.mark.parametrize("format", ["csv", "json"])
def test_an_export_is_imported_as_it_is(client: Client, trainer: Trainer, format: Literal["csv", "json"]) -> None:
    old = client.create_study(STUDY)
    for losses in ([0.9, 0.5], [0.2, 0.4]):
        trainer.train(losses)
    [running] = trainer.claim()
    trainer.report(running, [0.75])
    text = client.export("small", format)
    client.create_study(study("new", seed=2))
    imported = client.import_trials("new", read_trials(text, format, old.space))
    assert imported.num_imported == 2
    assert [(one.position, one.number) for one in imported.skipped] == [(2, 2)]
    was = list(client.trials("small"))[:2]
    now = list(client.trials("new"))[:2]
    kept = ("params", "value", "best_epoch", "num_epochs", "state", "stop_reason")
    assert [[getattr(trial, name) for name in kept] for trial in now] == [
        [getattr(trial, name) for name in kept] for trial in was
    ]
    # A table tells the best epoch only; the document has the whole curve.
    curves = {"csv": [[0.5], [0.2]], "json": [[0.9, 0.5], [0.2, 0.4]]}[format]
    assert [curve.values for curve in client.curves("new")] == curves


def test_a_document_of_another_objective_is_refused(client: Client) -> None:
    client.create_study(STUDY)
    other = json.loads(client.export("small", "json"))
    other["study"]["objective"]["config"]["dataset"] = "mnist"
    trials = read_trials(json.dumps(other), "json", client.study("small").space)
    with pytest.raises(InvalidRequest) as refused:
        client.import_trials("small", trials)
    assert refused.value.errors[0].received == "dataset = mnist"


def test_another_study_is_imported_by_its_name(client: Client, trainer: Trainer) -> None:
    client.create_study(STUDY)
    trainer.train([0.5])
    client.create_study(study("new"))
    assert client.import_trials("new", {"study": "small"}).num_imported == 1
    with pytest.raises(InvalidRequest, match="one field of the request"):
        client.import_trials("new", {"study": "small", "items": []})


def test_a_large_import_is_sent_in_portions_and_places_go_on(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_MAX_CHARACTERS", 200)
    client.create_study(STUDY)
    items = [{"params": {"learning_rate": 0.01, "units": units}, "value": 0.5} for units in (16, 17, 16, 18, 1000, 19)]
    sent = list(bodies.import_bodies(ImportTrials.model_validate({"items": items})))
    assert [offset for offset, _ in sent] == [0, 3]
    imported = client.import_trials("small", {"items": items})
    assert imported.num_imported == 4
    assert [one.position for one in imported.skipped] == [2, 4]


def test_cells_are_read_as_the_space_says() -> None:
    rows = params_of("0.5,1,2,'=sgd\n0.5,1e-3,64,1\n0.5,0.5,3,2.5\n0.5,0.5,,True\n0.5,0.5,4,nadam\n")
    assert rows[0] == {"rate": 1.0, "units": 2, "kind": "=sgd"}
    assert rows[1] == {"rate": 0.001, "units": 64, "kind": "1"}
    assert rows[2]["kind"] == 2.5
    assert rows[3] == {"rate": 0.5, "kind": True}
    # The service says that it is no choice.
    assert rows[4]["kind"] == "nadam"


def test_parameters_that_the_space_lacks_are_read_by_their_looks() -> None:
    text = "value,params.depth,params.name,params.flag,params.list\n0.5,3,adam,False,[1]\n"
    [item] = read_trials(text, "csv", Space.model_validate(MIXED)).items or []
    assert item.params == {"depth": 3, "name": "adam", "flag": False, "list": "[1]"}


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("", "line 1", "columns such as value"),
        ("value,rate\n0.5,1\n", "line 1", "did you mean 'params.rate'"),
        (f"{HEAD}0.5,0.5,2.5,1\n", "line 2, params.units", "a value of this parameter"),
        (f"{HEAD}0.5,0.5,2,1\nlow,0.5,2,1\n", "line 3, value", "a number"),
        (f"{HEAD}nan,0.5,2,1\n", "line 2, value", "a finite number"),
        (f"{HEAD}0.5,0.5,2,1,7\n", "line 2, its end", "as many cells as columns"),
        ("value,state\n0.5,done\n", "items.0.state", "complete"),
    ],
)
def test_tables_that_cannot_be_read_name_the_place(text: str, field: str, expected: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_trials(text, "csv", Space.model_validate(MIXED))
    assert refused.value.errors[0].field == field
    assert expected in refused.value.errors[0].expected


@pytest.mark.parametrize("text", ["{", "3", '{"trials": 1}', '[{"params": {"rate": NaN}}]', '{"items": [1]}'])
def test_documents_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="the file"):
        read_trials(text, "json", Space.model_validate(MIXED))


def test_a_list_of_trials_by_hand_is_a_document() -> None:
    text = json.dumps([{"params": {"rate": 0.5}, "epochs": {"1": 0.5, "2": 0.25}}])
    [item] = read_trials(text, "json", Space.model_validate(MIXED)).items or []
    assert (item.params, item.epochs) == ({"rate": 0.5}, {"1": 0.5, "2": 0.25})


def test_the_space_is_edited_and_its_versions_are_read(client: Client, trainer: Trainer) -> None:
    client.create_study(STUDY)
    trainer.train([0.5])
    wider = STUDY["space"] | {"units": {"type": "int", "low": 16, "high": 128}}
    assert client.edit_study("small", {"space": wider}).space_version == 2
    spaces = client.spaces("small")
    assert [(one.version, len(one.space)) for one in spaces.items] == [(1, 2), (2, 2)]
    assert (spaces.num_trials, spaces.num_fitting) == (1, 1)


def test_a_round_is_opened_by_hand(client: Client) -> None:
    client.create_study(study("rounds", strategy={"kind": "coarse_to_fine"}))
    opened = client.open_round("rounds", {"learning_rate": {"low": 0.01, "high": 0.1}})
    assert (opened.number, opened.origin) == (0, "manual")
    assert client.rounds("rounds").items == [opened]
    with pytest.raises(InvalidRequest, match="one field of the request"):
        client.open_round("rounds", {"learning_rate": {"middle": 1}})


@pytest.mark.parametrize(
    "measurements",
    [7, [7], [{}], [{"epoch": 1}], [{"epoch": 1, "metrics": []}], [{"epoch": 1, "metrics": {}}], {"a": 1}],
)
def test_measurements_that_are_none_are_refused_in_words(measurements: Any) -> None:
    trial = {"params": {"rate": 0.5}, "measurements": measurements}
    text = json.dumps({"study": {"metric": {"name": "val_loss", "direction": "minimize"}}, "trials": [trial]})
    with pytest.raises(InvalidRequest, match="measurements"):
        read_trials(text, "json", Space.model_validate(MIXED))


@pytest.mark.parametrize("text", ["[" * 100_000, "[" + "9" * 5000 + "]", '{"trials": [}'])
def test_a_file_that_no_parser_takes_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no JSON"):
        read_trials(text, "json", Space.model_validate(MIXED))


def test_a_head_line_that_is_no_csv_is_refused_in_words() -> None:
    with pytest.raises(InvalidRequest, match="line 1 is no CSV"):
        read_trials('"value', "csv", Space.model_validate(MIXED))


def test_an_empty_choice_is_read_back() -> None:
    space = {"kind": {"type": "categorical", "choices": ["", "a"]}}
    items = read_trials('value,params.kind\n0.5,""\n0.4,a\n', "csv", Space.model_validate(space)).items or []
    assert [item.params["kind"] for item in items] == ["", "a"]


@pytest.mark.parametrize("choice", ["\r", "a\rb", "\n", "a\r\nb", '"', "a,b", "'=1", "''", "\u2028", " "])
def test_a_choice_with_signs_of_the_table_is_read_back(choice: str) -> None:
    space = {"kind": {"type": "categorical", "choices": [choice]}}
    text = csv_lines([["value", "params.kind"], [0.5, choice], [-0.25, choice]])
    items = read_trials(text, "csv", Space.model_validate(space)).items or []
    assert [(item.value, item.params["kind"]) for item in items] == [(0.5, choice), (-0.25, choice)]
