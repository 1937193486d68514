"""The wheel holds what the code needs, and every pin is one that setup can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.repository import PACKAGES, ROOT, files, python_files, relative

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PIN_FILES = [ROOT / "constraints.txt", *sorted((ROOT / "constraints").glob("*.txt"))]
# What each package may import beyond the base, by the extras that it is installed with.
EXTRAS_OF = {
    "caviar": [],
    "service": ["service", "postgres", "oidc", "otel"],
    "worker": ["worker-cpu", "worker", "jax", "ray", "otel"],
}
# Distributions that are a part of another one and pinned by it.
PARTS = {"pydantic-core": "pydantic"}
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command: list[str | Path] = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("caviar-*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    packaged = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packaged == {relative(path) for package in PACKAGES for path in files(ROOT / package)}
    suffixes = {Path(name).suffix for name in packaged}
    assert {".py", ".html", ".css", ".js", ".mako"} <= suffixes


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "caviar = caviar.cli:main" in wheel.read(name).decode()


def test_typed_packages_say_so() -> None:
    assert all((ROOT / package / "py.typed").exists() for package in PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_is_a_declared_dependency(package: str) -> None:
    declared = {canonicalize_name(requirement.name) for requirement in _requirements(EXTRAS_OF[package])}
    known = packages_distributions()
    undeclared = {
        f"{relative(path)}: {name}"
        for path in python_files()
        if path.is_relative_to(ROOT / package)
        for name in _imports(path)
        if name not in sys.stdlib_module_names and name not in PACKAGES
        if not declared & {_whole(distribution) for distribution in known.get(name, [name])}
    }
    assert not undeclared


@pytest.mark.parametrize("path", PIN_FILES, ids=relative)
def test_every_pin_is_exact_and_hashed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    entries = [entry for entry in text.replace("\\\n", " ").splitlines() if entry.strip()]
    assert len(entries) >= 5
    for entry in entries:
        requirement, *hashes = re.split(r"\s+(?=--hash)", entry.strip())
        assert re.fullmatch(r"==[^,*]+", str(Requirement(requirement).specifier)), entry[:80]
        assert hashes, f"{requirement} has no hash"
        assert all(HASH.fullmatch(part) for part in hashes), requirement


@pytest.mark.parametrize(
    ("path", "extras"),
    [("constraints.txt", ["dev"]), ("constraints/service.txt", ["service", "postgres", "oidc", "otel"]),
     ("constraints/worker-cpu.txt", ["worker-cpu"]), ("constraints/worker-gpu.txt", ["worker-gpu"])],
)  # fmt: skip
def test_every_requirement_is_pinned_within_its_bounds(path: str, extras: list[str]) -> None:
    pins = _pins(ROOT / path)
    for requirement in _requirements(extras):
        if requirement.marker is None or requirement.marker.evaluate({"platform_machine": "x86_64"}):
            version = pins.get(canonicalize_name(requirement.name))
            assert version, f"{requirement.name} is not pinned; run make constraints"
            assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def test_no_file_names_an_index() -> None:
    for path in PIN_FILES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"://|^\s*-(?:i|f|-[a-z-]*(?:index|links))", text, re.MULTILINE), relative(path)


def test_all_files_pin_the_same_versions() -> None:
    pins = _pins(PIN_FILES[0])
    differing = {
        f"{relative(path)}: {name}"
        for path in PIN_FILES[1:]
        for name, version in _pins(path).items()
        if pins.get(name, version) != version
    }
    assert not differing


def _pins(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "==" in line]
    pinned = [Requirement(line.rstrip(" \\")) for line in lines]
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pinned}


def _whole(distribution: str) -> str:
    name = canonicalize_name(distribution)
    return PARTS.get(name, name)


def _requirements(extras: list[str]) -> list[Requirement]:
    """The base dependencies and those of the extras, extras of our own resolved."""
    found = [Requirement(text) for text in PROJECT["dependencies"]]
    for extra in extras:
        for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
            found += _requirements(sorted(requirement.extras)) if requirement.name == "caviar" else [requirement]
    return found


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names
