"""Objectives of an operator: found by file, module and class, or refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caviar.contract.space import Space
from caviar.contract.study import Metric
from worker.objectives.errors import Infeasible, LoadError
from worker.objectives.loading import BUILTIN, fit_options, instantiate, load, load_all, offer

GOOD = """
class Net:
    def build(self, params): return "model"
    def data(self, params): return "train", "validation"
"""


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(folder: Path, text: str, name: str = "own.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_classes_of_a_file(tmp_path: Path) -> None:
    text = GOOD + GOOD.replace("class Net:", "class Other:\n    name = 'other-net'") + "class Helper: pass\n"
    found: dict[str, Any] = dict(load(write(tmp_path, text)))
    assert sorted(found) == ["Net", "other-net"]
    assert found["Net"]().build({}) == "model"


def test_one_class_of_a_file(tmp_path: Path) -> None:
    spec = write(tmp_path, GOOD + GOOD.replace("Net", "Other"))
    assert list(load(f"{spec}:Other")) == ["Other"]


def test_classes_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_package").mkdir()
    write(tmp_path / "own_package", GOOD, "nets.py")
    monkeypatch.chdir(tmp_path)
    assert list(load("own_package.nets")) == ["Net"]
    assert list(load("own_package.nets:Net")) == ["Net"]


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, "SIZE = 7\n", "own_neighbour.py")
    spec = write(
        tmp_path, "from own_neighbour import SIZE\n" + GOOD.replace("class Net:", "class Net:\n    size = SIZE")
    )
    assert load(spec)["Net"].size == 7  # type: ignore[union-attr]  # the class of the file


def test_imported_classes_are_not_offered(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "own_parent.py")
    spec = write(tmp_path, "from own_parent import Net\nclass Child(Net): pass\n")
    assert list(load(spec)) == ["Child"]


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    first = load(write(tmp_path / "a", GOOD))["Net"]
    second = load(write(tmp_path / "b", GOOD))["Net"]
    assert first is not second
    assert load(str(tmp_path / "a" / "own.py"))["Net"] is first


@pytest.mark.parametrize(
    ("text", "suffix", "words"),
    [
        ("x = 1\n", "", "has no objective, expected a class with the methods"),
        (GOOD, ":Nett", "has no class or function Nett, but Net"),
        ("class Net:\n    def build(self, params): ...\n", ":Net", "has no data, expected"),
        ("def f(:\n", "", "cannot be imported: SyntaxError"),
        ("import no_such_module_anywhere\n", "", "cannot be imported: ModuleNotFoundError"),
        ("1 / 0\n", "", "cannot be imported: ZeroDivisionError"),
        (GOOD.replace("class Net:", "class Net:\n    name = 'mlp'"), "", "like a built-in objective"),
        (
            GOOD.replace("class Net:", "class Net:\n    name = 'two words'"),
            "",
            "name or space of Net is not valid: name",
        ),
        (GOOD.replace("class Net:", "class Net:\n    name = 3"), "", "name or space of Net is not valid: name"),
        (
            GOOD.replace("class Net:", "class Net:\n    space = {'x': {'type': 'float', 'low': 2.0, 'high': 1.0}}"),
            "",
            r"space\.x\.low: received 2\.0",
        ),
        (
            GOOD.replace("class Net:", "class Net:\n    def __init__(self, size): ..."),
            "",
            "wants 'size', expected only keywords out of config",
        ),
        (GOOD + GOOD.replace("class Net:", "class Other:\n    name = 'Net'"), "", "two objectives of name 'Net'"),
    ],
)
def test_faulty_files_are_refused(tmp_path: Path, text: str, suffix: str, words: str) -> None:
    with pytest.raises(LoadError, match=words):
        load(write(tmp_path, text) + suffix)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("/no/such/file.py", "no file /no/such/file.py"),
        ("no_such_module_anywhere", "module no_such_module_anywhere cannot be imported"),
        ("not a module", "neither the path of a .py file nor the name of a module"),
        ("", "neither the path"),
    ],
)
def test_missing_places_are_refused(spec: str, words: str) -> None:
    with pytest.raises(LoadError, match=words):
        load(spec)


def test_a_failed_import_can_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(LoadError):
        load(write(tmp_path, "1 / 0\n"))
    assert list(load(write(tmp_path, GOOD + "\n# longer than before, so that no cached code is used\n"))) == ["Net"]


def test_all_objectives_together(tmp_path: Path) -> None:
    first, second = write(tmp_path, GOOD), write(tmp_path, GOOD, "again.py")
    assert list(load_all([])) == ["mlp"]
    assert list(load_all([first])) == ["mlp", "Net"]
    with pytest.raises(LoadError, match=r"again\.py offers objective 'Net', which another one offers already"):
        load_all([first, second])


def test_offers_hold_the_default_space(tmp_path: Path) -> None:
    assert offer("mlp", BUILTIN["mlp"]).space is not None
    spec = write(
        tmp_path,
        "from caviar.contract.space import Space\nX = {'x': {'type': 'int', 'low': 1, 'high': 2}}\n"
        + GOOD.replace("class Net:", "class Net:\n    space = X")
        + GOOD.replace("class Net:", "class Ready:\n    space = Space.model_validate(X)")
        + GOOD.replace("class Net:", "class Bare:"),
    )
    expected = Space.model_validate({"x": {"type": "int", "low": 1, "high": 2}})
    spaces = {name: offer(name, cls).space for name, cls in load(spec).items()}
    assert spaces == {"Net": expected, "Ready": expected, "Bare": None}


class Declares:
    def __init__(self, *, data_seed: int, config: dict[str, Any]) -> None:
        self.received = {"data_seed": data_seed, "config": config}

    def build(self, params: Any) -> Any: ...

    def data(self, params: Any) -> Any: ...


class TakesAll(Declares):
    def __init__(self, **everything: Any) -> None:
        self.received = everything


class TakesNothing(Declares):
    def __init__(self) -> None:
        self.received = {}


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (Declares, {"config", "data_seed"}),
        (TakesAll, {"config", "data_dir", "data_seed", "metric", "max_epochs"}),
        (TakesNothing, set()),
    ],
)
def test_a_constructor_gets_what_it_declares(cls: type[Declares], names: set[str], tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "config": {"a": 1} if names else {},
        "data_dir": tmp_path,
        "data_seed": 5,
        "metric": Metric(),
        "max_epochs": 9,
    }
    made: Any = instantiate(cls, **given)  # type: ignore[arg-type]
    assert made.received == {name: given[name] for name in names}


def test_a_config_for_a_class_that_takes_none_is_refused(tmp_path: Path) -> None:
    given: dict[str, Any] = {"data_dir": tmp_path, "data_seed": 5, "metric": Metric()}
    with pytest.raises(Infeasible, match="TakesNothing takes none"):
        instantiate(TakesNothing, config={"a": 1}, **given)  # type: ignore[arg-type]


def test_fit_options_may_be_missing_or_wrong() -> None:
    class Options(TakesNothing):
        def fit_options(self, params: Any) -> dict[str, Any]:
            return dict(params)

    assert fit_options(TakesNothing(), {}) == {}  # type: ignore[arg-type]
    assert fit_options(Options(), {"batch_size": 3}) == {"batch_size": 3}
    with pytest.raises(LoadError, match="gives epochs, x, which the worker sets itself"):
        fit_options(Options(), {"x": 3, "epochs": 5})
