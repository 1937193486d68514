"""A service of the worker wire in this process, for tests: real HTTP, real leases, no search and no database."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

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
from caviar.contract.states import Decision, TrialState, WorkerMode
from caviar.contract.study import Metric, ObjectiveRef
from caviar.contract.views import ArtifactView

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
    last_lease: str | None = None
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    weights: tuple[int, bytes] | None = None


class Service:
    """The state of the service, and the rules of the wire."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.trials: dict[int, Trial] = {}
        self.workers: dict[str, RegisterWorker] = {}
        self.log: list[tuple[str, Any]] = []
        self.is_away = False
        self.lease_ttl_s = 30.0
        self.mode = WorkerMode.WORKING
        self.decide: Callable[[int, int], Decision] = lambda _trial_id, _epoch: Decision.CONTINUE
        self._answers: dict[str, Claimed] = {}
        self.url = ""
        self.keep_weights: set[int] = set()
        self.refuse_files: CaviarError | None = None
        self.is_hanging_up = False
        self.may_take_files = threading.Event()
        self.may_take_files.set()

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
        found = trial.checkpoints.get(epoch)
        told = {} if found is None else {"size_bytes": len(found), "sha256": hashlib.sha256(found).hexdigest()}
        checkpoint = Checkpoint.model_validate({"epoch": epoch, **told}) if epoch else None
        start = {"first_epoch": epoch + 1, "checkpoint": checkpoint}
        trial.assignment = trial.assignment.model_copy(update=start)

    def handle(self, path: str, authorization: str, body: bytes) -> View:
        """Answer a request, or raise what its answer is."""
        with self.changed:
            self._check(authorization)
            self.log.append((path, json.loads(body)))
            try:
                return self._route(path, body)
            finally:
                self.changed.notify_all()

    def put_file(self, path: str, authorization: str, headers: Mapping[str, str], body: bytes) -> View:
        """Store a checkpoint or weights, or raise what the answer is."""
        assert self.may_take_files.wait(DEADLINE_S)
        with self.changed:
            self._check(authorization)
            self.log.append((f"PUT {path}", {"num_bytes": len(body), **headers}))
            if self.refuse_files is not None:
                raise self.refuse_files
            trial, epoch = self._file(path, headers["Caviar-Lease"])
            sha256 = hashlib.sha256(body).hexdigest()
            if sha256 != headers["Caviar-SHA256"]:
                raise InvalidRequest("the digest is another one")
            if epoch is None:
                epoch = int(headers["Caviar-Epoch"])
                trial.weights = (epoch, body)
                kind: Literal["weights", "checkpoint"] = "weights"
            else:
                trial.checkpoints[epoch] = body
                kind = "checkpoint"
            self.changed.notify_all()
            now = datetime.now(UTC)
            return ArtifactView(kind=kind, epoch=epoch, size_bytes=len(body), sha256=sha256, created_at=now)

    def get_file(self, path: str, authorization: str, headers: Mapping[str, str]) -> bytes:
        """A checkpoint, or raise what the answer is."""
        with self.changed:
            self._check(authorization)
            self.log.append((f"GET {path}", {}))
            trial, epoch = self._file(path, headers["Caviar-Lease"])
            if epoch not in trial.checkpoints:
                raise NotFound(f"no checkpoint of epoch {epoch}")
            return trial.checkpoints[epoch]

    def _file(self, path: str, lease: str) -> tuple[Trial, int | None]:
        _trials, key, kind, *rest = path.removeprefix(PREFIX + "/").split("/")
        trial = self.trials[int(key)]
        if lease != (trial.lease if kind == "checkpoints" else trial.lease or trial.last_lease):
            raise LeaseLost(f"trial {key} is not yours")
        return trial, int(rest[0]) if kind == "checkpoints" else None

    def _check(self, authorization: str) -> None:
        if self.is_away:
            raise Unavailable("away")
        if authorization != f"Bearer {TOKEN}":
            raise Unauthorized("no valid access token")

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
            self._answers[claim.request_id] = Claimed(
                assigned=[self._give(t) for t in given], retry_after_s=0.05, mode=self.mode
            )
        return self._answers[claim.request_id]

    def _waiting(self) -> list[Trial]:
        if self.mode is not WorkerMode.WORKING:
            return []
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
        return HeartbeatAnswer(lost=[lease for lease in beat.leases if lease not in held], discard=done, mode=self.mode)

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
            trial.lease, trial.last_lease = None, trial.lease
            trial.state = TrialState.PRUNED if decision is Decision.STOP else TrialState.PAUSED
        return TrialDecision(
            trial_id=item.trial_id,
            decision=decision,
            reason=None if decision is Decision.CONTINUE else "pruned",
            keep_weights=decision is Decision.STOP and item.trial_id in self.keep_weights,
        )

    def _end(self, trial: Trial, ending: Finish | Release) -> TrialStatus:
        if trial.lease != ending.lease:
            raise LeaseLost(f"trial {trial.assignment.trial_id} is not yours")
        trial.lease, trial.last_lease = None, trial.lease
        if isinstance(ending, Finish):
            trial.finish = ending
            trial.state = TrialState.COMPLETE if ending.outcome == "complete" else TrialState.FAILED
        else:
            trial.num_releases += 1
            trial.state = TrialState.WAITING
            if ending.is_checkpoint_missing:
                self._begin_after(trial, 0)
        trial_id = trial.assignment.trial_id
        is_kept = isinstance(ending, Finish) and trial_id in self.keep_weights
        return TrialStatus(trial_id=trial_id, state=trial.state, keep_weights=is_kept)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        service, body = self.server.service, self._body()
        self._answer(200, lambda: service.handle(self.path, self._token(), body).model_dump_json().encode())

    def do_PUT(self) -> None:
        if self.server.service.is_hanging_up:
            self.close_connection = True
            return
        service, body, headers = self.server.service, self._body(), self._caviar()
        self._answer(201, lambda: service.put_file(self.path, self._token(), headers, body).model_dump_json().encode())

    def do_GET(self) -> None:
        service, headers = self.server.service, self._caviar()
        self._answer(200, lambda: service.get_file(self.path, self._token(), headers))

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _token(self) -> str:
        return str(self.headers.get("Authorization", ""))

    def _caviar(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.startswith("Caviar-")}

    def _answer(self, status: int, act: Callable[[], bytes]) -> None:
        try:
            content, kind = act(), "application/json"
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
