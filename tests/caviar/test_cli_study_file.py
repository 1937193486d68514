"""Study files and the changes that the command line makes to them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import yaml

from caviar.cli import study_file
from caviar.cli.console import CommandFailed
from caviar.contract.errors import InvalidRequest
from tests.caviar.trainer import STUDY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY))
    return file


def test_yaml_json_and_the_standard_input_are_read_alike(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_json = path.with_suffix(".json")
    as_json.write_text(json.dumps(STUDY))
    study = study_file.load(str(path))
    assert study.name == "small"
    assert study_file.load(str(as_json)) == study
    for text in (path.read_text(), as_json.read_text()):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        assert study_file.load("-") == study


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-3", -3),
        ("010", 10),
        ("on", "on"),
        ("no", "no"),
        ("True", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("'1e-4'", "1e-4"),
    ],
)
def test_plain_scalars_are_read_as_in_yaml_1_2(text: str, value: object) -> None:
    read = study_file.parse(f"key: {text}", "test")["key"]
    assert read == value
    assert type(read) is type(value)


def test_name_and_changes_replace_what_the_file_says(path: Path) -> None:
    study = study_file.load(
        str(path),
        name="other",
        changes=["budget.max_trials=10", "space.learning_rate.low=1e-3", "tags.owner=ann", "pruner={kind: asha}"],
    )
    assert study.name == "other"
    assert study.budget.max_trials == 10
    assert study.budget.max_epochs == 2
    assert study.space is not None
    assert study.space["learning_rate"].low == 1e-3  # type: ignore[union-attr]  # it is a float
    assert study.tags == {"owner": "ann"}
    assert study.pruner.kind == "asha"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("budget.max_trials", "expected path=value"),
        ("=3", "expected path=value"),
        ("budget..x=3", "expected path=value"),
        ("name.first=x", "name is 'small'"),
        ("space={", "the value is no YAML"),
    ],
)
def test_changes_that_do_not_fit_are_refused(path: Path, change: str, message: str) -> None:
    with pytest.raises(CommandFailed, match=message):
        study_file.load(str(path), changes=[change])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds nothing"),
        ("- a\n- b\n", "holds a list"),
        ("name: [", "neither YAML nor JSON"),
        ("name: a\nname: b\n", "'name' is there twice"),
        ("!!python/object/apply:os.getcwd []", "neither YAML nor JSON"),
    ],
)
def test_texts_that_are_no_study_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(CommandFailed, match=message):
        study_file.load(str(file))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"missing\.yaml cannot be read: No such file"):
        study_file.load(str(tmp_path / "missing.yaml"))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"name: \xff\xfe")
    with pytest.raises(CommandFailed, match="no UTF-8 text"):
        study_file.load(str(binary))


def test_fields_that_are_wrong_are_named(path: Path) -> None:
    with pytest.raises(InvalidRequest) as refused:
        study_file.load(str(path), changes=["budget.max_trials=.nan", "colour=red"])
    assert {error.field for error in refused.value.errors} == {"budget.max_trials", "colour"}
