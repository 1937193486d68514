"""docs/objectives.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from caviar.contract.data import DATASETS, DataOptions
from caviar.contract.losses import LossName, OutputName
from caviar.contract.mlp import ActivationName, InitializerName, MlpOptions, OptimizerName, ScheduleName
from worker.data import named
from worker.forms.trial import Trial
from worker.objectives.tuner_data import TunerOptions

TEXT = (Path(__file__).parents[3] / "docs" / "objectives.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")] for line in TEXT.splitlines() if line.startswith("| `")
]
OPTIONS = {cells[0].strip("`"): cells[1:] for cells in ROWS if len(cells) == 4}
CHOICES = {
    "optimizer": OptimizerName,
    "learning_rate_schedule": ScheduleName,
    "activation": ActivationName,
    "initializer": InitializerName,
    "loss": LossName,
    "output": OutputName,
}


def written(default: Any) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


@pytest.mark.parametrize("name", MlpOptions.model_fields)
def test_every_option_is_documented_with_its_default(name: str) -> None:
    default = MlpOptions.model_fields[name].default
    shown = OPTIONS[name][0]
    if default is None:
        assert shown in ("none", "see text", "Keras's", "all others", "`y`, `target`")
    else:
        assert shown == written(default)


def test_no_other_option_is_documented() -> None:
    documented = {name for name, cells in OPTIONS.items() if len(cells) == 3} - {"units_1`, `units_2`, … `units_64"}
    assert documented - DATASETS.keys() - {"mnist`, `fashion_mnist"} == MlpOptions.model_fields.keys()


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_is_documented(name: str) -> None:
    assert tuple(re.findall(r"`(\w+)`", OPTIONS[name][1])) == get_args(CHOICES[name])


@pytest.mark.parametrize("name", DATASETS)
def test_every_set_is_documented(name: str) -> None:
    row = next(cells for cells in ROWS if f"`{name}`" in cells[0])
    facts = DATASETS[name]
    assert row[2] == ("a number" if facts.num_classes is None else f"{facts.num_classes} classes")
    assert row[3].startswith("scikit-learn" if facts.source == "scikit-learn" else "Keras")
    if facts.source == "scikit-learn":
        rows, columns = named.load(name).x.shape
        assert row[1] == f"{rows:,} × {columns}"


def test_every_member_of_a_trial_is_documented() -> None:
    public = {name for name in (*vars(Trial), *Trial.__annotations__) if not name.startswith("_")}
    section = TEXT[TEXT.index("### A function in any framework") : TEXT.index("### Models written for KerasTuner")]
    rows = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)", row)} == public


def test_every_option_of_keras_tuner_models_is_documented() -> None:
    section = TEXT[TEXT.index("### Models written for KerasTuner") : TEXT.index("### Pause and resume")]
    own = TunerOptions.model_fields.keys() - DataOptions.model_fields.keys()
    assert own == set(re.findall(r"^\| `(\w+)` \| (?:a list|≥)", section, re.MULTILINE))
