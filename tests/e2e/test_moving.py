"""A trial goes on at another machine from its last checkpoint, with the curve of one that was never interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from caviar import Client
from caviar.contract.states import AttemptEnd
from service.domain.rules import derived_seed
from tests.e2e.books import check_complete, digits_study, entries, num_epochs
from tests.e2e.processes import TOKEN, CaviarProcess, Site, site, until
from worker.objectives.mlp import MlpObjective

_DEADLINE_S = 180.0

pytestmark = pytest.mark.slow


def _study(name: str, **changes: Any) -> dict[str, Any]:
    budget = {"max_trials": 1, "max_epochs": 60}
    return digits_study(name, budget=budget, **changes)


def _machine(here: Site, name: str) -> CaviarProcess:
    """A worker with a CAVIAR_HOME of its own: it shares nothing with the others but the service."""
    folder = here.folder / name
    folder.mkdir()
    flags = ("--url", here.url, "--name", name, "--devices", "cpu", "--cpu-slots", "1", "--threads-per-slot", "1")
    worker = CaviarProcess(folder, name, "work", *flags)
    worker.start()
    here.workers.append(worker)
    return worker


def _until_ended(here: Site, name: str) -> None:
    until(lambda: here.client.study(name).state.is_finished, deadline_s=_DEADLINE_S, what="the end of the study")


def _curve(client: Client, name: str) -> dict[int, float]:
    (trial,) = client.trials(name)
    return {item.epoch: item.metrics["val_loss"] for item in client.measurements(trial.trial_id).items}


def _kill_all(worker: CaviarProcess) -> None:
    """The machine loses its power: the supervising process and all of its trainings at once."""
    family = [*psutil.Process(worker.process.pid).children(recursive=True), psutil.Process(worker.process.pid)]
    for process in family:
        process.kill()
    worker.process.wait()


def test_after_a_kill_a_trial_goes_on_at_another_machine_with_the_same_curve(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.client.create_study(_study("straight"))
        first = _machine(here, "first")
        _until_ended(here, "straight")
        here.client.create_study(_study("moved", checkpoints={"every_epochs": 1}))
        until(lambda: num_epochs(here.client, "moved") >= 5, deadline_s=_DEADLINE_S, what="5 epochs")
        _kill_all(first)
        acknowledged = entries(here.client, "moved")
        _machine(here, "second")
        _until_ended(here, "moved")
        check_complete(here.client, "moved", acknowledged)
        (trial,) = here.client.trials("moved")
        lost, heir = here.client.trial(trial.trial_id).attempts
        assert lost.end is AttemptEnd.EXPIRED
        # A report under way may be stored after its sender was killed.
        last_epoch = max(epoch for _trial_id, attempt, epoch in entries(here.client, "moved") if attempt == 1)
        # The last epoch may have been acknowledged without its checkpoint, which a newer one was to stand for.
        assert 1 < last_epoch - 2 <= heir.first_epoch <= last_epoch + 1
        expected = _curve(here.client, "straight")
        for epoch, value in _curve(here.client, "moved").items():
            assert value == pytest.approx(expected[epoch], abs=1e-6)
        assert "checkpoint_downloaded" in here.workers[-1].log.read_text()


def test_a_drained_worker_hands_its_trial_over_without_the_loss_of_an_epoch(tmp_path: Path) -> None:
    with site(tmp_path, lease_ttl_s=60.0) as here:
        here.client.create_study(_study("handed-over", checkpoints={"every_s": 3600.0}))
        first = _machine(here, "first")
        until(lambda: num_epochs(here.client, "handed-over") >= 3, deadline_s=_DEADLINE_S, what="3 epochs")
        assert first.stop() == 0
        acknowledged = entries(here.client, "handed-over")
        _machine(here, "second")
        _until_ended(here, "handed-over")
        study = check_complete(here.client, "handed-over", acknowledged)
        assert study.num_epochs == 60
        (trial,) = here.client.trials("handed-over")
        released, heir = here.client.trial(trial.trial_id).attempts
        assert (released.end, heir.first_epoch) == (AttemptEnd.RELEASED, len(acknowledged) + 1)


def test_the_weights_of_the_best_trials_reach_the_service(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        budget = {"max_trials": 3, "max_epochs": 4}
        here.client.create_study(digits_study("kept", budget=budget, checkpoints={"keep_best": 1}))
        worker = _machine(here, "first")
        _until_ended(here, "kept")
        best = min(here.client.trials("kept"), key=lambda trial: trial.value if trial.value is not None else 1e9)
        until(lambda: here.client.trial(best.trial_id).artifacts, deadline_s=_DEADLINE_S, what="the weights")
        [weights] = here.client.trial(best.trial_id).artifacts
        assert (weights.kind, weights.epoch) == ("weights", best.best_epoch)
        assert worker.stop() == 0
        file = tmp_path / "best.weights.h5"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx2.stream("GET", f"{here.url}/api/v1/trials/{best.trial_id}/weights", headers=headers) as answer:
            file.write_bytes(b"".join(answer.iter_raw()))
        study = here.client.study("kept")
        seed = derived_seed(study.seed, "data")
        mlp = MlpObjective(config=study.objective.config, data_seed=seed, metric=study.metric, max_epochs=4)
        model = mlp.build(best.params)
        model.load_weights(file)
        _train, validation = mlp.data(best.params)
        found = model.evaluate(*validation, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(best.value, rel=1e-5)
