"""The traceback of a trial's error begins at the user's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.worker import lines
from tests.worker.wire import assignment
from worker.callbacks import StopRequest
from worker.checkpoints.shelf import Shelf
from worker.failures import describe, describe_load
from worker.fitting import Trainer
from worker.objectives.errors import LoadError
from worker.objectives.importing import divide, import_place

FIRST_LINES = ["Traceback (most recent call last):", f'  File "{lines.__file__}"']


class Chained(lines.Line):
    def build(self, params: Any) -> Any:
        try:
            return self.helper(params)
        except KeyError as error:
            raise RuntimeError("no units") from error

    def helper(self, params: Any) -> Any:
        return params["units"]


def test_the_frames_of_the_worker_are_left_out(tmp_path: Path) -> None:
    trainer = Trainer({"Line": lines.Raising}, tmp_path, None, Shelf(tmp_path), lambda done: None)
    error = trainer.train(assignment(), StopRequest()).error
    assert error is not None
    assert error.traceback.startswith("\n".join(FIRST_LINES))
    assert error.traceback.splitlines()[-1] == "ValueError: units must be at least 1"


def test_so_are_those_of_its_cause(tmp_path: Path) -> None:
    trainer = Trainer({"Line": Chained}, tmp_path, None, Shelf(tmp_path), lambda done: None)
    error = trainer.train(assignment(), StopRequest()).error
    assert error is not None
    assert error.traceback.count("Traceback") == 2
    assert "fitting.py" not in error.traceback
    assert error.traceback.splitlines()[-1] == "RuntimeError: no units"


def test_an_error_without_user_code_keeps_its_frames(tmp_path: Path) -> None:
    trainer = Trainer({}, tmp_path, None, Shelf(tmp_path), lambda done: None)
    error = trainer.train(assignment(), StopRequest()).error
    assert error is not None
    assert "fitting.py" in error.traceback


def test_what_is_no_exception_of_a_run_has_no_frames() -> None:
    assert describe(ValueError("x")).traceback == "ValueError: x\n"


@pytest.mark.parametrize(("text", "kind"), [("def f(:\n", "SyntaxError"), ("1 / 0\n", "ZeroDivisionError")])
def test_a_file_that_cannot_be_loaded_is_described_by_what_it_raised(tmp_path: Path, text: str, kind: str) -> None:
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(LoadError) as raised:
        import_place(divide(str(tmp_path / "own.py")))
    told = describe_load(raised.value)
    assert told.kind == kind
    assert told.message.startswith(f"{tmp_path / 'own.py'} cannot be imported: {kind}")
    assert f'File "{tmp_path / "own.py"}", line 1' in told.traceback
    assert "importing.py" not in told.traceback
