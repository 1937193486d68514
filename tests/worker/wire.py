"""A service of the worker wire in this process, for tests: real HTTP, real leases, no search and no database."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from caviar.contract.errors import (
    CaviarError,
    InvalidRequest,
    LeaseLost,
    NotFound,
    ReportConflict,
    Unauthorized,
    Unavailable,
)
from caviar.contract.messages import (
    Assignment,
    Checkpoint,
    Claim,
    Claimed,
    Finish,
    Heartbeat,
    HeartbeatAnswer,
    Measurement,
    RegisterWorker,
    Rejected,
    Release,
    Report,
    ReportAnswer,
    TrialDecision,
    TrialStatus,
    WorkerRegistered,
)
from caviar.contract.model import View
from caviar.contract.states import Decision, TrialState
from caviar.contract.study import Metric, ObjectiveRef

PREFIX = "/api/v1"
TOKEN = "a-token-for-tests"
DEADLINE_S = 120.0


def assignment(trial_id: int = 1, **changes: Any) -> Assignment:
    """An assignment of the tests' own objective, with changes."""
    values: dict[str, Any] = {
        "trial_id": trial_id,
        "study": "tests",
        "number": trial_id - 1,
        "attempt": 1,
        "lease": f"lease-{trial_id}-1",
        "lease_ttl_s": 30.0,
        "params": {},
        "seed": 7,
        "data_seed": 3,
        "objective": ObjectiveRef(name="Line"),
        "metric": Metric(),
        "first_epoch": 1,
        "max_epochs": 3,
        "max_trial_seconds": None,
        "early_stopping": None,
    }
    return Assignment(**{**values, **changes})


def measurement(
    trial_id: int = 1, epoch: int = 1, *, lease: str | None = None, value: float = 0.5, checkpoint: bool = False
) -> Measurement:
    """A measurement of a trial."""
    return Measurement(
        trial_id=trial_id,
        lease=lease or f"lease-{trial_id}-1",
        epoch=epoch,
        metrics={"val_loss": value},
        elapsed_s=float(epoch),
        checkpoint=checkpoint,
    )


@dataclass
class Trial:
    """What the service keeps of a trial; `lease` is None when nobody holds it."""

    assignment: Assignment
    state: TrialState = TrialState.WAITING
    lease: str | None = None
    epochs: dict[int, dict[str, float]] = field(default_factory=dict)
    finish: Finish | None = None
    num_releases: int = 0
    checkpoint_epoch: int | None = None


