"""The targets that people and CI call exist and do what they are called for."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.house.repository import ROOT

TARGETS = {
    "setup": "pip install",
    "demo": "bin/caviar demo",
    "test": "bin/pytest",
    "lint": "ruff check",
    "types": "bin/mypy",
    "check": "bin/pytest",
    "bench": "benchmarks/",
    "constraints": "--generate-hashes",
    "audit": "pip-audit",
    "sbom": "cyclonedx-py",
}
SCRIPTS = [".ci/run", "scripts/chromium"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_fresh_clone_sets_itself_up_first(target: str) -> None:
    lines = _dry_run(target, "VENV=nowhere")
    setup = next(number for number, line in enumerate(lines) if "--require-hashes -r constraints.txt" in line)
    work = max(number for number, line in enumerate(lines) if TARGETS[target] in line)
    assert work >= setup


def test_a_python_that_is_too_old_is_refused() -> None:
    old = "PYTHON=sh -c 'exit 1'"
    done = subprocess.run(
        ["make", "--silent", old, "VENV=nowhere", "setup"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "needs Python 3.11" in done.stderr
    assert not (ROOT / "nowhere").exists()


def test_linters_are_run_by_lint() -> None:
    lines = "\n".join(_dry_run("lint"))
    linters = [
        "ruff check",
        "ruff format --check",
        "lint-imports",
        "hadolint",
        "check-jsonschema",
        "yamllint",
        "shellcheck",
    ]
    assert not [linter for linter in linters if linter not in lines]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    assert script in "\n".join(_dry_run("lint"))


def test_ci_runs_everything() -> None:
    assert "make check" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def _dry_run(target: str, *variables: str) -> list[str]:
    command = ["make", "--dry-run", "--no-print-directory", target, *variables]
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
