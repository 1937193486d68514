"""What a simulated worker trains: curves that are made up, and say of which attempt and epoch they are."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from typing import Any

OBJECTIVE = "made_up"
# A number must come back to the last digit, also one at the edge of what a double holds.
_EDGES = (5e-324, 1e-300, -0.0, 0.1 + 0.2, 123456789.12345679)
_ONE_IN = 61


@dataclass
class Run:
    """One attempt in the hands of a worker.

    Attributes:
        assignment: As it came.
        pending: Measurements without an answer, in the order of epochs, as they are sent.
        ending: The last word, once the training is over: `finish` or `release`, and its body.
        is_over: Whether nothing of it matters any more.
        is_left_over: Whether a former process of this worker began it.
    """

    assignment: dict[str, Any]
    pending: list[dict[str, Any]] = field(default_factory=list)
    ending: tuple[str, dict[str, Any]] | None = None
    is_over: bool = False
    is_left_over: bool = False

    @property
    def lease(self) -> str:
        """Its token."""
        return str(self.assignment["lease"])

    @property
    def trial_id(self) -> int:
        """Its trial."""
        return int(self.assignment["trial_id"])

    def measurement(self, epoch: int, *, checkpoint: bool, is_last: bool) -> dict[str, Any]:
        """An epoch as it is reported."""
        return {
            "trial_id": self.trial_id,
            "lease": self.lease,
            "epoch": epoch,
            "metrics": metrics(self.lease, epoch),
            "elapsed_s": float(epoch),
            "checkpoint": checkpoint,
            "is_last": is_last,
        }

    def end(self, kind: str, **facts: Any) -> None:
        """Set the last word; only the first one counts."""
        if self.ending is None:
            self.ending = (kind, {"lease": self.lease, **facts})


def metrics(lease: str, epoch: int) -> dict[str, float]:
    """What an attempt measures in an epoch: no other attempt and no other epoch measures the same."""
    digest = hashlib.sha256(f"{lease}:{epoch}".encode()).digest()
    number = int.from_bytes(digest[:7], "big")
    value = 1.0 / epoch + number / 2**56
    if number % _ONE_IN == 0:
        value = _EDGES[number % len(_EDGES)]
    return {"val_loss": value, "loss": number / 2**57}


def checkpoint(assignment: dict[str, Any], epoch: int, chance: random.Random) -> bytes:
    """A file that says what it is of, of some thousand bytes."""
    told = {"trial_id": assignment["trial_id"], "lease": assignment["lease"], "epoch": epoch}
    return json.dumps(told).encode() + b"\n" + chance.randbytes(chance.randint(500, 30_000))


def is_checkpoint_of(content: bytes, trial_id: int, epoch: int) -> bool:
    """Whether a file is what `checkpoint` made of this trial and epoch."""
    told = json.loads(content.partition(b"\n")[0])
    return bool(told["trial_id"] == trial_id and told["epoch"] == epoch)


def fate(chance: random.Random, first_epoch: int, max_epochs: int) -> tuple[int, str]:
    """The last epoch of an attempt, and what comes of it."""
    drawn = chance.random()
    last = chance.randint(first_epoch, max(first_epoch, max_epochs))
    if drawn < 0.80:
        return max_epochs, "complete"
    if drawn < 0.88:
        return last, "complete"
    # Not too often: a study is to have something to learn from.
    outcomes = ("failed", "diverged", "out_of_memory", "stalled", "infeasible")
    return last, outcomes[int((drawn - 0.88) / 0.12 * len(outcomes))]


def leftovers(entries: Any) -> list[Run]:
    """The attempts that a former process of a worker held, as its diary tells: to be delivered and released."""
    runs: dict[str, Run] = {}
    for entry in entries:
        lease = entry.get("lease")
        if entry["what"] == "claimed":
            runs[lease] = Run(entry["assignment"], is_left_over=True)
        elif entry["what"] == "measured" and lease in runs:
            runs[lease].pending.append(entry["item"])
        elif entry["what"] in ("told", "refused") and lease in runs:
            runs[lease].pending = [item for item in runs[lease].pending if item["epoch"] != entry["epoch"]]
        elif entry["what"] == "ending" and lease in runs:
            runs[lease].ending = (entry["kind"], entry["body"])
        elif entry["what"] in ("ended", "over"):
            runs.pop(lease, None)
    for run in runs.values():
        run.end("release")
    return list(runs.values())