class Service:
    """The state of the service, and the rules of the wire."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.trials: dict[int, Trial] = {}
        self.workers: dict[str, RegisterWorker] = {}
        self.log: list[tuple[str, Any]] = []
        self.is_away = False
        self.lease_ttl_s = 30.0
        self.decide: Callable[[int, int], Decision] = lambda _trial_id, _epoch: Decision.CONTINUE
        self._answers: dict[str, Claimed] = {}
        self.url = ""

    def add(self, **changes: Any) -> Trial:
        """Add a trial that waits for a worker."""
        with self.changed:
            trial = Trial(assignment(len(self.trials) + 1, **changes))
            self.trials[trial.assignment.trial_id] = trial
            self.changed.notify_all()
            return trial

    def wait_for(self, predicate: Callable[[], object], what: str) -> None:
        """Wait until something is true that a request brings about."""
        with self.changed:
            assert self.changed.wait_for(predicate, DEADLINE_S), f"waited in vain for {what}; got {self.log[-5:]}"

    def expire(self, trial: Trial) -> None:
        """Take a trial away from its worker, as after the end of its lease."""
        with self.changed:
            trial.lease, trial.state = None, TrialState.WAITING
            self.changed.notify_all()

    def promote(self, trial: Trial) -> None:
        """Let a paused trial go on from its checkpoint."""
        with self.changed:
            assert trial.state is TrialState.PAUSED
            assert trial.checkpoint_epoch is not None
            self._begin_after(trial, trial.checkpoint_epoch)
            trial.state = TrialState.WAITING
            self.changed.notify_all()

    @staticmethod
    def _begin_after(trial: Trial, epoch: int) -> None:
        trial.epochs = {number: metrics for number, metrics in trial.epochs.items() if number <= epoch}
        start = {"first_epoch": epoch + 1, "checkpoint": Checkpoint(epoch=epoch) if epoch else None}
        trial.assignment = trial.assignment.model_copy(update=start)

    def handle(self, path: str, authorization: str, body: bytes) -> View:
        """Answer a request, or raise what its answer is."""
        with self.changed:
            if self.is_away:
                raise Unavailable("away")
            if authorization != f"Bearer {TOKEN}":
                raise Unauthorized("no valid access token")
            self.log.append((path, json.loads(body)))
            try:
                return self._route(path, body)
            finally:
                self.changed.notify_all()

    def _route(self, path: str, body: bytes) -> View:
        parts = path.removeprefix(PREFIX + "/").split("/")
        if parts == ["workers"]:
            worker_id = f"worker-{len(self.workers) + 1}"
            self.workers[worker_id] = RegisterWorker.model_validate_json(body)
            return WorkerRegistered(worker_id=worker_id, lease_ttl_s=self.lease_ttl_s)
        if parts == ["measurements"]:
            return self._report(Report.model_validate_json(body))
        key, _, verb = parts[1].partition(":")
        if parts[0] == "workers":
            if key not in self.workers:
                raise NotFound(f"no worker {key}")
            if verb == "claim":
                return self._claim(Claim.model_validate_json(body))
            return self._heartbeat(Heartbeat.model_validate_json(body))
        if int(key) not in self.trials:
            raise NotFound(f"no trial {key}")
        ending = Finish.model_validate_json(body) if verb == "finish" else Release.model_validate_json(body)
        return self._end(self.trials[int(key)], ending)

    def _claim(self, claim: Claim) -> Claimed:
        if claim.request_id not in self._answers:
            self.changed.wait_for(lambda: self.is_away or self._waiting(), claim.wait_s)
            given = self._waiting()[: claim.max_trials]
            self._answers[claim.request_id] = Claimed(assigned=[self._give(t) for t in given], retry_after_s=0.05)
        return self._answers[claim.request_id]

    def _waiting(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.state is TrialState.WAITING]

    def _give(self, trial: Trial) -> Assignment:
        attempt = trial.assignment.attempt + (trial.lease is not None or bool(trial.epochs))
        trial.lease = f"lease-{trial.assignment.trial_id}-{time.monotonic_ns()}"
        trial.state = TrialState.RUNNING
        trial.assignment = trial.assignment.model_copy(update={"lease": trial.lease, "attempt": attempt})
        self._begin_after(trial, trial.assignment.first_epoch - 1)
        return trial.assignment

    def _heartbeat(self, beat: Heartbeat) -> HeartbeatAnswer:
        held = {trial.lease for trial in self.trials.values()}
        done = [number for number in beat.checkpoints if self._is_over(number)]
        return HeartbeatAnswer(lost=[lease for lease in beat.leases if lease not in held], discard=done)

    def _is_over(self, trial_id: int) -> bool:
        return trial_id not in self.trials or self.trials[trial_id].state.is_finished

    def _report(self, report: Report) -> ReportAnswer:
        refused: list[tuple[Measurement, CaviarError]] = []
        decisions: dict[int, TrialDecision] = {}
        for item in report.items:
            try:
                decisions[item.trial_id] = self._measure(item)
            except CaviarError as error:
                refused.append((item, error))
        if not decisions:
            raise refused[0][1]
        return ReportAnswer(
            decisions=list(decisions.values()),
            rejected=[
                Rejected(trial_id=item.trial_id, epoch=item.epoch, code=error.code, detail=error.detail)
                for item, error in refused
            ],
        )

    def _measure(self, item: Measurement) -> TrialDecision:
        trial = self.trials.get(item.trial_id)
        if trial is None or trial.lease != item.lease:
            raise LeaseLost(f"trial {item.trial_id} is not yours")
        if trial.assignment.metric.name not in item.metrics:
            raise InvalidRequest("the study's metric is missing")
        if trial.epochs.setdefault(item.epoch, item.metrics) != item.metrics:
            raise ReportConflict(f"epoch {item.epoch} has other metrics")
        decision = self.decide(item.trial_id, item.epoch)
        if decision is Decision.PAUSE:
            assert item.checkpoint, f"trial {item.trial_id} was to be paused without a checkpoint"
            trial.checkpoint_epoch = item.epoch
        if decision is not Decision.CONTINUE:
            trial.lease = None
            trial.state = TrialState.PRUNED if decision is Decision.STOP else TrialState.PAUSED
        return TrialDecision(
            trial_id=item.trial_id, decision=decision, reason=None if decision is Decision.CONTINUE else "pruned"
        )

    def _end(self, trial: Trial, ending: Finish | Release) -> TrialStatus:
        if trial.lease != ending.lease:
            raise LeaseLost(f"trial {trial.assignment.trial_id} is not yours")
        trial.lease = None
        if isinstance(ending, Finish):
            trial.finish = ending
            trial.state = TrialState.COMPLETE if ending.outcome == "complete" else TrialState.FAILED
        else:
            trial.num_releases += 1
            trial.state = TrialState.WAITING
            if ending.is_checkpoint_missing:
                self._begin_after(trial, 0)
        return TrialStatus(trial_id=trial.assignment.trial_id, state=trial.state)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            answer = self.server.service.handle(self.path, self.headers.get("Authorization", ""), body)
            status, content, kind = 200, answer.model_dump_json().encode(), "application/json"
        except CaviarError as error:
            status, content, kind = error.status, json.dumps(error.problem()).encode(), "application/problem+json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        return


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, service: Service) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service


@contextmanager
def served() -> Iterator[Service]:
    """A service that listens on a free port of this machine."""
    service = Service()
    server = Server(service)
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
