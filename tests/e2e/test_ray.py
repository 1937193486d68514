"""Workers on a Ray cluster of several nodes, one of which is lost, with real processes and real training."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from caviar.contract.states import AttemptEnd
from caviar.contract.views import AttemptView, WorkerView
from tests.e2e.books import check_complete, digits_study, entries, num_epochs
from tests.e2e.processes import TOKEN, CaviarProcess, Site, site, until
from worker.engines.hosting import NODE_LABEL

_DEADLINE_S = 180.0
_FEW = 80 * 1024**2
# Nobody else can reach it. For 127.0.0.1 itself, Ray would look for the cluster at the address of the network.
_HERE = {"node_ip_address": "127.0.0.2"}
# By default Ray takes a quarter of a minute to notice the loss of a node.
_WATCHFUL = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 4,
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # Ray leaves the standard output and error of its own processes to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    # It forks, which other tests may have made JAX warn of.
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


@dataclass
class Machines:
    """A Ray cluster whose nodes are processes of this machine, each with a GPU that exists on paper."""

    cluster: Any
    folder: Path

    @property
    def address(self) -> str:
        """Of the head node, on which nothing is trained."""
        return str(self.cluster.address)

    def add(self, name: str) -> Any:
        """A further node."""
        return self.cluster.add_node(**_HERE, node_name=name, num_cpus=1, num_gpus=1, object_store_memory=_FEW)

    def lose(self, node: Any) -> None:
        """End a node the way a power cut would."""
        self.cluster.remove_node(node, allow_graceful=False)


@contextmanager
def machines() -> Iterator[Machines]:
    """A head node, in a folder of its own: a socket's path may hold 107 characters, so not below pytest's."""
    from ray.cluster_utils import Cluster

    folder = Path(tempfile.mkdtemp(prefix="caviar-ray-"))
    # Where Ray notes the address of its newest cluster, which is not to be found by others.
    (folder / "ray").mkdir()
    head = {"num_cpus": 0, "object_store_memory": _FEW, "include_dashboard": False, "_system_config": _WATCHFUL}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(folder))
        cluster = Cluster(initialize_head=True, head_node_args={**_HERE, **head, "temp_dir": str(folder)})
        try:
            yield Machines(cluster, folder)
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def start_engine(here: Site, cluster: Machines, *flags: str) -> CaviarProcess:
    """`caviar work --engine ray`, whose workers take the CPU in spite of the GPU on paper."""
    where = ("--url", here.url, "--engine", "ray", "--ray-address", cluster.address, "--ray-num-gpus", "1")
    how = ("--devices", "cpu", "--cpu-slots", "1", "--threads-per-slot", "1", *flags)
    engine = CaviarProcess(here.folder, "engine", "work", *where, *how)
    engine.start()
    here.workers.append(engine)
    return engine


def alive(here: Site) -> dict[str, WorkerView]:
    """Workers that give signs of life, by the name of their node."""
    return {worker.labels[NODE_LABEL]: worker for worker in here.client.workers().items if worker.is_alive}


def at_work(here: Site, *nodes: str) -> bool:
    """Whether there is a training on each of the nodes now."""
    found = alive(here)
    return all(node in found and found[node].running for node in nodes)


def attempts(here: Site, study: str) -> list[AttemptView]:
    """All attempts of all trials."""
    return [attempt for trial in here.client.trials(study) for attempt in here.client.trial(trial.trial_id).attempts]


def test_a_study_outlives_the_loss_of_a_node(tmp_path: Path) -> None:
    budget = {"max_trials": 500, "max_epochs": 10}
    with site(tmp_path) as here, machines() as cluster:
        here.client.create_study(digits_study("nodes", budget=budget))
        cluster.add("box-a")
        lost = cluster.add("box-b")
        engine = start_engine(here, cluster, "--max-workers", "2", "--worker-idle-s", "1")
        until(lambda: at_work(here, "box-a", "box-b"), deadline_s=_DEADLINE_S, what="trainings on both nodes")
        until(lambda: num_epochs(here.client, "nodes") >= 5, deadline_s=_DEADLINE_S, what="some epochs")
        acknowledged = entries(here.client, "nodes")
        cluster.lose(lost)
        cluster.add("box-c")
        until(lambda: at_work(here, "box-c"), deadline_s=_DEADLINE_S, what="a training on the node that came instead")
        acknowledged |= entries(here.client, "nodes")
        begun = here.client.study("nodes").num_trials
        here.client.edit_study("nodes", {"budget": {**budget, "max_trials": begun + 2}})
        until(lambda: here.client.study("nodes").state.is_finished, deadline_s=_DEADLINE_S, what="the end of the study")
        check_complete(here.client, "nodes", acknowledged)
        cut_off = [attempt for attempt in attempts(here, "nodes") if attempt.worker == "box-b-1"][-1]
        assert cut_off.end in (AttemptEnd.EXPIRED, AttemptEnd.RELEASED)
        # Idle workers end, so that the cluster may shrink; the engine stays for what comes next.
        until(lambda: not alive(here), deadline_s=_DEADLINE_S, what="the end of the workers")
        assert engine.stop() == 0


def test_the_end_of_the_engine_hands_every_trial_back(tmp_path: Path) -> None:
    with site(tmp_path, lease_ttl_s=60.0) as here, machines() as cluster:
        here.client.create_study(digits_study("handed-back", budget={"max_trials": 100, "max_epochs": 100}, retries=0))
        cluster.add("box-a")
        # There is no place for the second worker: an autoscaler would see the request.
        engine = start_engine(here, cluster, "--max-workers", "2")
        until(lambda: at_work(here, "box-a"), deadline_s=_DEADLINE_S, what="a training")
        until(lambda: num_epochs(here.client, "handed-back") >= 2, deadline_s=_DEADLINE_S, what="some epochs")
        assert engine.stop() == 0
        ends = {attempt.end for attempt in attempts(here, "handed-back")}
        assert AttemptEnd.RELEASED in ends
        assert ends <= {AttemptEnd.RELEASED, AttemptEnd.FINISHED}
        assert not [path for path in cluster.folder.rglob("*") if path.is_file() and TOKEN in _text(path)]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
