"""Real service processes on one Postgres: they share a study, hear of each other, and stand in for each other."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest

from caviar import Client
from caviar.contract.errors import Unavailable
from caviar.contract.states import StudyState
from tests.databases import Databases
from tests.e2e.books import digits_study
from tests.e2e.processes import TOKEN, CaviarProcess, Site, free_port, until
from tests.e2e.scripted import ScriptedWorker

pytestmark = pytest.mark.postgres
_TTL_S = 3.0


def _train(url: str, num: int) -> None:
    worker = ScriptedWorker(url, f"scripted-{num}", flavour=num)
    while worker.train(100):
        pass
    worker.close()


def _seconds_until_told(site: Site, other: Client, name: str) -> float:
    """How long it takes until a stream of one service tells what was done at the other one."""
    told: list[float] = []
    is_open = threading.Event()

    def follow() -> None:
        for event in site.client.events(name, after=0):
            is_open.set()
            if event.kind == "study_changed":
                told.append(time.monotonic())
                return

    following = threading.Thread(target=follow)
    following.start()
    assert is_open.wait(30)
    begun_s = time.monotonic()
    other.pause(name)
    following.join(30)
    return told[0] - begun_s


def test_two_services_share_a_study_and_one_stands_in_for_the_other(tmp_path: Path, databases: Databases) -> None:
    url = databases.ready("postgres")
    first = Site(tmp_path, database_url=url, lease_ttl_s=_TTL_S)
    port = free_port()
    flags = ("--port", str(port), "--database", url, "--lease-ttl-s", str(_TTL_S))
    second = CaviarProcess(tmp_path, "second", "serve", *flags)
    address = f"http://127.0.0.1:{port}"
    other = Client(address, TOKEN)
    try:
        first.start_service()
        until(lambda: "leading.begun" in first.service.shown_log(), deadline_s=30, what="the first one to lead")
        second.start()
        until(lambda: list(other.studies()) is not None, deadline_s=60, what="the second service")
        pruner = {"kind": "asha", "min_resource": 1, "reduction_factor": 2}
        budget = {"max_trials": 16, "max_epochs": 8}
        other.create_study(digits_study("shared", pruner=pruner, budget=budget, strategy={"kind": "tpe"}))
        threads = [threading.Thread(target=_train, args=((first.url, address)[num % 2], num)) for num in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: first.client.study("shared").state is StudyState.COMPLETE, deadline_s=20, what="its end")
        assert [trial.number for trial in other.trials("shared")] == list(range(16))
        assert first.client.replay("shared").is_identical

        other.create_study(digits_study("watched"))
        assert _seconds_until_told(first, other, "watched") < 1.0
        other.resume("watched")

        # A worker takes a trial and is never heard of again; then the leader dies, and its successor finds out.
        silent = ScriptedWorker(address, "silent")
        [held] = silent.claim().assigned
        first.service.kill()
        until(lambda: "leading.begun" in second.shown_log(), deadline_s=30, what="the second one to lead")
        until(
            lambda: other.trial(held.trial_id).state == "waiting", deadline_s=10 * _TTL_S, what="the end of the lease"
        )
        silent.close()
    finally:
        first.end()
        second.end()
        other.close()


def test_processes_behind_one_port_are_replaced_and_end_together(tmp_path: Path, databases: Databases) -> None:
    port = free_port()
    flags = ("--port", str(port), "--database", databases.ready("postgres"), "--processes", "2")
    service = CaviarProcess(tmp_path, "service", "serve", *flags)
    client = Client(f"http://127.0.0.1:{port}", TOKEN)
    try:
        service.start()
        until(lambda: client.workers() is not None, deadline_s=60, what="the service")
        family = until(lambda: _family(service, 2), deadline_s=30, what="two processes")
        family[0].kill()
        until(lambda: family[0].pid not in {one.pid for one in _family(service, 2)}, deadline_s=30, what="a new one")
        # While one starts, the other one answers.
        assert client.workers().items == []
        family = _family(service, 2)
        assert service.stop() == 0
        assert not any(one.is_running() for one in family)
        with pytest.raises(Unavailable):
            client.workers()
    finally:
        service.end()
        client.close()


def _family(service: CaviarProcess, num: int) -> list[psutil.Process]:
    """The processes of a service, if there are that many."""
    found = psutil.Process(service.process.pid).children()
    return found if len(found) == num else []


def test_a_second_service_on_a_sqlite_file_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    site = Site(tmp_path)
    flags = ("--port", str(free_port()), "--database", f"sqlite:///{tmp_path / 'caviar.db'}")
    second = CaviarProcess(tmp_path, "second", "serve", *flags)
    upgrade = CaviarProcess(tmp_path, "upgrade", "db", "upgrade", *flags[2:])
    try:
        site.start_service()
        for command in (second, upgrade):
            command.start()
            assert command.process.wait(60) == 1
            assert "another process uses the database" in " ".join(command.shown_log().split())
        site.service.kill()
        upgrade.start()
        assert upgrade.process.wait(60) == 0
    finally:
        site.end()
        second.end()
        upgrade.end()
