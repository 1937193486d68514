"""The settings of the engines, and what of a worker's settings is handed on."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr, ValidationError

from caviar.contract.errors import InvalidRequest
from worker.engines.settings import EngineSettings, handed_on
from worker.settings import WorkerSettings


@pytest.mark.parametrize("address", ["auto", "local", "10.0.0.7:6379", "head.example:6379"])
def test_addresses_of_clusters(address: str) -> None:
    assert EngineSettings(ray_address=address).ray_address == address


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ray_address": "ray://head:10001"}, "ray_address"),
        ({"ray_address": "head"}, "ray_address"),
        ({"ray_num_cpus": 0}, "greater than 0"),
        ({"ray_num_gpus": 1.5}, "ray_num_gpus is 1.5; expected a whole number, or a fraction below 1"),
        ({"min_workers": 5, "max_workers": 4}, "min_workers is 5; expected at most max_workers, 4"),
    ],
)
def test_wrong_settings_say_what_is_expected(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        EngineSettings(**given)  # type: ignore[arg-type]  # wrong on purpose


def test_only_what_was_given_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAVIAR_STOP_GRACE_S", "5")
    settings = WorkerSettings(
        url="http://service.example:8700",
        token=SecretStr("a-secret"),
        objectives=("a.py:A", "b"),
        labels={"site": "cellar"},
        exit_when_idle=True,
    )
    variables = handed_on(settings)
    assert variables.pop("CAVIAR_LABELS") == json.dumps({"site": "cellar"})
    assert variables == {
        "CAVIAR_URL": "http://service.example:8700",
        "CAVIAR_OBJECTIVES": '["a.py:A", "b"]',
        "CAVIAR_STOP_GRACE_S": "5.0",
    }


def test_what_is_handed_on_is_read_back_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = WorkerSettings(objectives=("a.py",), labels={"a": "b"}, cpu_slots=3, pin_cores=False, devices="cpu")
    for name, value in handed_on(settings).items():
        monkeypatch.setenv(name, value)
    assert WorkerSettings() == settings


@pytest.mark.parametrize("given", [{"name": "box"}, {"state_dir": "somewhere"}])
def test_what_cannot_hold_for_several_workers_is_refused(given: dict[str, str]) -> None:
    (name,) = given
    with pytest.raises(InvalidRequest, match=f"{name} is .* leave it out"):
        handed_on(WorkerSettings(**given))  # type: ignore[arg-type]  # the parameter decides
