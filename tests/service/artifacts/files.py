"""What workers and people do with the files of trials."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

from service.use_cases.keeping import Keeper
from tests.service.protocol.wire import PREFIX, item
from tests.service.use_cases.lab import Lab

BUDGET = {"max_trials": 8, "max_epochs": 5}
_numbers = itertools.count()


def content(size_bytes: int = 1000) -> bytes:
    """A file that no other test has."""
    return (b"%d " % next(_numbers)).ljust(size_bytes, b"x")


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


class Files(Lab):
    """The studies of one test, and the files of their trials."""

    @property
    def keeper(self) -> Keeper:
        """The keeper of the service."""
        keeper: Keeper = self.wire.keeper
        return keeper

    def names(self) -> list[str]:
        """Names of all files in the store."""
        return sorted(file.name for file in self.keeper.store.files("caviar-"))

    def assigned(self, **changes: Any) -> Any:
        """A trial of a new study, in training."""
        self.study(**({"budget": BUDGET} | changes))
        [assignment] = self.claim()
        return assignment

    def put(self, path: str, data: Any, headers: dict[str, str]) -> Any:
        """The answer to a request that stores a file."""
        return self.wire.client.put(PREFIX + path, content=data, headers=headers)

    def store(self, assignment: Any, epoch: int, data: bytes) -> str:
        """What becomes of a checkpoint: its status, and the code of a refusal."""
        headers = {"Caviar-Lease": assignment["lease"], "Caviar-SHA256": digest(data)}
        return said(self.put(f"/trials/{assignment['trial_id']}/checkpoints/{epoch}", data, headers))

    def store_weights(self, assignment: Any, epoch: int, data: bytes) -> str:
        """What becomes of weights: its status, and the code of a refusal."""
        headers = {"Caviar-Lease": assignment["lease"], "Caviar-SHA256": digest(data), "Caviar-Epoch": str(epoch)}
        return said(self.put(f"/trials/{assignment['trial_id']}/weights", data, headers))

    def fetch(self, assignment: Any, epoch: int) -> Any:
        """The answer to a request for a checkpoint."""
        path = f"{PREFIX}/trials/{assignment['trial_id']}/checkpoints/{epoch}"
        return self.wire.client.get(path, headers={"Caviar-Lease": assignment["lease"]})

    def download(self, assignment: Any) -> Any:
        """The answer to a request for weights."""
        return self.wire.client.get(f"{PREFIX}/trials/{assignment['trial_id']}/weights")

    def told(self, assignment: Any, epoch: int, value: float = 0.5, *, checkpoint: bool = False) -> Any:
        """The decision about a trial after an epoch."""
        body = {"items": [{**item(assignment, epoch, value), "checkpoint": checkpoint}]}
        [decision] = self.wire.post("/measurements", body)["decisions"]
        return decision

    def kept(self, assignment: Any, epoch: int, value: float = 0.5) -> bytes:
        """A checkpoint that is stored and reported."""
        data = content()
        assert self.store(assignment, epoch, data) == "201"
        self.told(assignment, epoch, value, checkpoint=True)
        return data

    def finish(self, assignment: Any, outcome: str = "complete") -> Any:
        """The answer to a finish."""
        body = {"lease": assignment["lease"], "outcome": outcome}
        return self.wire.post(f"/trials/{assignment['trial_id']}:finish", body)

    def trained(self, name: str, x: float, value: float) -> tuple[Any, Any]:
        """A trial of a study that has ended with a value, and the answer to its finish."""
        self.wire.post(f"/studies/{name}/trials", {"params": {"x": x, "kind": "a"}})
        [assignment] = self.claim()
        self.told(assignment, 1, value)
        return assignment, self.finish(assignment)

    def listed(self, assignment: Any) -> list[tuple[str, int]]:
        """Kind and epoch of the files that a trial has."""
        return [(kept["kind"], kept["epoch"]) for kept in self.wire.trial(assignment)["artifacts"]]


def said(answer: Any) -> str:
    """Status of an answer, and the code of a refusal."""
    return str(answer.status_code) if answer.is_success else f"{answer.status_code} {answer.json()['code']}"
