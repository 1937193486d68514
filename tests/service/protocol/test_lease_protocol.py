"""A stateful test of the worker wire: random requests, repeats, losses and clock jumps against a plain model.

Whatever happens, the service stands where the model stands: no trial is held twice, every acknowledged measurement is
stored exactly once, attempts are counted and charged as the rules say, budgets hold, and no trial is stuck.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.databases import Databases
from tests.service.protocol.model import ETA, Lease, Study, Trial
from tests.service.protocol.wire import LEASE_TTL_S, Wire, item, running

VALUES = st.sampled_from([0.05, 0.2, 0.3, 0.4])
EPOCHS = st.integers(1, 5)
OUTCOMES = st.sampled_from(["complete", "complete", "failed", "stalled", "diverged", "out_of_memory", "infeasible"])
# An old lease is as good a choice as a new one, but the newest is where most things happen.
CHOICE = st.integers(0, 7)
RETRIES = st.integers(0, 2)
PRUNERS = st.sampled_from([{"kind": "none"}, {"kind": "asha", "min_resource": 1, "reduction_factor": ETA}])
# Most studies live long enough for something to happen to their trials.
_NEVER = [None] * 5
BUDGETS = st.fixed_dictionaries(
    {
        "max_trials": st.integers(2, 6),
        "max_epochs": st.integers(2, 5),
        "max_total_epochs": st.sampled_from([*_NEVER, 4, 9]),
        "max_seconds": st.sampled_from([*_NEVER, 400.0]),
        "max_trial_seconds": st.sampled_from([*_NEVER, 70.0]),
        "max_parallel": st.sampled_from([None, 1, 2, 3]),
        "target": st.sampled_from([*_NEVER, 0.1]),
    }
)


Draw = Callable[..., Any]
# How often each action is tried, relative to the others, while it is possible.
ACTIONS = {
    "begin_again": 20,
    "claim": 6,
    "claim_after_a_crash": 2,
    "claim_again": 2,
    "train": 6,
    "report": 2,
    "report_again": 2,
    "contradict": 3,
    "finish": 5,
    "release": 4,
    "heartbeat": 2,
    "jump": 1,
    "wait": 4,
    "restart_service": 1,
    "enqueue": 1,
    "stop_trial": 1,
    "retry_trial": 3,
    "pause": 1,
    "resume": 2,
    "stop_study": 1,
    "edit": 2,
}
DECISIONS = ("continue", "pause", "stop")
NEED_A_LEASE = {"train"}
NEED_AN_EPOCH = {"report_again", "contradict"}
NEED_A_PAST = {"claim_again", "report", "finish", "release", "heartbeat", "stop_trial", "retry_trial"}


class LeaseProtocol(RuleBasedStateMachine):
    """The service and the model, driven side by side."""

    wire: Wire

    @initialize(budget=BUDGETS, retries=RETRIES, num_workers=st.integers(1, 3), pruner=PRUNERS)
    def begin(self, budget: dict[str, Any], retries: int, num_workers: int, pruner: dict[str, Any]) -> None:
        """Create a study and workers that nobody else knows."""
        self.wire.tick()
        self.name = self.wire.study(retries=retries, budget=budget, pruner=pruner)
        self.workers = [self.wire.worker(self.name, name=f"w{index}") for index in range(num_workers)]
        self.names = {worker: f"w{index}" for index, worker in enumerate(self.workers)}
        self.model = Study(
            budget, retries, created_at=self.wire.clock.now, now=self.wire.clock.now, ticked_at=self.wire.clock.now
        )
        self.model.has_rungs = pruner["kind"] == "asha"
        self.requests: list[tuple[str, str]] = []
        self.tokens: set[str] = set()

    @rule(data=st.data())
    def act(self, data: st.DataObject) -> None:
        """Somebody does something that is possible now."""
        possible = [name for name, weight in ACTIONS.items() for _ in range(weight) if self._can(name)]
        getattr(self, data.draw(st.sampled_from(possible), label="action"))(data.draw)

    def _can(self, action: str) -> bool:
        if action == "begin_again":
            return self.model.has_ended
        if action in NEED_A_LEASE:
            return bool(self.model.running())
        if action in NEED_AN_EPOCH:
            return any(lease.epochs for lease in self.model.leases)
        if action in NEED_A_PAST:
            return bool(self.model.leases)
        return action != "stop_study" or len(self.model.leases) > 7

    def begin_again(self, draw: Draw) -> None:
        """The study has ended; a new one begins."""
        self._look_at_everything()
        self.begin(draw(BUDGETS), draw(RETRIES), draw(st.integers(1, 3)), draw(PRUNERS))

    def claim(self, draw: Draw) -> None:
        """A worker asks for trials."""
        self._ask(draw(st.sampled_from(self.workers)), draw(st.integers(1, 3)))

    def claim_after_a_crash(self, draw: Draw) -> None:
        """A worker that was restarted asks for trials and knows of none."""
        self._ask(draw(st.sampled_from(self.workers)), draw(st.integers(1, 3)), is_forgetful=True)

    def claim_again(self, draw: Draw) -> None:
        """A worker did not hear the answer and repeats its request."""
        worker, request = self.requests[-1 - draw(CHOICE) % len(self.requests)]
        self._claim(worker, request, draw(st.integers(1, 3)), self._held(worker))

    def train(self, draw: Draw) -> None:
        """A worker reports the next epochs of a trial that it holds."""
        lease = draw(st.sampled_from(self.model.running())).leases[-1]
        first = max(lease.trial.curve, default=0) + 1
        values = draw(st.lists(VALUES, min_size=1, max_size=3))
        items = [(lease, epoch, value) for epoch, value in enumerate(values, start=first)]
        self._report(items, are_kept=draw(st.booleans()))

    def report(self, draw: Draw) -> None:
        """Workers report any epochs of leases old and new."""
        num = draw(st.integers(1, 4))
        leases = [self._lease(draw) for _ in range(num)]
        # Epochs that the attempt does not train are not its to report.
        firsts = [lease.assignment["first_epoch"] for lease in leases]
        self._report(
            [(lease, max(first, draw(EPOCHS)), draw(VALUES)) for lease, first in zip(leases, firsts, strict=True)]
        )

    def report_again(self, draw: Draw) -> None:
        """A worker repeats what it reported of a lease, old or new."""
        lease = self._lease(draw, [lease for lease in self.model.leases if lease.epochs])
        self._report(list(self._epochs(lease)))

    def contradict(self, draw: Draw) -> None:
        """A worker reports other values for epochs that are stored."""
        lease = self._lease(draw, [lease for lease in self.model.leases if lease.epochs])
        self._report([(lease, epoch, value + 0.01) for lease, epoch, value in self._epochs(lease)])

    def finish(self, draw: Draw) -> None:
        """A worker says how a training ended, perhaps long after it lost it."""
        self._finish(self._lease(draw), draw(OUTCOMES))

    def release(self, draw: Draw) -> None:
        """A worker gives a trial back, perhaps not for the first time."""
        lease, is_missing = self._lease(draw), draw(st.booleans())
        answer = self.wire.release(lease.assignment, is_checkpoint_missing=is_missing)
        assert self._code(answer) == self.model.release(lease, is_checkpoint_missing=is_missing)

    def heartbeat(self, draw: Draw) -> None:
        """A worker renews leases, perhaps some that are not its own."""
        worker = draw(st.sampled_from(self.workers))
        num = draw(st.integers(0, 3))
        leases = list(dict.fromkeys([*self._held(worker), *(self._lease(draw) for _ in range(num))]))
        lost = self.wire.heartbeat(worker, *[lease.assignment for lease in leases])
        assert lost == [lease.assignment["lease"] for lease in self.model.heartbeat(worker, leases)]

    def jump(self, draw: Draw) -> None:
        """Time passes while the service is too busy to notice."""
        self._pass(draw(st.sampled_from([1.0, 10.0, 40.0])))

    def wait(self, draw: Draw) -> None:
        """Time passes while the background loop goes round."""
        self._wait(draw(st.integers(1, 4)))

    def restart_service(self, _draw: Draw) -> None:
        """The service goes down and comes up again."""
        self.wire.restart()
        self.model.ticked_at = None
        self.model.tick()

    def enqueue(self, draw: Draw) -> None:
        """A person adds a configuration."""
        body = {"params": {"x": draw(st.sampled_from([0.25, 0.75]))}}
        status, answer = self.wire.ask("POST", f"/studies/{self.name}/trials", body)
        if self.model.has_ended or self.model.limit() is not None:
            assert answer["code"] == "state_conflict"
        else:
            assert status == 201
            self.model.add("enqueued").trial_id = answer["trial_id"]

    def stop_trial(self, draw: Draw) -> None:
        """A person cancels a trial."""
        trial = draw(st.sampled_from(self.model.trials))
        answer = self.wire.post(f"/trials/{trial.trial_id}:stop")
        self.model.stop_trial(trial)
        assert answer["state"] == trial.state

    def retry_trial(self, draw: Draw) -> None:
        """A person lets a trial run again."""
        trial = draw(st.sampled_from(self.model.trials))
        status, answer = self.wire.ask("POST", f"/trials/{trial.trial_id}:retry")
        assert answer["state" if status == 200 else "code"] == self.model.retry_trial(trial)

    def pause(self, _draw: Draw) -> None:
        """A person pauses the study."""
        self._steer("pause", "paused")

    def resume(self, _draw: Draw) -> None:
        """A person resumes the study."""
        self._steer("resume", "running")

    def stop_study(self, _draw: Draw) -> None:
        """A person ends the study."""
        self.wire.post(f"/studies/{self.name}:stop")
        if not self.model.has_ended:
            self.model.end("stopped", "stopped")

    def edit(self, draw: Draw) -> None:
        """A person changes a limit."""
        change = draw(
            st.sampled_from([{"max_parallel": 1}, {"max_parallel": None}, {"max_trials": 6}, {"max_trials": 2}])
        )
        status, _ = self.wire.ask("PATCH", f"/studies/{self.name}", {"budget": change})
        assert status == (409 if self.model.has_ended else 200)
        if status == 200:
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
            self._steer("resume", "running")
        for _ in range(100):
            if self.model.state != "running":
                break
            self._wait(4)
            self._ask(self.workers[0], 3)
            for trial in self.model.running():
                lease = trial.leases[-1]
                self._report([(lease, epoch, 0.2) for epoch in range(1, 6) if epoch not in trial.curve], are_kept=True)
                self._finish(lease, "complete")
        assert self.model.state != "running"
        self._look_at_everything()

    def _claim(self, worker: str, request: str, num: int, known: list[Lease]) -> None:
        tokens = [lease.assignment["lease"] for lease in known]
        body = {"request_id": request, "max_trials": num, "leases": tokens}
        assigned = self.wire.post(f"/workers/{worker}:claim", body)["assigned"]
        expected = self.model.claim(worker, request, num, known)
        assert [(entry["number"], entry["attempt"]) for entry in assigned] == [
            (lease.trial.number, lease.attempt) for lease in expected
        ]
        for lease, entry in zip(expected, assigned, strict=True):
            assert entry["first_epoch"] == max(lease.kept, default=0) + 1
            assert (entry["checkpoint"] or {}).get("epoch") == max(lease.kept, default=None)
        for lease, entry in zip(expected, assigned, strict=True):
            assert not lease.assignment or lease.assignment == entry | {"max_epochs": lease.assignment["max_epochs"]}
            assert lease.assignment or entry["lease"] not in self.tokens
            self.tokens.add(entry["lease"])
            lease.assignment, lease.trial.trial_id = entry, entry["trial_id"]
            first = lease.trial.leases[0].assignment
            assert (entry["params"], entry["seed"]) == (first["params"], first["seed"])

    def _report(self, items: list[tuple[Lease, int, float]], *, are_kept: bool = False) -> None:
        told = [item(lease.assignment, epoch, value) for lease, epoch, value in items]
        body = {"items": [entry | {"checkpoint": are_kept} for entry in told]}
        self.model.look()
        status, answer = self.wire.ask("POST", "/measurements", body)
        expected = [
            (lease.trial.trial_id, epoch, self.model.report(lease, epoch, value, is_kept=are_kept))
            for lease, epoch, value in items
        ]
        decided = {trial_id: said for trial_id, _, said in expected if said in DECISIONS}
        refused = [entry for entry in expected if entry[2] not in DECISIONS]
        if not decided:
            assert answer["code"] == expected[0][2]
            return
        assert status == 200
        assert {entry["trial_id"]: entry["decision"] for entry in answer["decisions"]} == decided
        assert [(entry["trial_id"], entry["epoch"], entry["code"]) for entry in answer["rejected"]] == refused

    def _lease(self, draw: Draw, leases: list[Lease] | None = None) -> Lease:
        # Half of the time one that somebody holds, else any of the newest.
        among = self.model.leases if leases is None else leases
        held = [lease for lease in among if lease.end is None] if draw(st.booleans()) else []
        lease: Lease = (held or among)[-1 - draw(CHOICE) % len(held or among)]
        return lease

    def _held(self, worker: str) -> list[Lease]:
        return [lease for lease in self.model.leases if lease.end is None and lease.worker == worker]

    @staticmethod
    def _epochs(lease: Lease) -> Iterator[tuple[Lease, int, float]]:
        for epoch, value in sorted(lease.epochs.items()):
            yield lease, epoch, value

    def _ask(self, worker: str, num: int, *, is_forgetful: bool = False) -> None:
        self.requests.append((worker, f"{self.name}-{len(self.requests)}"))
        self._claim(*self.requests[-1], num, [] if is_forgetful else self._held(worker))

    def _finish(self, lease: Lease, outcome: str) -> None:
        assert self._code(self.wire.finish(lease.assignment, outcome)) == self.model.finish(lease, outcome)

    def _pass(self, seconds: float) -> None:
        self.wire.clock.advance(seconds)
        self.model.now = self.wire.clock.now

    def _wait(self, rounds: int) -> None:
        for _ in range(rounds):
            self._pass(LEASE_TTL_S / 3)
            self.wire.tick()
            self.model.tick()

    def _steer(self, verb: str, state: str) -> None:
        status, _ = self.wire.ask("POST", f"/studies/{self.name}:{verb}")
        assert status == (409 if self.model.has_ended else 200)
        if status == 200:
            self.model.state = state
            self.model.settle()

    def _look_at_everything(self) -> None:
        self.the_service_stands_where_the_model_stands()
        for trial in self.model.trials:
            self._look_at(trial)

    def _look_at(self, trial: Trial) -> None:
        told = self.wire.get(f"/trials/{trial.trial_id}")
        assert [(entry["attempt"], entry["worker_id"], entry["end"]) for entry in told["attempts"]] == [
            (lease.attempt, lease.worker, lease.end) for lease in trial.leases
        ]
        every = sorted((lease.attempt, epoch, value) for lease in trial.leases for epoch, value in lease.epochs.items())
        assert sorted(self.wire.stored(trial.trial_id, attempts="all")) == every
        newest = [(attempt, epoch, value) for epoch, (attempt, value) in sorted(trial.told.items())]
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
    ("kind", "max_examples"), [("sqlite", 15), pytest.param("postgres", 8, marks=pytest.mark.postgres)]
)
def test_the_service_keeps_the_rules_whatever_happens(
    databases: Databases, monkeypatch: pytest.MonkeyPatch, kind: str, max_examples: int
) -> None:
    with running(databases.ready(kind), monkeypatch) as wire:
        machine = type("LeaseProtocol", (LeaseProtocol,), {"wire": wire})
        longest = settings(max_examples=max_examples, stateful_step_count=40)
        run_state_machine_as_test(machine, settings=longest)
