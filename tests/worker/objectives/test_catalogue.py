"""Sources of objectives: their digest, and whether they have changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.objectives.catalogue import Catalogue, open_catalogue
from worker.objectives.errors import LoadError

TRAIN = "from catalogued_neighbour import VALUE\ndef train(trial): return VALUE\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    path, modules = list(sys.path), set(sys.modules)
    (tmp_path / "catalogued_neighbour.py").write_text("VALUE = 1\n")
    (tmp_path / "own.py").write_text(TRAIN)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("caviar_objectives_", "catalogued_")):
            del sys.modules[name]


def opened(folder: Path, name: str = "own.py", *, is_first: bool = True) -> Catalogue:
    return open_catalogue([str(folder / name)], is_first=is_first)


def anew(folder: Path) -> Catalogue:
    """What another process would load."""
    for name in [name for name in sys.modules if name.startswith(("caviar_objectives_", "catalogued_"))]:
        del sys.modules[name]
    return opened(folder, is_first=False)


def test_nothing_changes_by_itself(folder: Path) -> None:
    catalogue = opened(folder)
    assert [offer.name for offer in catalogue.offers] == ["mlp", "train"]
    assert not catalogue.is_stale("train")
    assert not catalogue.is_stale("mlp")
    assert catalogue.code_version("mlp") is None
    assert catalogue.failure("train") is None


@pytest.mark.parametrize("name", ["own.py", "catalogued_neighbour.py"])
def test_a_change_of_the_file_or_its_neighbour_is_noticed(folder: Path, name: str) -> None:
    catalogue = opened(folder)
    version = catalogue.code_version("train")
    assert version is not None
    assert len(version) == 16
    (folder / name).write_text((folder / name).read_text() + "# longer\n")
    assert catalogue.is_stale("train")
    assert not catalogue.is_stale("mlp")
    renewed = anew(folder)
    assert not renewed.is_stale("train")
    assert renewed.code_version("train") not in (None, version)


def test_a_file_that_is_only_touched_is_the_same(folder: Path) -> None:
    catalogue = opened(folder)
    os.utime(folder / "own.py", ns=(1, 1))
    assert not catalogue.is_stale("train")
    assert not catalogue.is_stale("train")


def test_the_version_is_the_same_in_another_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    version = opened(folder).code_version("train")
    for name in ("own.py", "catalogued_neighbour.py"):
        (other / name).write_text((folder / name).read_text())
    sys.path.remove(str(folder))
    assert anew(other).code_version("train") == version


def test_a_file_that_is_gone_has_changed(folder: Path) -> None:
    catalogue = opened(folder)
    (folder / "own.py").unlink()
    assert catalogue.is_stale("train")


def test_a_module_that_is_imported_later_is_watched_from_then_on(folder: Path) -> None:
    (folder / "catalogued_late.py").write_text("VALUE = 2\n")
    (folder / "own.py").write_text("def train(trial):\n    import catalogued_late\n    return catalogued_late.VALUE\n")
    catalogue = opened(folder)
    train = catalogue.objectives["train"]
    assert train.function(None) == 2  # type: ignore[union-attr]  # it is a function
    version = catalogue.code_version("train")
    assert not catalogue.is_stale("train")
    assert catalogue.code_version("train") == version
    (folder / "catalogued_late.py").write_text("VALUE = 3456\n")
    assert catalogue.is_stale("train")


def test_the_modules_of_a_package_are_watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = folder / "catalogued_package"
    (package / "deep").mkdir(parents=True)
    for name, text in {"__init__.py": "", "deep/__init__.py": "", "deep/net.py": "VALUE = 1\n",
                       "nets.py": "from catalogued_package.deep.net import VALUE\ndef train(trial): ...\n",
                       "unused.py": ""}.items():  # fmt: skip
        (package / name).write_text(text)
    monkeypatch.chdir(folder)
    catalogue = open_catalogue(["catalogued_package.nets"], is_first=True)
    (package / "unused.py").write_text("x = 1\n")
    (folder / "own.py").write_text("x = 1\n")
    assert not catalogue.is_stale("train")
    (package / "deep" / "net.py").write_text("VALUE = 1234\n")
    assert catalogue.is_stale("train")


def test_a_file_that_cannot_be_loaded_ends_the_first_start(folder: Path) -> None:
    (folder / "own.py").write_text("def f(:\n")
    with pytest.raises(LoadError, match="SyntaxError"):
        opened(folder)


@pytest.mark.parametrize("name", ["own.py", "catalogued_neighbour.py"])
def test_later_it_is_the_error_of_its_trials_until_the_file_changes(folder: Path, name: str) -> None:
    good = (folder / name).read_text()
    (folder / name).write_text("def f(:\n")
    catalogue = opened(folder, is_first=False)
    assert list(catalogue.objectives) == ["mlp"]
    failure = catalogue.failure("train")
    assert failure is not None
    assert "SyntaxError" in str(failure)
    assert catalogue.failure("mlp") is None
    assert not catalogue.is_stale("train")
    assert catalogue.code_version("train") is None
    (folder / name).write_text(good)
    assert catalogue.is_stale("train")
    assert "train" in anew(folder).objectives


def test_a_missing_file_that_comes_back_is_noticed(folder: Path) -> None:
    (folder / "own.py").unlink()
    catalogue = opened(folder, is_first=False)
    assert not catalogue.is_stale("train")
    (folder / "own.py").write_text(TRAIN)
    assert catalogue.is_stale("train")


def test_an_unknown_name_is_no_failure_where_nothing_failed(folder: Path) -> None:
    catalogue = opened(folder)
    assert catalogue.failure("other") is None
    assert not catalogue.is_stale("other")
    (folder / "own.py").write_text("def other(trial): ...\n")
    assert catalogue.is_stale("other")


def test_a_later_process_does_not_run_what_it_offers(folder: Path) -> None:
    (folder / "own.py").write_text("def build_model(hp): raise ValueError('run')\n")
    with pytest.raises(LoadError, match="raised at the defaults"):
        opened(folder)
    assert "build_model" in anew(folder).objectives
