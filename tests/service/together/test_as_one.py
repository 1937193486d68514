"""Requests that alternate between two processes get the answers that one process would give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from service.loops.clockwork import Clockwork
from service.loops.sweeper import Sweeper
from tests.databases import Databases
from tests.service.protocol.test_lease_protocol import LeaseProtocol
from tests.service.protocol.wire import Wire
from tests.service.together.alternating import Alternating

pytestmark = pytest.mark.postgres
_EPOCHS = 6
_STUDIES: dict[str, dict[str, Any]] = {
    "asha": {
        "strategy": {"kind": "tpe", "n_startup_trials": 4},
        "pruner": {"kind": "asha", "min_resource": 1, "reduction_factor": 2},
    },
    "median": {"strategy": {"kind": "coarse_to_fine"}, "pruner": {"kind": "median", "n_startup_trials": 2}},
    "hyperband": {"strategy": {"kind": "random"}, "pruner": {"kind": "hyperband", "min_resource": 1}},
}


@pytest.fixture(scope="module")
def wires(request: pytest.FixtureRequest, databases: Databases) -> Iterator[tuple[Wire, Wire]]:
    """A single service, and two that alternate, each on a database of its own."""

    async def do_nothing(_loop: Clockwork | Sweeper) -> None:
        """Stand in for a loop, whose rounds the tests call for themselves."""

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("CAVIAR_HOME", str(request.getfixturevalue("tmp_path_factory").mktemp("home")))
        monkeypatch.setattr(Clockwork, "run", do_nothing)
        monkeypatch.setattr(Sweeper, "run", do_nothing)
        single, alternating = Wire(databases.ready("postgres")), Alternating(databases.ready("postgres"))
        try:
            yield single, alternating
        finally:
            alternating.stop()
            single.stop()


def _value(params: dict[str, Any], epoch: int) -> float:
    return round(abs(float(params["x"]) - 0.3) + 1.0 / epoch, 6)


def _story(wire: Wire, **study: Any) -> list[Any]:
    """Two workers train a study in turns, epoch by epoch: all that they were told, and how many suggestions held."""
    budget = {"max_trials": 14, "max_epochs": _EPOCHS}
    name = wire.study(seed=5, budget=budget, **study)
    workers = [wire.worker(name, name=f"w{number}") for number in range(2)]
    told: list[Any] = []
    held: list[Any] = [None, None]
    epochs = [0, 0]
    for step in range(400):
        place = step % 2
        if held[place] is None:
            found = wire.claim(workers[place])
            if not found:
                break
            held[place], epochs[place] = found[0], found[0]["first_epoch"]
            told.append(("claimed", found[0]["number"], found[0]["params"], found[0]["first_epoch"]))
            continue
        trial, epoch = held[place], epochs[place]
        decision = wire.report(trial, epoch, _value(trial["params"], epoch))
        told.append(("reported", trial["number"], epoch, decision))
        epochs[place] += 1
        if decision == "continue" and epoch == _EPOCHS:
            told.append(("finished", trial["number"], wire.finish(trial)))
        if decision != "continue" or epoch == _EPOCHS:
            held[place] = None
    replayed = wire.get(f"/studies/{name}/replay")
    assert replayed["is_identical"], replayed
    return [*told, replayed["num_checked"]]


@pytest.mark.parametrize("kind", _STUDIES)
def test_decisions_and_suggestions_are_those_of_one_process(wires: tuple[Wire, Wire], kind: str) -> None:
    single, alternating = (_story(wire, **_STUDIES[kind]) for wire in wires)
    assert len(single) > 40
    assert alternating == single


def test_the_lease_protocol_holds_whatever_happens(wires: tuple[Wire, Wire]) -> None:
    machine = type("LeaseProtocol", (LeaseProtocol,), {"wire": wires[1]})
    run_state_machine_as_test(machine, settings=settings(max_examples=4, stateful_step_count=40))
