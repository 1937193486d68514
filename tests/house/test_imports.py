"""What is light stays light, and arrows point down only."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.house.repository import ROOT

HEAVY = {
    "alembic", "fastapi", "jax", "keras", "numpy", "optuna", "pandas", "psycopg", "scipy", "service", "sklearn",
    "sqlalchemy", "starlette", "tensorflow", "uvicorn", "worker",
}  # fmt: skip
ROOMS = {
    "Optuna is imported by service.search alone": {"service.search"},
    "SQL lives in service.store alone": {"service.store"},
    "HTTP frameworks live in service.api, service.web, service.app and service.serving alone": {
        "service.api", "service.app", "service.serving", "service.web",
    },
}  # fmt: skip


@pytest.mark.parametrize("module", ["caviar", "caviar.client", "caviar.cli", "caviar.contract.views"])
def test_importing_is_light(module: str) -> None:
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "caviar" in loaded
    assert not loaded & HEAVY


def test_layers_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("contract", ROOMS)
def test_every_room_of_the_service_is_in_the_contract(contract: str) -> None:
    rooms = {f"service.{path.stem}" for path in (ROOT / "service").iterdir() if _is_module(path)}
    configured: dict[str, set[str]] = {
        entry["name"]: set(entry["source_modules"]) for entry in _contracts() if "source_modules" in entry
    }
    named = {name for name in configured[contract] if name.startswith("service.")}
    assert named == rooms - ROOMS[contract]


def _contracts() -> list[dict[str, Any]]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, Any]] = config["tool"]["importlinter"]["contracts"]
    return contracts


def _is_module(path: Path) -> bool:
    if path.name.startswith("_"):
        return False
    return path.suffix == ".py" or (path / "__init__.py").exists()
