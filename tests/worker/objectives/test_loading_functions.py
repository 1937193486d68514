"""Functions and HyperModels of an operator: found in files, or refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import caviar
from worker.objectives.errors import LoadError
from worker.objectives.function import FunctionObjective
from worker.objectives.hypermodel import TunerObjective
from worker.objectives.loading import load, offer

SPACE = '{"a": {"type": "int", "low": 1, "high": 2}}'
TRAIN = "def train(trial): return 'trained'\n"
TUNED = "import keras_tuner\nclass Net(keras_tuner.HyperModel):\n    def build(self, hp): return 'model'\n"


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("caviar_objectives_"):
            del sys.modules[name]


def write(folder: Path, text: str, name: str = "own.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_function_of_trial_is_an_objective(tmp_path: Path) -> None:
    text = TRAIN + "def _hidden(trial): ...\ndef other(trials): ...\ndef two(trial, x): ...\ndef tuned(hp): ...\n"
    found = load(write(tmp_path, text + "def more(trial, *, verbose=False): ...\nfrom os.path import join\n"))
    assert {name: type(target) for name, target in found.items()} == {
        "train": FunctionObjective, "more": FunctionObjective, "tuned": TunerObjective,
    }  # fmt: skip
    train = found["train"]
    assert isinstance(train, FunctionObjective)
    assert train.function(None) == "trained"
    assert offer("train", train).space is None


@pytest.mark.parametrize("text", [
    f"import caviar\n@caviar.objective(name='net', space={SPACE})\n{TRAIN}",
    f"{TRAIN}train.name = 'net'\ntrain.space = {SPACE}\n",
])  # fmt: skip
def test_a_function_may_have_a_name_and_a_space(tmp_path: Path, text: str) -> None:
    found = load(write(tmp_path, text))
    space = offer("net", found["net"]).space
    assert space is not None
    assert space.names == ["a"]


def test_a_marked_function_stays_as_it_is() -> None:
    def train(trial: object) -> None: ...

    assert caviar.objective()(train) is train
    assert not hasattr(train, "name")


def test_a_function_after_the_colon_may_call_its_parameter_as_it_likes(tmp_path: Path) -> None:
    spec = write(tmp_path, "def fit(t): ...\ndef _net(hp): ...\nfrom posixpath import basename\n")
    assert isinstance(load(f"{spec}:fit")["fit"], FunctionObjective)
    assert isinstance(load(f"{spec}:_net")["_net"], TunerObjective)
    assert list(load(f"{spec}:basename")) == ["basename"]
    with pytest.raises(LoadError, match="has no objective, expected a class with the methods"):
        load(write(tmp_path, "def fit(t): ...\n", "other.py"))


def test_hypermodels_are_objectives(tmp_path: Path) -> None:
    made = "class Wide(Net):\n    def __init__(self, width): super().__init__()\nwide = Wide(3)\n"
    named = "class Named(Net):\n    name = 'a-name'\nother = Net(name='by-hand')\n"
    found = load(write(tmp_path, TUNED + made))
    assert set(found) == {"wide"}
    assert set(load(write(tmp_path, TUNED.replace("Net(", "Other("), "b.py"))) == {"Other"}
    assert set(load(write(tmp_path, TUNED + named, "c.py"))) == {"a-name", "by-hand"}


def test_the_data_of_a_file_goes_with_what_it_builds(tmp_path: Path) -> None:
    found = load(write(tmp_path, "def data(data_seed): return data_seed\ndef build_model(hp): ...\n"))
    target = found["build_model"]
    assert isinstance(target, TunerObjective)
    assert target.own_data is not None
    assert target.own_data(3) == 3


@pytest.mark.parametrize(
    ("text", "suffix", "words"),
    [
        ("def train(trial, x): ...\n", ":train", r"train\(trial, x\) cannot be called with one argument"),
        ("def train(): ...\n", ":train", r"train\(\) cannot be called with one argument"),
        (TRAIN, ":trian", "has no class or function trian, but train"),
        (TRAIN + "train.space = {'a': 3}\n", "", "name or space of train is not valid: space"),
        (TRAIN + "train.name = 'mlp'\n", "", "is named 'mlp' like a built-in objective"),
        (TRAIN + "train.name = 'two words'\n", "", "name or space of train is not valid: name"),
        (TRAIN + "def more(trial): ...\nmore.name = 'train'\n", "", "two objectives of name 'train'"),
        ("def data(size): ...\ndef build_model(hp): ...\n", "", "the function data wants 'size', expected only names"),
        (
            TUNED + "class Wide(Net):\n    def __init__(self, width): ...\n",
            "",
            "constructor of Wide wants 'width', expected",
        ),
    ],
)
def test_faulty_files_are_refused(tmp_path: Path, text: str, suffix: str, words: str) -> None:
    with pytest.raises(LoadError, match=words):
        load(write(tmp_path, text) + suffix)
