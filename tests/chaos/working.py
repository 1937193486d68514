"""The real worker, which keeps a diary besides."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import IO, Any

import httpx2

from caviar.contract.errors import CaviarError
from caviar.contract.messages import Claim, Claimed, Finish, Release, Report, ReportAnswer, TrialStatus
from caviar.contract.views import ArtifactView
from tests.chaos.diary import Diary
from worker import main
from worker.api import RETRIED, WorkerApi
from worker.line import Line
from worker.settings import WorkerSettings


class DiaryApi(WorkerApi):
    """The worker's own client, which writes down what goes out before it does, and what came back."""

    def __init__(self, client: httpx2.Client, line: Line | None = None, *, diary: Diary) -> None:
        super().__init__(client, line)
        self._diary = diary

    def claim(self, worker_id: str, body: Claim) -> Claimed:
        answer = super().claim(worker_id, body)
        for assignment in answer.assigned:
            told = assignment.model_dump(mode="json")
            facts = {name: told[name] for name in ("trial_id", "attempt", "lease", "study", "first_epoch")}
            self._diary.write({"what": "claimed", **facts, "assignment": told})
        return answer

    def report(self, body: Report) -> ReportAnswer:
        items = [item.model_dump(mode="json") for item in body.items]
        measured = [
            {"what": "measured", "lease": item["lease"], "epoch": item["epoch"], "item": item} for item in items
        ]
        self._diary.write(*measured)
        sent_at = time.monotonic()
        answer = super().report(body)
        self._diary.write(*_told(items, answer, sent_at))
        return answer

    def finish(self, trial_id: int, body: Finish) -> TrialStatus:
        return self._last_word("finish", body.lease, lambda: super(DiaryApi, self).finish(trial_id, body))

    def release(self, trial_id: int, body: Release) -> TrialStatus:
        return self._last_word("release", body.lease, lambda: super(DiaryApi, self).release(trial_id, body))

    def upload_checkpoint(self, trial_id: int, epoch: int, lease: str, file: IO[bytes], sha256: str) -> ArtifactView:
        self._diary.write({"what": "file", "lease": lease, "epoch": epoch, "sha256": sha256})
        answer = super().upload_checkpoint(trial_id, epoch, lease, file, sha256)
        self._diary.write({"what": "filed", "lease": lease, "epoch": epoch, "sha256": sha256})
        return answer

    def upload_weights(self, trial_id: int, epoch: int, lease: str, file: IO[bytes], sha256: str) -> ArtifactView:
        self._diary.write({"what": "file", "lease": lease, "epoch": epoch, "sha256": sha256})
        return super().upload_weights(trial_id, epoch, lease, file, sha256)

    def _last_word(self, kind: str, lease: str, say: Any) -> TrialStatus:
        try:
            status: TrialStatus = say()
        except RETRIED:
            raise
        except CaviarError as error:
            self._diary.write({"what": "ended", "lease": lease, "kind": kind, "code": error.code})
            raise
        said = {"state": status.state, "stop_reason": status.stop_reason}
        self._diary.write({"what": "ended", "lease": lease, "kind": kind, **said})
        return status


def _told(items: list[dict[str, Any]], answer: ReportAnswer, sent_at: float) -> list[dict[str, Any]]:
    codes = {(one.trial_id, one.epoch): one.code for one in answer.rejected}
    decisions = {one.trial_id: one for one in answer.decisions}
    last = {item["trial_id"]: item["epoch"] for item in items if (item["trial_id"], item["epoch"]) not in codes}
    notes: list[dict[str, Any]] = []
    for item in items:
        trial_id, epoch = item["trial_id"], item["epoch"]
        facts = {"lease": item["lease"], "epoch": epoch, "sent_at": sent_at}
        if (trial_id, epoch) in codes:
            notes.append({"what": "refused", **facts, "code": codes[trial_id, epoch]})
        else:
            told = decisions[trial_id]
            decision = told.decision if epoch == last[trial_id] else None
            notes.append({"what": "told", **facts, "decision": decision, "reason": told.reason})
    return notes


def work(diary: Path) -> int:
    """Work until SIGTERM; settings are variables of the environment."""
    with Diary(diary) as book:
        # `main` makes its client by this name; nothing else of the worker is touched.
        vars(main)["WorkerApi"] = partial(DiaryApi, diary=book)
        return main.run(WorkerSettings())
