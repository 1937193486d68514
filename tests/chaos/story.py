"""A small study whose books are right: what the checks are tested on, after somebody has cooked them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.chaos.books import Answer, Diaries, Grant, Row, Rows

STUDY = 1
_AT = datetime(2026, 1, 1, tzinfo=UTC)


class Story:
    """Writes rows, events and diaries as the service and its workers would.

    Attributes:
        rows: What lies in the database.
        diaries: What the workers have written down.
    """

    def __init__(self) -> None:
        budget = {"max_trials": 3, "max_epochs": 4, "max_total_epochs": 9, "max_parallel": 2}
        self.spec = {"metric": {"direction": "minimize"}, "budget": budget, "retries": 1}
        self.rows, self.diaries = Rows(), Diaries()
        self.rows.studies[STUDY] = {
            "id": STUDY,
            "name": "small",
            "state": "running",
            "num_trials": 0,
            "num_epochs": 0,
            "best_value": None,
            "last_event_seq": 0,
        }
        self.emit("study_created", state="running", spec=self.spec)

    def emit(self, kind: str, **data: Any) -> None:
        study = self.rows.studies[STUDY]
        study["last_event_seq"] += 1
        self.rows.events[STUDY].append({"study_id": STUDY, "seq": study["last_event_seq"], "kind": kind, "data": data})

    def create(self, trial_id: int) -> None:
        number = len(self.rows.trials)
        self.rows.studies[STUDY]["num_trials"] += 1
        row = {"id": trial_id, "study_id": STUDY, "number": number, "state": "waiting", "stop_reason": None}
        row |= {"attempt": 0, "num_epochs": 0, "value": None, "best_epoch": None}
        self.rows.trials[trial_id] = row
        self.emit("trial_created", trial_id=trial_id, number=number)

    def start(self, trial_id: int, worker: str, at: float, first_epoch: int = 1) -> str:
        trial = self.rows.trials[trial_id]
        trial |= {"state": "running", "attempt": trial["attempt"] + 1, "stop_reason": None}
        lease = f"lease-{trial_id}-{trial['attempt']}"
        place = {"trial_id": trial_id, "attempt": trial["attempt"], "token": lease}
        self.rows.attempts[lease] = {**place, "ended_at": None}
        self.rows.leases.append(place)
        for row in self._measured(trial_id):
            row["is_current"] = row["is_current"] and row["epoch"] < first_epoch
        self._sum_up(trial)
        self._emit_of(trial, "trial_started", first_epoch=first_epoch)
        self.diaries.grants[lease].append(Grant(worker, trial_id, trial["attempt"], at))
        return lease

    def measure(self, lease: str, epoch: int, value: float, at: float, decision: str | None = "continue") -> None:
        attempt, study = self.rows.attempts[lease], self.rows.studies[STUDY]
        trial = self.rows.trials[attempt["trial_id"]]
        place = {"trial_id": trial["id"], "attempt": attempt["attempt"], "epoch": epoch}
        metrics = {"val_loss": value}
        self.rows.measurements.append({**place, "value": value, "metrics": metrics, "is_current": True})
        study["num_epochs"] += 1
        study["best_value"] = value if study["best_value"] is None else min(value, study["best_value"])
        self._sum_up(trial)
        self._emit_of(trial, "measured", epoch=epoch, value=value)
        self.diaries.sent[lease, epoch] = dict(metrics)
        self.diaries.answers.append(Answer(lease, epoch, decision, at))

    def leave(self, trial_id: int, kind: str, becomes: str, **facts: Any) -> None:
        trial = self.rows.trials[trial_id]
        trial["state"] = becomes
        self.rows.leases = [row for row in self.rows.leases if row["trial_id"] != trial_id]
        for row in self.rows.attempts.values():
            if row["trial_id"] == trial_id:
                row["ended_at"] = _AT
        self._emit_of(trial, kind, **facts)

    def end(self, trial_id: int, state: str, reason: str) -> None:
        trial = self.rows.trials[trial_id]
        trial["stop_reason"] = reason
        facts = {name: trial[name] for name in ("value", "best_epoch", "num_epochs")}
        self.leave(trial_id, "trial_ended", state, state=state, stop_reason=reason, **facts)

    def finish(self) -> None:
        self.rows.studies[STUDY]["state"] = "complete"
        self.emit("study_changed", state="complete", end_reason="max_trials")

    def _emit_of(self, trial: Row, kind: str, **facts: Any) -> None:
        self.emit(kind, trial_id=trial["id"], number=trial["number"], attempt=trial["attempt"], **facts)

    def _measured(self, trial_id: int) -> list[Row]:
        return [row for row in self.rows.measurements if row["trial_id"] == trial_id]

    def _sum_up(self, trial: Row) -> None:
        curve = {row["epoch"]: row["value"] for row in self._measured(trial["id"]) if row["is_current"]}
        best = min(((value, epoch) for epoch, value in curve.items()), default=(None, None))
        trial |= {"num_epochs": max(curve, default=0), "value": best[0], "best_epoch": best[1]}


def told() -> Story:
    """Three trials: one is lost and trained again, one pauses and is promoted, one fails and is cancelled with all."""
    story = Story()
    story.create(1)
    first = story.start(1, "ann", at=10.0)
    story.measure(first, 1, 0.5, at=11.0)
    story.create(2)
    second = story.start(2, "ben", at=12.0)
    story.measure(second, 1, 0.4, at=13.0, decision="pause")
    story.leave(2, "trial_paused", "paused", epoch=1)
    story.leave(1, "trial_requeued", "waiting", reason="expired", is_charged=True)
    first = story.start(1, "ben", at=20.0)
    for epoch, value in ((1, 0.6), (2, 0.3)):
        story.measure(first, epoch, value, at=20.0 + epoch)
    story.end(1, "complete", "max_epochs")
    second = story.start(2, "ann", at=30.0, first_epoch=2)
    story.measure(second, 2, 0.2, at=31.0)
    story.end(2, "complete", "early_stopped")
    story.create(3)
    story.start(3, "ann", at=40.0)
    story.end(3, "cancelled", "cancelled")
    story.finish()
    digest = "ab" * 32
    story.diaries.files.add(digest)
    story.rows.artifacts.append({"name": "file", "sha256": digest, "doomed_at": None})
    pause = {"decisions": [{"trial_id": 2, "decision": "pause", "reason": "asha"}], "rejected": []}
    answers = [{"status": 200, "body": pause}, {"status": 200, "body": pause}]
    request = {"verb": "POST", "path": "/api/v1/measurements", "is_in_order": True}
    story.diaries.repeats.append({**request, "answers": answers})
    return story
