"""The files under deploy/: valid, without secrets, without root, and what they run is what the command line knows."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.house.command_line import parse
from tests.house.repository import ROOT, files, relative
from worker.settings import WorkerSettings

DEPLOY = ROOT / "deploy"
BASE, GPU = DEPLOY / "kubernetes" / "base", DEPLOY / "kubernetes" / "gpu"
KUSTOMIZATIONS = [BASE / "kustomization.yaml", GPU / "kustomization.yaml"]
MANIFESTS = [path for path in files(DEPLOY / "kubernetes") if path.name != "kustomization.yaml"]
SBATCH = DEPLOY / "slurm" / "caviar-worker.sbatch"
LAUNCHER = DEPLOY / "ray" / "cluster.yaml"
OURS = "caviar-"


def _documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def _all(*kinds: str) -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        yield from (document for document in _documents(path) if document["kind"] in kinds)


def _pods() -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found["spec"]["template"]["spec"] for found in _all("Deployment", "StatefulSet")}


PODS = _pods()


def _container(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["containers"]
    found: dict[str, Any] = container
    return found


@pytest.mark.parametrize("path", MANIFESTS, ids=relative)
def test_manifests_follow_the_schema_of_kubernetes(path: Path) -> None:
    for document in _documents(path):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_a_wrong_manifest_would_be_noticed() -> None:
    (wrong,) = [document for document in _documents(BASE / "worker.yaml") if document["kind"] == "Deployment"]
    wrong["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_every_manifest_belongs_to_a_kustomization() -> None:
    named = {(path.parent / name).resolve() for path in KUSTOMIZATIONS for name in _documents(path)[0]["resources"]} - {
        BASE.resolve()
    }
    assert named == {path.resolve() for path in MANIFESTS if path.name != "secrets.example.yaml"}


def test_images_are_those_of_the_dockerfile_and_can_be_replaced() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    targets = {OURS + target for target in re.findall(r"^FROM caviar AS (\S+)$", dockerfile, re.MULTILINE)}
    used = {image for pod in PODS.values() if (image := _container(pod)["image"]).startswith(OURS)}
    replaceable = {image["name"] for path in KUSTOMIZATIONS for image in _documents(path)[0]["images"]}
    assert used == targets == replaceable


def test_commands_of_the_pods_are_known() -> None:
    commands = {name: parse(_container(pod)["command"]) for name, pod in PODS.items() if name != "postgres"}
    assert commands == {"caviar": "caviar serve", "worker": "caviar work", "worker-gpu": "caviar work"}


@pytest.mark.parametrize("name", PODS)
def test_pods_run_without_root_on_a_file_system_that_they_cannot_change(name: str) -> None:
    pod, container = PODS[name], _container(PODS[name])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])


@pytest.mark.parametrize("name", ["caviar", "worker", "worker-gpu"])
def test_the_home_can_be_written_and_services_of_the_cluster_are_not_taken_for_settings(name: str) -> None:
    assert "ENV CAVIAR_HOME=/var/lib/caviar" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "/var/lib/caviar" in {mount["mountPath"] for mount in _container(PODS[name])["volumeMounts"]}
    # Without this, Kubernetes sets CAVIAR_PORT and others for the Service named caviar.
    assert PODS[name]["enableServiceLinks"] is False


def test_probes_ask_for_health_and_never_end_a_worker() -> None:
    service = _container(PODS["caviar"])
    assert service["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert service["readinessProbe"]["httpGet"]["path"] == "/readyz"
    for name in ("worker", "worker-gpu"):
        assert "livenessProbe" not in _container(PODS[name])
        python, flag, program = _container(PODS[name])["readinessProbe"]["exec"]["command"]
        assert (python, flag) == ("python", "-c")
        compile(program, name, "exec")


def test_workers_have_the_time_that_they_take_to_end() -> None:
    defaults = WorkerSettings()
    for name in ("worker", "worker-gpu"):
        grace_s = PODS[name]["terminationGracePeriodSeconds"]
        assert grace_s > defaults.stop_grace_s + defaults.flush_s + defaults.claim_wait_s


def test_one_service_at_a_time_writes_to_the_database() -> None:
    (service,) = [found for found in _all("Deployment") if found["metadata"]["name"] == "caviar"]
    assert service["spec"]["replicas"] == 1
    assert service["spec"]["strategy"] == {"type": "Recreate"}


def test_selectors_find_their_pods() -> None:
    labels = {
        found["metadata"]["name"]: found["spec"]["template"]["metadata"]["labels"]
        for found in _all("Deployment", "StatefulSet")
    }
    for found in _all("Deployment", "StatefulSet"):
        assert found["spec"]["selector"]["matchLabels"] == labels[found["metadata"]["name"]]
    assert all(found["spec"]["selector"] in labels.values() for found in _all("Service"))


def test_no_secret_is_written_down() -> None:
    secrets = {found["metadata"]["name"]: found["stringData"] for found in _all("Secret")}
    assert all(value == "" for data in secrets.values() for value in data.values())
    for pod in PODS.values():
        for variable in _container(pod)["env"]:
            if re.search("TOKEN|PASSWORD|DATABASE_URL", variable["name"]):
                reference = variable["valueFrom"]["secretKeyRef"]
                assert reference["key"] in secrets[reference["name"]]


def test_the_script_for_slurm_is_clean_and_starts_a_known_command() -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, SBATCH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    text = SBATCH.read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"exec (caviar work .*)$", text, re.MULTILINE)
    filled = re.sub(r"\$\{SLURM_CPUS_PER_TASK:-(\w+)\}", r"\1", command)
    filled = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", re.sub(r"\$\(.*?\)|\$\{\w+\}", "x", filled))
    assert parse(shlex.split(filled)) == "caviar work"


def test_the_script_for_slurm_leaves_time_to_hand_back() -> None:
    (margin_s,) = re.findall(r"^#SBATCH --signal=B:TERM@(\d+)$", SBATCH.read_text(encoding="utf-8"), re.MULTILINE)
    defaults = WorkerSettings()
    assert int(margin_s) > defaults.stop_grace_s + defaults.flush_s + defaults.claim_wait_s


def test_the_cluster_for_ray_follows_its_schema_and_starts_a_known_command() -> None:
    import jsonschema
    import ray

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text(encoding="utf-8"))
    (cluster,) = _documents(LAUNCHER)
    jsonschema.validate(cluster, schema)
    commands = re.findall(r"bin/(caviar work [^']*)'", LAUNCHER.read_text(encoding="utf-8"))
    assert [parse(shlex.split(command)) for command in commands] == ["caviar work"]
