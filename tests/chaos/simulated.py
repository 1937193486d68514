"""A worker that makes up its trainings and speaks the worker protocol as the real one does: a process of its own.

It needs no more than Python's own library, so that dozens of them start in a moment. What it cannot deliver it keeps
and delivers later, also after it was killed and started again: its diary is its outbox.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import signal
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.diary import Diary, entries
from tests.chaos.training import OBJECTIVE, Run, checkpoint, fate, is_checkpoint_of, leftovers
from tests.chaos.wire import Broken, Wire

_CLAIM_WAIT_S = 1.0
_FLUSH_S = 4.0
_LONGEST_PAUSE_S = 1.5
_MAX_ITEMS = 200
# Not the request is at fault, or the operator mends it: it is repeated.
_REPEATED = frozenset({401, 403, 408, 425, 429})
_NO_ROOM = 507


class Refused(Exception):
    """The service will not do this, however often it is asked."""

    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.code = str(body.get("code", status)) if isinstance(body, dict) else str(status)
        super().__init__(f"{status} {self.code}")


@dataclass(frozen=True)
class Habits:
    """How a worker behaves.

    Attributes:
        name: For people, and of its diary.
        slots: Trainings at the same time.
        epoch_s: Mean seconds of an epoch.
        seed: Of its chance.
    """

    name: str
    slots: int
    epoch_s: float
    seed: int


class SimulatedWorker:
    """Claims, trains, reports, and keeps alive, until it is told to stop."""

    def __init__(self, habits: Habits, wire: Wire, diary: Diary, left_over: Sequence[Run] = ()) -> None:
        self._habits = habits
        self._wire = wire
        self._diary = diary
        self._chance = random.Random(habits.seed)
        self._runs = {run.lease: run for run in left_over}
        self._worker_id: str | None = None
        self._lease_ttl_s = 3.0
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._stopping = asyncio.Event()
        self._trainings: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """End gracefully: trials are given back."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until told to stop, then deliver what is left for some seconds."""
        sender = asyncio.create_task(self._send())
        others = [asyncio.create_task(self._claim()), asyncio.create_task(self._beat())]
        await self._stopping.wait()
        for task in (*others, *self._trainings):
            task.cancel()
        await asyncio.gather(*others, *self._trainings, return_exceptions=True)
        for run in list(self._runs.values()):
            self._end(run, "release")
        try:
            async with asyncio.timeout(_FLUSH_S):
                while self._runs:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            pass
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)

    async def _call(self, verb: str, path: str, body: object, *, timeout_s: float = 5.0) -> Any:
        return (await self._ask(verb, path, body, timeout_s=timeout_s))[0]

    async def _ask(self, verb: str, path: str, body: object, *, timeout_s: float = 5.0) -> tuple[Any, float]:
        """Send a request until it is answered.

        Returns:
            The answer, and when the request that it answers was sent.
        Raises:
            Refused: The answer is no.
        """
        pause_s = 0.1
        while True:
            sent_at = time.monotonic()
            try:
                status, answer = await self._wire.call(verb, path, body, timeout_s=timeout_s)
            except Broken:
                status, answer = 503, None
            if status < 300 and answer is not None:
                return answer, sent_at
            if status < 500 and status not in _REPEATED:
                raise Refused(status, answer)
            await asyncio.sleep(pause_s * (0.5 + self._chance.random() / 2))
            pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)

    async def _member(self) -> str:
        if self._worker_id is None:
            body = {
                "name": self._habits.name,
                "host": "chaos",
                "slots": self._habits.slots,
                "objectives": [{"name": OBJECTIVE}],
            }
            answer = await self._call("POST", "/workers", body)
            self._worker_id, self._lease_ttl_s = str(answer["worker_id"]), float(answer["lease_ttl_s"])
        return self._worker_id

    async def _claim(self) -> None:
        while True:
            free = self._habits.slots - len(self._trainings)
            if free <= 0:
                await asyncio.wait(self._trainings, return_when=asyncio.FIRST_COMPLETED)
                continue
            body = {"request_id": uuid.uuid4().hex, "max_trials": free, "wait_s": _CLAIM_WAIT_S, "leases": self._held()}
            try:
                path = f"/workers/{await self._member()}:claim"
                answer = await self._call("POST", path, body, timeout_s=_CLAIM_WAIT_S + 5.0)
            except Refused as refusal:
                self._worker_id = None if refusal.status == 404 else self._worker_id
                await asyncio.sleep(0.2)
                continue
            for assignment in answer["assigned"]:
                self._accept(assignment)
            if not answer["assigned"]:
                await asyncio.sleep(min(1.0, float(answer["retry_after_s"])))

    def _held(self) -> list[str]:
        return [run.lease for run in self._runs.values() if not run.is_left_over]

    def _accept(self, assignment: dict[str, Any]) -> None:
        if assignment["lease"] in self._runs:
            return
        facts = {name: assignment[name] for name in ("trial_id", "attempt", "lease", "study", "first_epoch")}
        self._diary.write({"what": "claimed", **facts, "assignment": assignment})
        run = self._runs[assignment["lease"]] = Run(assignment)
        training = asyncio.create_task(self._train(run))
        self._trainings.add(training)
        training.add_done_callback(self._trainings.discard)

    async def _train(self, run: Run) -> None:
        told, first = run.assignment, int(run.assignment["first_epoch"])
        if told["checkpoint"] is not None and not await self._fetch(run):
            self._end(run, "release", is_checkpoint_missing=True)
            return
        last, outcome = fate(self._chance, first, int(told["max_epochs"]))
        for epoch in range(first, last + 1):
            await asyncio.sleep(self._habits.epoch_s * (0.3 + 1.4 * self._chance.random()))
            if run.is_over:
                return
            every = told["checkpoint_every_epochs"]
            is_due = epoch in told["checkpoint_epochs"] or (every is not None and epoch % every == 0)
            is_kept = is_due and await self._keep(run, epoch)
            if run.is_over:
                return
            item = run.measurement(epoch, checkpoint=is_kept, is_last=epoch == last and outcome == "complete")
            self._diary.write({"what": "measured", "lease": run.lease, "epoch": epoch, "item": item})
            run.pending.append(item)
            self._news.set()
        error = {"kind": "MadeUp", "message": f"it was to become {outcome}", "traceback": ""}
        self._end(run, "finish", outcome=outcome, error=None if outcome == "complete" else error)

    def _end(self, run: Run, kind: str, **facts: Any) -> None:
        if run.ending is None:
            run.end(kind, **facts)
            assert run.ending is not None
            self._diary.write({"what": "ending", "lease": run.lease, "kind": kind, "body": run.ending[1]})
        self._news.set()

    def _drop(self, run: Run, why: str) -> None:
        run.is_over = True
        if self._runs.pop(run.lease, None) is not None:
            self._diary.write({"what": "over", "lease": run.lease, "why": why})
        self._settled.set()

    async def _keep(self, run: Run, epoch: int) -> bool:
        content = checkpoint(run.assignment, epoch, self._chance)
        digest = hashlib.sha256(content).hexdigest()
        headers = {
            "Content-Type": "application/octet-stream",
            "Caviar-Lease": run.lease,
            "Caviar-SHA256": digest,
        }
        path = f"/trials/{run.trial_id}/checkpoints/{epoch}"
        self._diary.write({"what": "file", "lease": run.lease, "epoch": epoch, "sha256": digest})
        while not run.is_over:
            try:
                answer = await self._wire.send("PUT", path, content, headers=headers)
            except Broken:
                await asyncio.sleep(0.3)
                continue
            if answer.status < 300:
                self._diary.write({"what": "filed", "lease": run.lease, "epoch": epoch, "sha256": digest})
                return True
            if answer.status in (404, 410):
                self._drop(run, f"a file was refused: {answer.status}")
            elif answer.status == _NO_ROOM or (answer.status < 500 and answer.status not in _REPEATED):
                return False
            else:
                await asyncio.sleep(0.3)
        return False

    async def _fetch(self, run: Run) -> bool:
        told = run.assignment["checkpoint"]
        path = f"/trials/{run.trial_id}/checkpoints/{told['epoch']}"
        while not run.is_over:
            try:
                answer = await self._wire.send("GET", path, headers={"Caviar-Lease": run.lease})
            except Broken:
                await asyncio.sleep(0.3)
                continue
            if answer.status == 200:
                is_whole = hashlib.sha256(answer.body).hexdigest() == told["sha256"]
                is_right = is_whole and is_checkpoint_of(answer.body, run.trial_id, told["epoch"])
                self._diary.write({"what": "fetched", "lease": run.lease, "epoch": told["epoch"], "is_right": is_right})
                return is_right
            if answer.status == 410:
                self._drop(run, "a file was refused: 410")
            elif answer.status < 500 and answer.status not in _REPEATED:
                return False
            else:
                await asyncio.sleep(0.3)
        return False

    async def _beat(self) -> None:
        while True:
            try:
                path = f"/workers/{await self._member()}:heartbeat"
                answer = await self._call("POST", path, {"leases": self._held()})
            except Refused as refusal:
                self._worker_id = None if refusal.status == 404 else self._worker_id
                await asyncio.sleep(0.2)
                continue
            for lease in answer["lost"]:
                if lease in self._runs:
                    self._drop(self._runs[lease], "lost, said a heartbeat")
            await asyncio.sleep(self._lease_ttl_s / 3)

    async def _send(self) -> None:
        self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            while items := self._letters():
                await self._report(items)
            for run in list(self._runs.values()):
                if run.ending is not None and not run.pending:
                    await self._say_last(run, *run.ending)

    def _letters(self) -> list[dict[str, Any]]:
        # Decisions name trials, so two attempts of one trial never share a request.
        lease_of: dict[int, str] = {}
        items = [item for run in self._runs.values() for item in run.pending]
        chosen = [item for item in items if lease_of.setdefault(item["trial_id"], item["lease"]) == item["lease"]]
        return chosen[:_MAX_ITEMS]

    async def _report(self, items: list[dict[str, Any]]) -> None:
        try:
            answer, sent_at = await self._ask("POST", "/measurements", {"items": items})
        except Refused as refusal:
            if len(items) > 1:
                await self._report(items[: len(items) // 2])
                await self._report(items[len(items) // 2 :])
            else:
                self._settle(items, {items[0]["epoch"]: refusal.code}, {}, time.monotonic())
            return
        for trial_id in {item["trial_id"] for item in items}:
            own = [item for item in items if item["trial_id"] == trial_id]
            codes = {one["epoch"]: one["code"] for one in answer["rejected"] if one["trial_id"] == trial_id}
            told = {one["trial_id"]: one for one in answer["decisions"]}.get(trial_id, {})
            self._settle(own, codes, told, sent_at)

    def _settle(self, items: list[dict[str, Any]], codes: dict[int, str], told: dict[str, Any], sent_at: float) -> None:
        """Note what was said of some epochs of one attempt."""
        lease = items[0]["lease"]
        taken = [item["epoch"] for item in items if item["epoch"] not in codes]
        notes: list[dict[str, Any]] = []
        for item in items:
            epoch = item["epoch"]
            facts = {"lease": lease, "epoch": epoch, "sent_at": sent_at}
            if epoch in codes:
                notes.append({"what": "refused", **facts, "code": codes[epoch]})
            else:
                decision = told.get("decision") if epoch == taken[-1] else None
                notes.append({"what": "told", **facts, "decision": decision, "reason": told.get("reason")})
        self._diary.write(*notes)
        run = self._runs.get(lease)
        if run is None:
            return
        answered = {item["epoch"] for item in items}
        run.pending = [item for item in run.pending if item["epoch"] not in answered]
        if told.get("decision") in ("stop", "pause"):
            self._drop(run, str(told["decision"]))
        elif codes.keys() and set(codes.values()) & {"lease_lost", "not_found"}:
            self._drop(run, "lost, said a report")

    async def _say_last(self, run: Run, kind: str, body: dict[str, Any]) -> None:
        try:
            answer = await self._call("POST", f"/trials/{run.trial_id}:{kind}", body)
            said = {"state": answer["state"], "stop_reason": answer["stop_reason"]}
        except Refused as refusal:
            said = {"code": refusal.code}
        self._diary.write({"what": "ended", "lease": run.lease, "kind": kind, **said})
        self._runs.pop(run.lease, None)
        run.is_over = True
        self._settled.set()


@dataclass(frozen=True)
class Place:
    """Where a worker finds what it needs.

    Attributes:
        host: Of the service, or of the proxy before it.
        port: Likewise.
        token: Access token.
        diary: File of its diary.
    """

    host: str
    port: int
    token: str
    diary: Path


def work(habits: Habits, place: Place) -> int:
    """Work until SIGTERM."""
    asyncio.run(_work(habits, place))
    return 0


async def _work(habits: Habits, place: Place) -> None:
    left_over = leftovers(entries(place.diary))
    with Diary(place.diary) as diary:
        wire = Wire(place.host, place.port, place.token)
        worker = SimulatedWorker(habits, wire, diary, left_over)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        diary.write({"what": "began", "worker": habits.name, "left_over": len(left_over)})
        await worker.run()
        wire.close()
