"""Logs on a disk that takes nothing: /dev/full stands for it."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import pytest
import structlog

from worker import logs

FULL = Path("/dev/full")


def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    former = structlog.get_config()
    full = FULL.open("w", encoding="utf-8")
    try:
        with pytest.raises(OSError, match="No space left"):
            print("words", file=full, flush=True)
        monkeypatch.setattr(sys, "stderr", full)
        logs.configure("info", "rig")
        structlog.get_logger().info("training", trial_id=1)
        steady = logs.steady(full)
        print("words", file=steady, flush=True)
        assert steady.fileno() == full.fileno()
    finally:
        structlog.configure(**former)
        with contextlib.suppress(OSError):
            full.close()


def test_otherwise_every_line_names_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    former = structlog.get_config()
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    try:
        logs.configure("info", "rig")
        structlog.get_logger().info("training", trial_id=1)
        structlog.get_logger().debug("unheard")
    finally:
        structlog.configure(**former)
    [line] = written.getvalue().splitlines()
    assert '"worker": "rig"' in line
