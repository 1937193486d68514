"""The images and the compose file: linted, and what they run is what the command line knows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.exceptions import TyperException

from caviar.contract.views import Workers, WorkerView
from tests.house.command_line import parse
from tests.house.repository import ROOT, relative
from worker.home import machine_name

BIN = Path(sys.executable).parent
COMPOSE = [ROOT / "docker-compose.yml", ROOT / "docker-compose.gpu.yml"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = DOCKERFILE.replace("\\\n", " ").splitlines()
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_dockerfile_is_clean() -> None:
    done = subprocess.run([BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_files_follow_the_specification() -> None:
    command: list[str | Path] = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", *COMPOSE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_commands_of_the_images_are_known() -> None:
    commands = [json.loads(line.removeprefix("CMD ")) for line in INSTRUCTIONS if line.startswith("CMD ")]
    assert sorted(parse(command) for command in commands) == ["caviar serve", "caviar work", "caviar work"]


@pytest.mark.parametrize("path", COMPOSE, ids=relative)
def test_commands_of_the_services_are_known(path: Path) -> None:
    commands = {name: service["command"] for name, service in _services(path).items() if "command" in service}
    known = {"service": "caviar serve", "worker": "caviar work"}
    assert commands
    assert {name: parse(command) for name, command in commands.items()} == {name: known[name] for name in commands}


def test_an_unknown_option_would_be_noticed() -> None:
    with pytest.raises(TyperException):
        parse(["caviar", "serve", "--prot", "8700"])


def test_images_of_services_are_targets_that_do_not_run_as_root() -> None:
    targets = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
    stages = dict(zip(targets, re.split(r"^FROM .*$", DOCKERFILE, flags=re.MULTILINE)[1:], strict=True))
    built = {
        service["build"]["target"] for path in COMPOSE for service in _services(path).values() if "build" in service
    }
    assert built == {"service", "worker", "worker-gpu"}
    for target in built:
        assert re.search(r"^USER [1-9]\d*$", stages[target], re.MULTILINE), f"{target} runs as root"
        assert "HEALTHCHECK" in stages[target]


def test_no_secret_is_written_down() -> None:
    for path in COMPOSE:
        for name, service in _services(path).items():
            for variable, value in service.get("environment", {}).items():
                if re.search("TOKEN|PASSWORD|DATABASE_URL", variable):
                    assert "${" in value, f"{name}.{variable} is not taken from the environment"
    required = _services(COMPOSE[0])["service"]["environment"]["CAVIAR_TOKEN"]
    assert required.startswith("${CAVIAR_TOKEN:?")


def test_constraint_files_of_the_images_exist() -> None:
    named = set(re.findall(r"constraints/[\w-]+\.txt", DOCKERFILE))
    assert len(named) == 4
    assert all((ROOT / name).exists() for name in named)


@pytest.fixture
def service_with_worker(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of an HTTP server that knows one worker of this host, alive or not as the parameter says."""
    worker = WorkerView(
        worker_id="w", name="w", host=machine_name(), slots=1, devices=[], objectives=["mlp"], running=[],
        is_alive=request.param, registered_at=NOW, seen_at=NOW,
    )  # fmt: skip
    body = Workers(items=[worker]).model_dump_json().encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_asked_for = self.path == "/api/v1/workers"
            self.send_response(200 if is_asked_for else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("service_with_worker", "is_healthy"), [(True, True), (False, False)], indirect=["service_with_worker"]
)
def test_a_worker_is_healthy_while_the_service_hears_of_it(service_with_worker: str, is_healthy: bool) -> None:
    checks = {line.split("CMD ", 1)[1] for line in INSTRUCTIONS if line.startswith("HEALTHCHECK") and "Client" in line}
    (program,) = checks
    _, *arguments = json.loads(program)
    environment = {**os.environ, "CAVIAR_URL": service_with_worker, "CAVIAR_TOKEN": "any"}
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=False)
    assert (done.returncode == 0) is is_healthy


def _services(path: Path) -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    return services
