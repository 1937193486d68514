"""One ordinary worker as a child process, named and equipped by where it is."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from tests.worker.wire import DEADLINE_S, TOKEN, Service
from worker.engines.demand import MEMBER_LABEL
from worker.engines.hosting import NODE_LABEL, Departure, Errand, Host, Nest, Place, settle, worker_environment

LINES = Path(__file__).parents[1] / "lines.py"
CPU, GPU = Place("box"), Place("box", ("0", "2"))


def errand(num_cpus: float = 1.0, num_gpus: float = 0.0, /, **variables: str) -> Errand:
    return Errand("a-1", variables, num_cpus, num_gpus, grace_s=60.0)


@pytest.fixture
def nest(tmp_path: Path) -> Iterator[Nest]:
    with settle_at(tmp_path, "box") as found:
        yield found


@contextmanager
def settle_at(folder: Path, node: str) -> Iterator[Nest]:
    found = settle(node, folder)
    with found.lock:
        yield found


def test_names_are_the_nodes_with_the_first_free_number(tmp_path: Path) -> None:
    with settle_at(tmp_path, "box") as first:
        with settle_at(tmp_path, "box") as second:
            assert (first.name, second.name) == ("box-1", "box-2")
            assert first.folder != second.folder
        with settle_at(tmp_path, "box") as again:
            assert again.name == "box-2"


@pytest.mark.parametrize(("node", "name"), [("10.0.0.7", "10.0.0.7-1"), ("a box/…", "a-box---1"), ("..", "node-1")])
def test_names_are_fit_for_folders(tmp_path: Path, node: str, name: str) -> None:
    with settle_at(tmp_path, node) as nest:
        assert nest.name == name
        assert nest.folder.parent == tmp_path


def test_a_worker_is_held_to_the_cores_that_it_was_given(nest: Nest) -> None:
    environment = worker_environment({}, errand(4.5), CPU, nest, None)
    assert environment["CAVIAR_DEVICES"] == "cpu"
    assert environment["CAVIAR_CPU_SLOTS"] == "4"
    assert environment["CAVIAR_THREADS_PER_SLOT"] == "1"
    assert environment["CAVIAR_PIN_CORES"] == "false"


def test_a_worker_is_held_to_the_gpus_that_it_was_given(nest: Nest) -> None:
    environment = worker_environment({}, errand(2.0, 2.0), GPU, nest, None)
    assert environment["CAVIAR_DEVICES"] == "0,2"
    assert environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "CAVIAR_CPU_SLOTS" not in environment


def test_the_operator_counts_more_than_the_cluster_and_the_cluster_more_than_the_node(nest: Nest) -> None:
    outer = {"CAVIAR_DEVICES": "all-of-them", "CAVIAR_DATA_DIR": "of-the-node", "CAVIAR_NAME": "x", "PATH": "/bin"}
    environment = worker_environment(outer, errand(CAVIAR_THREADS_PER_SLOT="3"), CPU, nest, None)
    assert environment["CAVIAR_DEVICES"] == "cpu"
    assert environment["CAVIAR_DATA_DIR"] == "of-the-node"
    assert environment["CAVIAR_THREADS_PER_SLOT"] == "3"
    assert environment["CAVIAR_NAME"] == nest.name
    assert environment["CAVIAR_STATE_DIR"] == str(nest.folder)
    assert environment["PATH"] == "/bin"


def test_labels_tell_whose_worker_it_is_and_where(nest: Nest) -> None:
    environment = worker_environment({}, errand(CAVIAR_LABELS='{"site": "cellar"}'), CPU, nest, None)
    assert json.loads(environment["CAVIAR_LABELS"]) == {"site": "cellar", MEMBER_LABEL: "a-1", NODE_LABEL: "box"}


def test_the_token_is_sent_or_left_to_the_node(nest: Nest) -> None:
    outer = {"CAVIAR_TOKEN": "of-the-node"}
    assert worker_environment(outer, errand(), CPU, nest, SecretStr("sent"))["CAVIAR_TOKEN"] == "sent"
    assert worker_environment(outer, errand(), CPU, nest, None)["CAVIAR_TOKEN"] == "of-the-node"
    assert "sent" not in repr(Host(errand(), SecretStr("sent")))


@contextmanager
def running(host: Host) -> Iterator[Callable[[], Departure]]:
    """A host at work in a thread; gives what to wait for its end with."""
    departures: list[Departure] = []
    thread = threading.Thread(target=lambda: departures.append(host.run_at(CPU)))
    thread.start()

    def end() -> Departure:
        thread.join(DEADLINE_S)
        assert departures, "the worker did not end"
        return departures[0]

    try:
        yield end
    finally:
        host.drain()
        thread.join(DEADLINE_S)


def test_a_worker_that_is_asked_hands_back_what_it_trains(service: Service) -> None:
    trial = service.add(max_epochs=10**6)
    variables = {"CAVIAR_URL": service.url, "CAVIAR_OBJECTIVES": f'["{LINES}"]', "CAVIAR_CLAIM_WAIT_S": "0.2"}
    host = Host(Errand("a-1", variables, 1.0, 0.0, grace_s=60.0), SecretStr(TOKEN))
    with running(host) as end:
        service.wait_for(lambda: trial.epochs, "an epoch")
        host.drain()
        host.drain()
        departure = end()
    assert departure.status == 0
    assert departure.was_asked
    assert trial.num_releases == 1
    (worker,) = service.workers.values()
    assert worker.labels == {MEMBER_LABEL: "a-1", NODE_LABEL: "box"}
    assert worker.name == departure.name == "box-1"
    assert worker.slots == 1


def test_the_token_is_on_no_command_line(service: Service) -> None:
    host = Host(errand(CAVIAR_URL=service.url, CAVIAR_OBJECTIVES=f'["{LINES}"]'), SecretStr(TOKEN))
    with running(host):
        service.wait_for(lambda: service.workers, "the worker")
        lines = []
        for process in psutil.Process(os.getpid()).children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                lines.append(" ".join(process.cmdline()))
        assert any("--engine local" in line for line in lines)
        assert not [line for line in lines if TOKEN in line]


def test_a_worker_that_cannot_work_says_why() -> None:
    with running(Host(errand(CAVIAR_URL="no-address"), SecretStr(TOKEN))) as end:
        departure = end()
    assert departure.status == 1
    assert not departure.was_asked
    assert "no-address" in departure.last_words


def test_asked_before_its_start_it_does_not_start() -> None:
    host = Host(errand(), None)
    host.drain()
    assert host.run_at(CPU) == Departure(0, was_asked=True)
