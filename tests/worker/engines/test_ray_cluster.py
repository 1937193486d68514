"""What is said when there is no cluster, and what a node is called."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.processes import free_port
from worker.engines import ray_cluster
from worker.engines.errors import EngineUnavailable


def join(address: str) -> ray_cluster.RayCluster:
    return ray_cluster.join(address, variables={}, token=None, num_cpus=1.0, num_gpus=None, grace_s=1.0)


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineUnavailable, match=r"needs the package ray, .* pip install 'caviar\[ray\]'"):
        join("auto")


def test_without_a_cluster_it_says_how_to_come_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(EngineUnavailable, match=f"no Ray cluster at {address} can be joined: .*refused.*--ray-address"):
        join(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(EngineUnavailable, match="no Ray cluster at"):
        join("auto")


@pytest.mark.parametrize(("given", "name"), [("", "host"), ("10.0.0.7", "host"), ("box-7", "box-7")])
def test_a_node_is_called_what_its_operator_called_it(given: str, name: str) -> None:
    entry = {"NodeName": given, "NodeManagerAddress": "10.0.0.7", "NodeManagerHostname": "host"}
    assert ray_cluster.node_name(entry) == name
