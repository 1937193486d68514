"""When a checkpoint is kept: by epochs, by time, and when the training is to go on elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

from tests.worker.wire import assignment
from worker.checkpoints.keeping import Keeping
from worker.checkpoints.shelf import Shelf


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def compiled() -> Any:
    """A model that nobody trains."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    return model


def kept(tmp_path: Path, *, epoch_s: float = 1.0, epochs: int = 10, **rules: Any) -> list[int]:
    """The epochs after which a training of ten epochs keeps a checkpoint."""
    clock = Clock()
    keeping = Keeping(Shelf(tmp_path), assignment(max_epochs=epochs, **rules), clock=clock)
    model = compiled()
    found = []
    for epoch in range(rules.get("first_epoch", 1), epochs + 1):
        clock.now_s += epoch_s
        if keeping.is_due(epoch):
            assert keeping.keep(model, [], epoch) is None
            found.append(epoch)
    return found


@pytest.mark.parametrize(("rules", "expected"), [
    ({}, []),
    ({"checkpoint_epochs": [2, 7]}, [2, 7]),
    ({"checkpoint_every_epochs": 1}, list(range(1, 11))),
    ({"checkpoint_every_epochs": 3}, [3, 6, 9]),
    ({"checkpoint_every_epochs": 4, "first_epoch": 4}, [7]),
    ({"checkpoint_every_epochs": 4, "checkpoint_epochs": [3]}, [3, 7]),
    ({"checkpoint_every_s": 2.5}, [3, 6, 9]),
    ({"checkpoint_every_s": 100.0}, []),
    ({"checkpoint_every_s": 4.0, "checkpoint_epochs": [3], "checkpoint_every_epochs": 6}, [3, 7]),
])  # fmt: skip
def test_rules(tmp_path: Path, rules: dict[str, Any], expected: list[int]) -> None:
    assert kept(tmp_path, **rules) == expected


def test_a_training_that_is_asked_to_stop_keeps_one_if_any_are_kept(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert Keeping(shelf, assignment(checkpoint_every_s=60.0)).is_due(1, is_stopped=True)
    assert Keeping(shelf, assignment(checkpoint_every_epochs=50)).is_due(1, is_stopped=True)
    assert not Keeping(shelf, assignment(checkpoint_epochs=[5])).is_due(1, is_stopped=True)


def test_a_disk_that_takes_nothing_is_not_asked_after_every_epoch(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    clock = Clock()
    keeping = Keeping(Shelf(blocked), assignment(checkpoint_every_epochs=3, checkpoint_every_s=10.0), clock=clock)
    assert "NotADirectoryError" in str(keeping.keep(compiled(), [], 1))
    assert [keeping.is_due(epoch) for epoch in (2, 3, 4)] == [False, False, True]
    clock.now_s += 10.0
    assert keeping.is_due(2)


def test_a_file_that_is_written_anew_is_not_the_one_that_the_service_keeps(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    keeping = Keeping(shelf, assignment(checkpoint_every_epochs=1))
    model = compiled()
    assert keeping.keep(model, [], 1) is None
    shelf.mark(1, 1, "0" * 64)
    assert keeping.keep(model, [], 1) is None
    shelf.trim([], max_bytes=0)
    assert shelf.path(1, 1).exists()
