"""A Ray cluster: the only module that imports Ray, which decides where workers run and starts them again elsewhere."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from caviar.contract.errors import CaviarError
from worker.engines.errors import EngineUnavailable
from worker.engines.hosting import Departure, Errand, Host, Place

_NAMESPACE = "caviar"
# Nobody asked for reports to Ray's makers, nor for lines about resources that an autoscaler is about to bring.
_HABITS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SCHEDULER_EVENTS": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
# `run` stays in one thread for as long as the worker lives, `drain` needs another one.
_NUM_THREADS = 2
_KNOCK_S = 10.0


class Member:
    """The actor: it runs on the node that Ray chose, and anew on another one when that is lost."""

    def __init__(self, errand: Errand, token: SecretStr | None) -> None:
        """Take the errand; Ray calls this again wherever it restarts the actor."""
        self._host = Host(errand, token)

    def run(self) -> Departure:
        """Run a worker to its end."""
        return self._host.run_at(_place())

    def drain(self) -> None:
        """Ask the worker to end."""
        self._host.drain()


@dataclass
class RayCluster:
    """The workers of one engine on a Ray cluster; `close` leaves it.

    Attributes:
        variables: Settings of the operator for every worker, as `CAVIAR_…` variables.
        token: Access token that is sent along; None to leave it to the nodes.
        num_cpus: Cores for each worker.
        num_gpus: GPUs for each worker.
        grace_s: Seconds that a worker has to end when asked.
    """

    variables: Mapping[str, str]
    token: SecretStr | None = field(repr=False)
    num_cpus: float
    num_gpus: float
    grace_s: float
    _ray: Any = field(repr=False)
    _actors: dict[str, Any] = field(default_factory=dict, repr=False)
    _runs: dict[Any, str] = field(default_factory=dict, repr=False)
    _placed: dict[str, Any] = field(default_factory=dict, repr=False)

    def start(self, member_id: str) -> None:
        """Ask for a worker; it waits until Ray has a place for it, which an autoscaler may make."""
        errand = Errand(member_id, self.variables, self.num_cpus, self.num_gpus, self.grace_s)
        # Restarts and repeated calls without end: what a lost node takes along runs on wherever Ray has room.
        actor = (
            self._ray.remote(Member)
            .options(
                num_cpus=self.num_cpus,
                num_gpus=self.num_gpus,
                max_restarts=-1,
                max_task_retries=-1,
                max_concurrency=_NUM_THREADS,
            )
            .remote(errand, self.token)
        )
        self._actors[member_id] = actor
        self._placed[member_id] = actor.__ray_ready__.remote()
        self._runs[actor.run.remote()] = member_id

    def is_placed(self, member_id: str) -> bool:
        """Whether Ray has found a node for it."""
        done, _ = self._ray.wait([self._placed[member_id]], timeout=0)
        return bool(done)

    def ended(self, timeout_s: float) -> list[tuple[str, Departure]]:
        """The members that have ended since the last call.

        Args:
            timeout_s: Seconds to wait for the first.
        """
        if not self._runs:
            return []
        done, _ = self._ray.wait(list(self._runs), num_returns=1, timeout=timeout_s)
        return [(member_id, self._bury(run, member_id)) for run in done for member_id in [self._runs[run]]]

    def drain(self, member_id: str) -> None:
        """Ask a member to hand back its trials and end; wherever it is restarted meanwhile, it is asked again."""
        self._actors[member_id].drain.remote()

    def cancel(self, member_id: str) -> None:
        """Take a request for a worker back, or end the worker at once."""
        self._ray.kill(self._actors.pop(member_id), no_restart=True)
        self._placed.pop(member_id)
        self._runs = {run: other for run, other in self._runs.items() if other != member_id}

    def num_hosts(self) -> int:
        """Machines of the cluster now."""
        return len({node["NodeManagerAddress"] for node in self._ray.nodes() if node["Alive"]})

    def close(self) -> None:
        """Leave the cluster; whatever still runs there ends."""
        self._ray.shutdown()

    def _bury(self, run: Any, member_id: str) -> Departure:
        try:
            departure: Departure = self._ray.get(run)
        except self._ray.exceptions.RayError as error:
            departure = Departure(None, was_asked=False, last_words=str(error))
        self.cancel(member_id)
        return departure


def join(
    address: str,
    *,
    variables: Mapping[str, str],
    token: SecretStr | None,
    num_cpus: float,
    num_gpus: float | None,
    grace_s: float,
) -> RayCluster:
    """Connect to a Ray cluster; see `RayCluster` for the arguments.

    Args:
        address: `auto`, host and port, or `local` for a cluster of this machine that ends with this process.
        num_gpus: GPUs for each worker; None for 1 where the cluster has any now.
    Raises:
        EngineUnavailable: Ray is not installed, or there is no cluster at the address.
    """
    for name, value in _HABITS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as error:
        raise EngineUnavailable(
            f"the engine ray needs the package {error.name}, which is not installed; install it here and on every node "
            "of the cluster with: pip install 'caviar[ray]'"
        ) from error
    _check_reachable(os.environ.get("RAY_ADDRESS", address) if address == "auto" else address)
    chosen = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, namespace=_NAMESPACE, log_to_driver=False, logging_level=logging.ERROR, **chosen)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        raise _unreachable(address, error) from error
    if num_gpus is None:
        num_gpus = 1.0 if ray.cluster_resources().get("GPU") else 0.0
    return RayCluster(variables, token, num_cpus, num_gpus, grace_s, ray)


def _check_reachable(address: str) -> None:
    """Knock at a head node: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()
    except OSError as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> CaviarError:
    first_line = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
    where = "of this machine (--ray-address auto)" if address == "auto" else f"at {address}"
    return EngineUnavailable(
        f"no Ray cluster {where} can be joined: {first_line}. Start one with `ray start --head`, run this command on a "
        "machine of the cluster, give the head node by --ray-address HOST:6379, or try it out with --ray-address local"
    )


def _place() -> Place:
    """Where this actor is, and the GPUs that Ray lets it see."""
    import ray

    context = ray.get_runtime_context()
    node_id = context.get_node_id()
    node = next((node_name(entry) for entry in ray.nodes() if entry["NodeID"] == node_id), node_id)
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "") if context.get_assigned_resources().get("GPU") else ""
    return Place(node, tuple(part for part in gpus.split(",") if part))


def node_name(entry: Mapping[str, Any]) -> str:
    """The name that the operator gave the node; Ray's own choice is an address, and the host's name says more."""
    name, address = str(entry["NodeName"]), str(entry["NodeManagerAddress"])
    return str(entry["NodeManagerHostname"]) if name in ("", address) else name
