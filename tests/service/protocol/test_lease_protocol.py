"""A stateful test of the worker wire: random requests, repeats, losses and clock jumps against a plain model.

Whatever happens, the service stands where the model stands: no trial is held twice, every acknowledged measurement is
stored exactly once, attempts are counted and charged as the rules say, budgets hold, and no trial is stuck.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.databases import Databases
from tests.service.protocol.model import Lease, Study, Trial
from tests.service.protocol.wire import LEASE_TTL_S, Wire, item, running

VALUES = st.sampled_from([0.05, 0.2, 0.3, 0.4])
EPOCHS = st.integers(1, 5)
OUTCOMES = st.sampled_from(["complete", "complete", "failed", "diverged", "out_of_memory", "infeasible"])
# An old lease is as good a choice as a new one, but the newest is where most things happen.
CHOICE = st.integers(0, 7)
BUDGETS = st.fixed_dictionaries(
    {
        "max_trials": st.integers(1, 5),
        "max_epochs": st.integers(1, 4),
        "max_total_epochs": st.none() | st.integers(2, 12),
        "max_seconds": st.sampled_from([None, None, 400.0]),
        "max_trial_seconds": st.sampled_from([None, None, 70.0]),
        "max_parallel": st.none() | st.integers(1, 3),
        "target": st.sampled_from([None, None, 0.1]),
    }
)


class LeaseProtocol(RuleBasedStateMachine):
    """The service and the model, driven side by side."""

    wire: Wire

    @initialize(budget=BUDGETS, retries=st.integers(0, 2), num_workers=st.integers(1, 3))
    def begin(self, budget: dict[str, Any], retries: int, num_workers: int) -> None:
        """Create a study and workers that nobody else knows."""
        self.wire.tick()
        self.name = self.wire.study(retries=retries, budget=budget)
        self.workers = [self.wire.worker(self.name, name=f"w{index}") for index in range(num_workers)]
        self.names = {worker: f"w{index}" for index, worker in enumerate(self.workers)}
        self.model = Study(
            budget, retries, created_at=self.wire.clock.now, now=self.wire.clock.now, ticked_at=self.wire.clock.now
        )
        self.requests: list[tuple[str, str]] = []
        self.tokens: set[str] = set()

    @rule(who=CHOICE, num=st.integers(1, 3), is_forgetful=st.sampled_from([False, False, True]))
    def claim(self, who: int, num: int, *, is_forgetful: bool) -> None:
        """A worker asks for trials; one that was restarted knows of none."""
        worker = self.workers[who % len(self.workers)]
        self.requests.append((worker, f"{self.name}-{len(self.requests)}"))
        held = [lease for lease in self.model.leases if lease.end is None and lease.worker == worker]
        self._claim(*self.requests[-1], num, [] if is_forgetful else held)

    @precondition(lambda self: self.requests)
    @rule(which=CHOICE, num=st.integers(1, 3))
    def claim_again(self, which: int, num: int) -> None:
        """A worker did not hear the answer and repeats its request."""
        worker, request = self.requests[-1 - which % len(self.requests)]
        held = [lease for lease in self.model.leases if lease.end is None and lease.worker == worker]
        self._claim(worker, request, num, held)

    @precondition(lambda self: self.model.leases)
    @rule(items=st.lists(st.tuples(CHOICE, EPOCHS, VALUES), min_size=1, max_size=4))
    def report(self, items: list[tuple[int, int, float]]) -> None:
        """Workers report epochs, of leases old and new."""
        self._report([(self._lease(which), epoch, value) for which, epoch, value in items])

    @precondition(lambda self: self.model.running())
    @rule(which=CHOICE, value=VALUES)
    def train(self, which: int, value: float) -> None:
        """A worker reports the next epoch of a trial that it holds."""
        trials = self.model.running()
        lease = trials[which % len(trials)].leases[-1]
        self._report([(lease, max(lease.epochs, default=0) + 1, value)])

    @precondition(lambda self: any(lease.epochs for lease in self.model.leases))
    @rule(which=CHOICE, change=st.sampled_from([0.0, 0.01]))
    def report_again(self, which: int, change: float) -> None:
        """A worker repeats an epoch, as it was or with another value."""
        lease = self._lease(which, [lease for lease in self.model.leases if lease.epochs])
        epoch, value = sorted(lease.epochs.items())[which % len(lease.epochs)]
        self._report([(lease, epoch, value + change)])

    @precondition(lambda self: self.model.leases)
    @rule(which=CHOICE, outcome=OUTCOMES)
    def finish(self, which: int, outcome: str) -> None:
        """A worker says how a training ended, perhaps long after it lost it."""
        lease = self._lease(which)
        assert self._code(self.wire.finish(lease.assignment, outcome)) == self.model.finish(lease, outcome)

    @precondition(lambda self: self.model.leases)
    @rule(which=CHOICE)
    def release(self, which: int) -> None:
        """A worker gives a trial back."""
        lease = self._lease(which)
        assert self._code(self.wire.release(lease.assignment)) == self.model.release(lease)

    @precondition(lambda self: self.model.leases)
    @rule(who=CHOICE, which=st.lists(CHOICE, max_size=4, unique=True))
    def heartbeat(self, who: int, which: list[int]) -> None:
        """A worker renews leases, perhaps some that are not its own."""
        worker = self.workers[who % len(self.workers)]
        leases = list(dict.fromkeys(self._lease(index) for index in which))
        lost = self.wire.heartbeat(worker, *[lease.assignment for lease in leases])
        assert lost == [lease.assignment["lease"] for lease in self.model.heartbeat(worker, leases)]

    @rule(seconds=st.sampled_from([1.0, 10.0, 20.0, 100.0]))
    def jump(self, seconds: float) -> None:
        """Time passes while the service is too busy to notice."""
        self.wire.clock.advance(seconds)
        self.model.now = self.wire.clock.now

    @rule(rounds=st.integers(1, 4))
    def wait(self, rounds: int) -> None:
        """Time passes while the background loop goes round."""
        for _ in range(rounds):
            self.jump(LEASE_TTL_S / 3)
            self.tick()

    @rule()
    def tick(self) -> None:
        """The background loop goes round."""
        self.wire.tick()
        self.model.tick()

    @rule()
    def restart_service(self) -> None:
        """The service goes down and comes up again."""
        self.wire.restart()
        self.model.ticked_at = None
        self.model.tick()

    @rule(x=st.sampled_from([0.25, 0.75]))
    def enqueue(self, x: float) -> None:
        """A person adds a configuration."""
        status, answer = self.wire.ask("POST", f"/studies/{self.name}/trials", {"params": {"x": x}})
        if self.model.state in ("complete", "stopped") or self.model.limit() is not None:
            assert answer["code"] == "state_conflict"
        else:
            assert status == 201
            self.model.add("enqueued").trial_id = answer["trial_id"]

    @precondition(lambda self: self.model.trials)
    @rule(which=CHOICE, verb=st.sampled_from(["stop", "retry"]))
    def steer_trial(self, which: int, verb: str) -> None:
        """A person stops a trial or runs it again."""
        trial = self.model.trials[-1 - which % len(self.model.trials)]
        status, answer = self.wire.ask("POST", f"/trials/{trial.trial_id}:{verb}")
        if verb == "retry":
            assert answer["state" if status == 200 else "code"] == self.model.retry_trial(trial)
        else:
            self.model.stop_trial(trial)
            assert answer["state"] == trial.state

    @rule(verb=st.sampled_from(["pause", "resume", "resume"]))
    def steer_study(self, verb: str) -> None:
        """A person pauses or resumes the study."""
        status, _ = self.wire.ask("POST", f"/studies/{self.name}:{verb}")
        if self.model.state in ("complete", "stopped"):
            assert status == 409
            return
        assert status == 200
        self.model.state = "paused" if verb == "pause" else "running"
        self.model.settle()

    @precondition(lambda self: len(self.model.leases) > 4)
    @rule()
    def stop_study(self) -> None:
        """A person ends the study."""
        self.wire.post(f"/studies/{self.name}:stop")
        if self.model.state not in ("complete", "stopped"):
            self.model.end("stopped", "stopped")

    @rule(change=st.sampled_from([{"max_parallel": 1}, {"max_parallel": None}, {"max_trials": 6}, {"max_trials": 2}]))
    def edit(self, change: dict[str, Any]) -> None:
        """A person changes a limit."""
        status, _ = self.wire.ask("PATCH", f"/studies/{self.name}", {"budget": change})
        if self.model.state in ("complete", "stopped"):
            assert status == 409
            return
        assert status == 200
        self.model.limits = self.model.limits | change
        self.model.settle()

    @invariant()
    def the_service_stands_where_the_model_stands(self) -> None:
        """States, holders, attempts, values, reasons and counts are those of the model."""
        study = self.wire.get(f"/studies/{self.name}")
        assert (study["state"], study["end_reason"], study["num_trials"], study["num_epochs"]) == (
            self.model.state,
            self.model.end_reason,
            len(self.model.trials),
            self.model.num_epochs,
        )
        told = self.wire.get(f"/studies/{self.name}/trials")["items"]
        assert [_told(entry) for entry in told] == [self._expected(trial) for trial in self.model.trials]
        limit = self.model.limits["max_total_epochs"]
        assert limit is None or study["num_epochs"] <= limit

    def teardown(self) -> None:
        """Whatever was left behind, one diligent worker brings the study to its end; then all of it is looked at."""
        if not hasattr(self, "model"):
            return
        if self.model.state == "paused":
            self.steer_study("resume")
        for _ in range(200):
            if self.model.state != "running":
                break
            self.wait(4)
            self.claim(0, 3, is_forgetful=False)
            for trial in self.model.running():
                lease = trial.leases[-1]
                self._report([(lease, epoch, 0.2) for epoch in range(1, 5) if epoch not in lease.epochs])
                assert self._code(self.wire.finish(lease.assignment)) == self.model.finish(lease, "complete")
        assert self.model.state != "running"
        self.the_service_stands_where_the_model_stands()
        for trial in self.model.trials:
            self._look_at(trial)

    def _claim(self, worker: str, request: str, num: int, known: list[Lease]) -> None:
        tokens = [lease.assignment["lease"] for lease in known]
        body = {"request_id": request, "max_trials": num, "leases": tokens}
        assigned = self.wire.post(f"/workers/{worker}:claim", body)["assigned"]
        expected = self.model.claim(worker, request, num, known)
        assert [(entry["number"], entry["attempt"]) for entry in assigned] == [
            (lease.trial.number, lease.attempt) for lease in expected
        ]
        for lease, entry in zip(expected, assigned, strict=True):
            assert not lease.assignment or lease.assignment == entry | {"max_epochs": lease.assignment["max_epochs"]}
            assert lease.assignment or entry["lease"] not in self.tokens
            self.tokens.add(entry["lease"])
            lease.assignment, lease.trial.trial_id = entry, entry["trial_id"]
            first = lease.trial.leases[0].assignment
            assert (entry["params"], entry["seed"]) == (first["params"], first["seed"])

    def _report(self, items: list[tuple[Lease, int, float]]) -> None:
        body = {"items": [item(lease.assignment, epoch, value) for lease, epoch, value in items]}
        status, answer = self.wire.ask("POST", "/measurements", body)
        expected = [
            (lease.trial.trial_id, epoch, self.model.report(lease, epoch, value)) for lease, epoch, value in items
        ]
        decided = {trial_id: said for trial_id, _, said in expected if said in ("continue", "stop")}
        refused = [entry for entry in expected if entry[2] not in ("continue", "stop")]
        if not decided:
            assert answer["code"] == expected[0][2]
            return
        assert status == 200
        assert {entry["trial_id"]: entry["decision"] for entry in answer["decisions"]} == decided
        assert [(entry["trial_id"], entry["epoch"], entry["code"]) for entry in answer["rejected"]] == refused

    def _lease(self, which: int, leases: list[Lease] | None = None) -> Lease:
        # Half of the time one that somebody holds, else any of the newest.
        among = self.model.leases if leases is None else leases
        held = [lease for lease in among if lease.end is None] if which % 2 else []
        return (held or among)[-1 - which // 2 % len(held or among)]

    def _look_at(self, trial: Trial) -> None:
        told = self.wire.get(f"/trials/{trial.trial_id}")
        assert [(entry["attempt"], entry["worker_id"], entry["end"]) for entry in told["attempts"]] == [
            (lease.attempt, lease.worker, lease.end) for lease in trial.leases
        ]
        every = sorted((lease.attempt, epoch, value) for lease in trial.leases for epoch, value in lease.epochs.items())
        assert sorted(self.wire.stored(trial.trial_id, attempts="all")) == every
        newest = [(len(trial.leases), epoch, value) for epoch, value in sorted(trial.curve.items())]
        assert self.wire.stored(trial.trial_id) == newest

    def _expected(self, trial: Trial) -> tuple[Any, ...]:
        worker = self.names[trial.leases[-1].worker] if trial.leases else None
        return (
            trial.trial_id,
            trial.number,
            trial.origin,
            trial.state,
            trial.stop_reason,
            len(trial.leases),
            worker,
            *trial.best,
            max(trial.curve, default=0),
        )

    @staticmethod
    def _code(answer: str) -> str:
        return answer.rpartition(" ")[2]


def _told(entry: dict[str, Any]) -> tuple[Any, ...]:
    names = (
        "trial_id",
        "number",
        "origin",
        "state",
        "stop_reason",
        "attempt",
        "worker",
        "value",
        "best_epoch",
        "num_epochs",
    )
    return tuple(entry[name] for name in names)


@pytest.mark.parametrize(
    ("kind", "max_examples"), [("sqlite", 40), pytest.param("postgres", 8, marks=pytest.mark.postgres)]
)
def test_the_service_keeps_the_rules_whatever_happens(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, kind: str, max_examples: int
) -> None:
    with running(databases.ready(kind), monkeypatch) as wire:
        machine = type("LeaseProtocol", (LeaseProtocol,), {"wire": wire})
        longest = settings(max_examples=max_examples, stateful_step_count=30)
        run_state_machine_as_test(machine, settings=longest)
