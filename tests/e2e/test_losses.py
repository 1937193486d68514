"""Losing a worker, the service or the database in the middle of a study loses nothing that was acknowledged."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from caviar.contract.states import AttemptEnd, TrialState
from tests.e2e.books import check_complete, digits_study, entries, num_epochs
from tests.e2e.processes import Site, site, until
from tests.postgres import PostgresServer

_DEADLINE_S = 180.0

pytestmark = pytest.mark.slow


def _until_trained(here: Site, name: str, epochs: int) -> None:
    until(lambda: num_epochs(here.client, name) >= epochs, deadline_s=_DEADLINE_S, what=f"{epochs} epochs")


def _until_ended(here: Site, name: str) -> None:
    until(lambda: here.client.study(name).state.is_finished, deadline_s=_DEADLINE_S, what="the end of the study")


def test_a_killed_worker_is_replaced_by_another_one(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.client.create_study(digits_study("killed-worker"))
        first = here.start_worker("first")
        _until_trained(here, "killed-worker", 5)
        first.kill()
        acknowledged = entries(here.client, "killed-worker")
        here.start_worker("second")
        _until_ended(here, "killed-worker")
        check_complete(here.client, "killed-worker", acknowledged)
        ends = [a.end for t in here.client.trials("killed-worker") for a in here.client.trial(t.trial_id).attempts]
        assert ends.count(AttemptEnd.EXPIRED) == 1


def test_a_killed_service_goes_on_where_it_was(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.client.create_study(digits_study("killed-service"))
        here.start_worker("first")
        here.start_worker("second")
        _until_trained(here, "killed-service", 5)
        acknowledged = entries(here.client, "killed-service")
        here.service.kill()
        here.start_service()
        _until_ended(here, "killed-service")
        check_complete(here.client, "killed-service", acknowledged)
        # Both workers outlived the service: no attempt was lost, what they trained meanwhile was delivered.
        assert all(trial.attempt == 1 for trial in here.client.trials("killed-service"))


@pytest.mark.postgres
def test_a_killed_database_goes_on_where_it_was(tmp_path: Path, own_postgres_server: PostgresServer) -> None:
    own_postgres_server.start()
    url = own_postgres_server.create_database("crashed")
    with site(tmp_path, database_url=url) as here:
        here.client.create_study(digits_study("killed-database"))
        here.start_worker("first")
        here.start_worker("second")
        _until_trained(here, "killed-database", 5)
        acknowledged = entries(here.client, "killed-database")
        own_postgres_server.kill()
        own_postgres_server.start()
        _until_ended(here, "killed-database")
        check_complete(here.client, "killed-database", acknowledged)


@pytest.mark.postgres
def test_all_three_are_killed_in_turn(tmp_path: Path, own_postgres_server: PostgresServer) -> None:
    own_postgres_server.start()
    url = own_postgres_server.create_database("in_turn")
    with site(tmp_path, database_url=url) as here:
        here.client.create_study(digits_study("in-turn", budget={"max_trials": 8, "max_epochs": 10}))
        first = here.start_worker("first")
        here.start_worker("second")
        _until_trained(here, "in-turn", 5)
        first.kill()
        acknowledged = entries(here.client, "in-turn")
        _until_trained(here, "in-turn", 15)
        acknowledged |= entries(here.client, "in-turn")
        here.service.kill()
        here.start_service()
        _until_trained(here, "in-turn", 25)
        acknowledged |= entries(here.client, "in-turn")
        own_postgres_server.kill()
        own_postgres_server.start()
        _until_ended(here, "in-turn")
        check_complete(here.client, "in-turn", acknowledged)


def test_a_zombie_changes_nothing(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.client.create_study(digits_study("zombie", budget={"max_trials": 1, "max_epochs": 20}))
        zombie = here.start_worker("zombie")
        _until_trained(here, "zombie", 2)
        zombie.signal(signal.SIGSTOP)
        (trial,) = here.client.trials("zombie")
        until(
            lambda: here.client.trial(trial.trial_id).state is TrialState.WAITING,
            deadline_s=_DEADLINE_S,
            what="the expiry of the lease",
        )
        before = {key: metrics for key, metrics in entries(here.client, "zombie").items() if key[1] == 1}
        here.start_worker("successor")
        until(lambda: here.client.trial(trial.trial_id).attempt == 2, deadline_s=_DEADLINE_S, what="a successor")
        zombie.signal(signal.SIGCONT)
        _until_ended(here, "zombie")
        check_complete(here.client, "zombie", before)
        after = {key: metrics for key, metrics in entries(here.client, "zombie").items() if key[1] == 1}
        assert after == before
        curve = here.client.measurements(trial.trial_id).items
        assert {item.attempt for item in curve} == {2}
        assert "lease_lost" in zombie.shown_log() or "lost" in zombie.shown_log()


def test_a_stopped_worker_gives_its_trial_back_uncharged(tmp_path: Path) -> None:
    with site(tmp_path, lease_ttl_s=60.0) as here:
        here.client.create_study(digits_study("released", budget={"max_trials": 2, "max_epochs": 15}, retries=0))
        first = here.start_worker("first")
        _until_trained(here, "released", 2)
        assert first.stop() == 0
        acknowledged = entries(here.client, "released")
        here.start_worker("second")
        _until_ended(here, "released")
        check_complete(here.client, "released", acknowledged)
        ends = [a.end for t in here.client.trials("released") for a in here.client.trial(t.trial_id).attempts]
        assert AttemptEnd.RELEASED in ends
        assert AttemptEnd.EXPIRED not in ends
