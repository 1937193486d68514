"""The page about the client runs as it is printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.caviar.trainer import TOKEN, ServiceProcess, Trainer

_PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_every_example_runs(
    service: ServiceProcess,
    remote_trainer: Trainer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("CAVIAR_URL", service.url)
    monkeypatch.setenv("CAVIAR_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", _PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(blocks[0], names)
    for losses in ([0.9, 0.5], [0.4, 0.2], [0.8, 0.7]):
        trained = remote_trainer.train(losses)
        remote_trainer.store_weights(trained, 2, b"weights" if losses[0] == 0.4 else b"others")
    for block in blocks[1:]:
        exec(block, names)
    assert names["curve"] == [(1, 0.4), (2, 0.2)]
    assert names["failed"] == []
    assert names["kept"] == [("weights", 2)]
    assert names["path"].read_bytes() == b"weights"
    assert names["table"].count("\n") == 4
    said = capsys.readouterr().out
    assert "complete 0.2" in said
    assert "trial_ended" in said
    assert "budget.max_trials 0 " in said
    assert "name Too loud " in said
